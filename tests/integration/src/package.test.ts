// The packed npm package, installed in an empty folder, does the main things in plain Node.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { promisify } from "node:util";
import { Broker, repository } from "./broker.js";

const run = promisify(execFile);
const script = `
import assert from "node:assert/strict";
import { connect } from "conat-client";

const client = connect({ address: process.argv[2] });
const subscription = await client.subscribe("greet.*");
assert.equal((await client.publish("greet.world", { hello: "world" })).count, 1);
const { value: message } = await subscription.next();
assert.deepEqual([message.subject, message.data], ["greet.world", { hello: "world" }]);

const service = await client.subscribe("double");
(async () => { for await (const request of service) await request.respond(request.data * 2); })();
assert.equal((await client.request("double", 21)).data, 42);

const store = await client.dkv({ name: "package-test" });
store.set("a", { list: [1, 2, 3], when: new Date(0), bytes: new Uint8Array([1, 2]) });
await store.save();
const other = connect({ address: process.argv[2], noCache: true });
const copy = await other.dkv({ name: "package-test" });
assert.deepEqual(copy.get("a").list, [1, 2, 3]);
assert.equal(copy.get("a").when.getTime(), 0);
assert.deepEqual([...copy.get("a").bytes], [1, 2]);
other.close();
client.close();
console.log("all good");
`;

let broker: Broker;
let folder: string;
before(async () => {
  broker = await Broker.start();
  folder = mkdtempSync(join(tmpdir(), "conat-package-"));
});
after(async () => {
  await broker.stop();
  rmSync(folder, { recursive: true, force: true });
});

it("installs in an empty folder and runs", { timeout: 120_000 }, async () => {
  const packages = join(repository, "build/npm");
  const tarball = readdirSync(packages).find((name) => /^conat-client-.*\.tgz$/.test(name));
  assert.ok(tarball, `no package in ${packages}: run scripts/pack-npm`);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }));
  await run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", join(packages, tarball)], { cwd: folder });
  writeFileSync(join(folder, "main.mjs"), script);
  const { stdout } = await run("node", ["main.mjs", broker.address], { cwd: folder, timeout: 30_000 });
  assert.match(stdout, /all good/);
});
