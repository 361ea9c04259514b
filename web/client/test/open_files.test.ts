// The open files of a project, against the real broker.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createOpenFiles, openFiles, type Client, type OpenFileEntry, type OpenFiles } from "conat-client";
import { type Broker, nextEvent, until, startWithClients, stopWithClients } from "./broker.js";

let broker: Broker;
let a: Client;
let b: Client;
before(async () => {
  [broker, a, b] = await startWithClients();
});
after(() => stopWithClients(broker, a, b));

let count = 0;
async function pair(): Promise<[OpenFiles, OpenFiles]> {
  const project_id = `00000000-0000-4000-8000-${String(++count).padStart(12, "0")}`;
  return Promise.all([createOpenFiles({ project_id, client: a }), openFiles(project_id, { client: b })]);
}

describe("OpenFiles", () => {
  it("tells of files who touched, opened, failed and deleted them", async () => {
    const [x, y] = await pair();
    const changes: OpenFileEntry[] = [];
    y.on("change", (entry) => changes.push(entry));
    const before = Date.now();
    x.touch("a.txt", { type: "string" });
    assert.equal(x.hasUnsavedChanges(), true);
    await x.save();
    assert.equal(x.hasUnsavedChanges(), false);
    await until("the other knows", () => changes.length > 0);
    const time = y.get("a.txt")?.time ?? 0;
    assert.ok(time >= before && time <= Date.now());
    assert.deepEqual(changes.at(-1), { path: "a.txt", time, doctype: { type: "string" } });

    y.setBackend("a.txt", "server-1");
    y.setError("a.txt", new Error("no such file"));
    y.setDeleted("a.txt");
    assert.equal(y.isDeleted("a.txt"), true);
    await y.save();
    await until("the first knows", () => x.isDeleted("a.txt") && x.getBackend("a.txt") !== undefined);
    const entry = x.get("a.txt");
    assert.equal(entry?.error?.error, "Error: no such file");
    assert.equal(entry?.backend?.id, "server-1");
    for (const part of [entry?.error, entry?.backend, entry?.deleted]) assert.ok((part?.time ?? 0) >= before);

    x.setNotDeleted("a.txt");
    assert.equal(x.isDeleted("a.txt"), false);
    assert.equal(x.get("a.txt")?.deleted?.deleted, false);
    x.setError("a.txt");
    x.setNotBackend("a.txt", "server-2");
    assert.equal(x.getBackend("a.txt")?.id, "server-1");
    x.setNotBackend("a.txt");
    assert.equal(x.getBackend("a.txt"), undefined);
    x.touch("a.txt");
    await x.save();
    await until("the other knows", () => y.get("a.txt")?.error === undefined && y.getBackend("a.txt") === undefined);
    assert.deepEqual(Object.keys(y.get("a.txt") ?? {}).sort(), ["deleted", "doctype", "path", "time"]);

    x.touch("b.txt");
    x.delete("a.txt");
    await x.save();
    await until("it is gone", () => y.getAll().map(({ path }) => path).join() === "b.txt" && changes.at(-1)?.path !== undefined);
    await until("that is told", () => changes.some((change) => change.path === "a.txt" && Object.keys(change).length === 1));
    assert.equal(y.isDeleted("a.txt"), false);
    y.clear();
    await y.save();
    await until("all are gone", () => x.getAll().length === 0);
    x.close();
    y.close();
  });

  it("is the store 'open-files' of the project, which forgets after a day", async () => {
    const [x, y] = await pair();
    x.touch("a.txt");
    await x.save();
    const dko = await a.dko({ name: "open-files", project_id: x.project_id });
    assert.deepEqual(dko.keys(), ["a.txt"]);
    await until("the limit is there", async () => (await dko.dkv.kv.config()).max_age === 24 * 60 * 60 * 1000);
    dko.close();
    assert.equal(x.get("a.txt")?.path, "a.txt", "others have it open still");
    x.close();
    y.close();
  });

  it("forgets what nobody touches, and nothing of what is touched again and again", async () => {
    const project_id = "00000000-0000-4000-8000-00000000feed";
    const x = await createOpenFiles({ project_id, client: a, maxAge: 4_000 });
    x.touch("old.txt", "text");
    x.touch("used.txt", "text");
    const end = performance.now() + 5_000;
    while (performance.now() < end) {
      x.touch("used.txt");
      await x.save();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await until("the other is forgotten", () => (x.touch("used.txt"), x.get("old.txt") === undefined));
    assert.equal(x.get("used.txt")?.doctype, "text");
    x.close();
  });

  it("goes on after a restart, and throws closed afterwards", async () => {
    const [x, y] = await pair();
    assert.equal(x.state, "connected");
    const away = nextEvent(x, "disconnected");
    await broker.kill();
    await away;
    assert.equal(x.state, "disconnected");
    x.touch("late.txt");
    await broker.start();
    await x.save();
    await until("the other knows", () => y.get("late.txt") !== undefined, 30_000);
    const ended = nextEvent(x, "closed");
    const { close, get } = x;
    close();
    await ended;
    assert.equal(x.state, "closed");
    assert.throws(() => get("late.txt"), /closed/);
    assert.throws(() => x.touch("late.txt"), /closed/);
    await assert.rejects(x.save(), /closed/);
    x.close();
    y.close();
  });
});
