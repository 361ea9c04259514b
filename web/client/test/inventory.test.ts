// Which stores an owner has, against the real broker.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { inventory, type Client, type Inventory } from "conat-client";
import { type Broker, until, startWithClients, stopWithClients } from "./broker.js";

let broker: Broker;
let a: Client;
let b: Client;
before(async () => {
  [broker, a, b] = await startWithClients();
});
after(() => stopWithClients(broker, a, b));

let count = 0;
const newProject = (): string => `00000000-0000-4000-8000-${String(++count).padStart(12, "0")}`;

/** The inventory of a new project, read by the other client. */
async function open(): Promise<[string, Inventory]> {
  const project_id = newProject();
  return [project_id, await inventory({ project_id, client: b })];
}

describe("Inventory", () => {
  it("has every DKV and DStream that is open for a while, itself and noInventory not", async () => {
    const [project_id, listed] = await open();
    const kv = await a.dkv({ name: "board", project_id, desc: { by: "me" }, config: { max_msgs: 7 } });
    const stream = await a.dstream({ name: "chat", project_id });
    await a.dkv({ name: "hidden", project_id, noInventory: true });
    await a.dko({ name: "objects", project_id });
    const before = Date.now();
    kv.setMany({ x: 1, y: [2] });
    stream.push("one", "two", "three");
    await Promise.all([kv.save(), stream.save()]);
    await until("all are entered", () => listed.getAll().length >= 3, 30_000);
    assert.deepEqual(listed.getAll().map(({ name, type }) => `${type} ${name}`).sort(), ["kv __dko__objects", "kv board", "stream chat"]);
    const entry = listed.get("board");
    assert.ok(entry !== undefined && entry.created === entry.last && entry.created > before - 60_000);
    const { bytes, count: messages, limits, seq } = await kv.kv.inventory();
    assert.deepEqual({ ...entry, created: 0, last: 0 },
      { name: "board", type: "kv", desc: { by: "me" }, created: 0, last: 0, bytes, count: messages, limits, seq });
    assert.deepEqual([messages, seq], [2, 2]);
    assert.equal(listed.get({ name: "chat", type: "stream" })?.count, 3);
    const raw = await a.dkv({ name: "CoCalc-Inventory", project_id });
    assert.deepEqual(raw.keys().sort(), [...listed.getAll()].map(({ name, type }) => JSON.stringify({ name, type })).sort());

    // What changed since is entered when it closes, and keeps when it was created.
    stream.publish("four");
    await stream.save();
    stream.close();
    await until("the last state is entered", () => listed.get({ name: "chat", type: "stream" })?.count === 4, 20_000);
    const last = listed.get({ name: "chat", type: "stream" });
    assert.ok(last !== undefined && last.last > last.created);
    listed.close();
  });

  it("sets, filters, shows, opens and deletes", async () => {
    const [project_id, listed] = await open();
    const figures = { bytes: 10, count: 2, limits: {}, seq: 2 };
    listed.set({ name: "Settings", type: "kv", desc: { title: "Colors" }, ...figures });
    listed.set({ name: "chat", type: "stream", ...figures });
    const created = listed.get("Settings")?.created;
    listed.set({ name: "Settings", type: "kv", ...figures, count: 3 });
    assert.deepEqual(listed.get("Settings")?.desc, { title: "Colors" });
    assert.deepEqual([listed.get("Settings")?.count, listed.get("Settings")?.created], [3, created]);
    assert.equal(listed.get("chat")?.type, "stream");
    assert.equal(listed.get("missing"), undefined);
    await listed.save();
    assert.deepEqual(listed.getAll({ filter: "COLORS" }).map(({ name }) => name), ["Settings"]);
    assert.deepEqual(listed.getAll({ filter: "h" }).map(({ name }) => name), ["chat"]);
    assert.match(listed.ls(), /^TYPE +NAME .*\nkv +Settings +3 +10 .*Colors.*\nstream +chat +2 +10 /);
    const stores = await listed.getStores();
    assert.deepEqual(stores.map(({ opts }) => (opts as { name: string }).name), ["Settings", "chat"]);
    for (const store of stores) (store as { close(): void }).close();
    listed.delete({ name: "chat", type: "stream" });
    await listed.save();
    const other = await inventory({ project_id, client: a });
    assert.deepEqual(other.getAll().map(({ name }) => name), ["Settings"]);
    other.close();
    listed.close();
    assert.throws(() => listed.getAll(), /closed/);
  });

  it("leaves stores alone that are open for a moment, and keeps no process alive", async () => {
    const [project_id, listed] = await open();
    const program = `
      import { connect } from "conat-client";
      const client = connect({ address: ${JSON.stringify(broker.address)} });
      const kv = await client.dkv({ name: "short", project_id: ${JSON.stringify(project_id)} });
      kv.set("a", 1);
      await kv.save();
      kv.close();
      client.close();
      process.on("exit", () => console.log(Math.round(performance.now())));`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "pipe", "inherit"], cwd: import.meta.dirname });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    const [code] = (await once(child, "exit")) as [number | null];
    assert.equal(code, 0);
    assert.match(output, /^\d+\n$/);
    assert.deepEqual(listed.getAll(), []);
    listed.close();
  });
});
