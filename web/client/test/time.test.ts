// What time it is for everybody, against the real broker.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, it } from "node:test";
import { createTimeService, getLastPingTime, getSkew, getTime, timeClient, waitUntilTimeAvailable, type Client } from "conat-client";
import { type Broker, until, startWithClients, stopWithClients } from "./broker.js";

let broker: Broker;
let a: Client;
let b: Client;
before(async () => {
  [broker, a, b] = await startWithClients();
});
after(() => stopWithClients(broker, a, b));

const ahead = 3_600_000; // ms; much more than a slow machine takes for anything

it("does not know before it has measured, and takes this machine's clock when it cannot", async () => {
  assert.throws(() => getTime({ client: a }), /^ConatError: clock skew not known$/);
  assert.ok(Math.abs(getTime({ client: a, noError: true }) - Date.now()) < 1_000);
  await waitUntilTimeAvailable({ client: a });
  assert.equal(await getSkew({ client: a }), 0);
  assert.equal(getLastPingTime({ client: a }), undefined);
  assert.ok(Math.abs(getTime({ client: a }) - Date.now()) < 1_000);
  await assert.rejects(timeClient({ account_id: "ada" }, { client: a }).time(), { code: 503 });
});

it("follows the clock of a time service, by itself and when asked", { timeout: 60_000 }, async () => {
  let served = 0;
  const service = await createTimeService({ client: b, now: () => (served++, Date.now() + ahead) });
  for (const user of [{}, { account_id: "ada" }, { project_id: "p1" }]) {
    const time = await timeClient(user, { client: a }).time();
    assert.ok(Math.abs(time - ahead - Date.now()) < 60_000);
  }
  await until("it is measured again", () => getTime({ client: a }) > Date.now() + ahead / 2, 30_000);
  const skew = await getSkew({ client: a });
  const ping = getLastPingTime({ client: a });
  assert.ok(ping !== undefined && ping > 0);
  // The middle of a round trip is off by half of it at most.
  assert.ok(Math.abs(skew - ahead) <= ping / 2 + 2, `${skew}`);
  assert.ok(Math.abs(getTime({ client: a }) - Date.now() - skew) < 1_000);
  assert.ok(served >= 5);
  service.close();
  await until("nobody serves", async () => !(await a.interest("time.hub.api")));
  assert.equal(await getSkew({ client: a }), skew, "what was known stays");
});

it("is this machine's time in tests of programs", async () => {
  const program = `
    import { connect, getSkew, getTime, createTimeService } from "conat-client";
    const client = connect({ address: ${JSON.stringify(broker.address)} });
    const service = await createTimeService({ client, now: () => 5 });
    getTime({ client });
    console.log(await getSkew({ client }), await client.interest("time-test.hub.api"), await client.interest("time.hub.api"));
    service.close();
    client.close();`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program],
    { stdio: ["ignore", "pipe", "inherit"], cwd: import.meta.dirname, env: { ...process.env, COCALC_TEST_MODE: "1" } });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  assert.equal(code, 0);
  assert.equal(output, "0 true false\n");
});
