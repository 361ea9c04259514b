// Tables of objects by primary key, against the real broker.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { stringId, type Client, type Row, type SyncTable, type SyncTableChange, type SyncTableOptions } from "conat-client";
import { type Broker, nextEvent, until, startWithClients, stopWithClients } from "./broker.js";

let broker: Broker;
let a: Client;
let b: Client;
before(async () => {
  [broker, a, b] = await startWithClients();
});
after(() => stopWithClients(broker, a, b));

let count = 0;
const project_id = "6b851643-360e-435e-b87e-f9a6ab64a8b1";
const newStringId = (): string => stringId(project_id, `file-${++count}`);
async function pair(options: SyncTableOptions): Promise<[SyncTable, SyncTable]> {
  return Promise.all([a.synctable(options), b.sync.synctable(options)]);
}
const newQuery = (): SyncTableOptions["query"] => ({ things: [{ kind: `kind-${++count}`, id: null }] });

describe("SyncTable by field", () => {
  it("has objects by primary key, tells changes, and merges different fields of one object", async () => {
    const [x, y] = await pair({ query: newQuery() });
    const changes: [string[], SyncTableChange][] = [];
    y.on("change", (keys, detail) => changes.push([keys, detail]));
    assert.deepEqual([x.get(), x.get_one(), x.get("a")], [{}, undefined, undefined]);
    x.set({ id: "a", n: 1, list: [1] });
    assert.deepEqual(x.get("a"), { id: "a", n: 1, list: [1] });
    assert.equal(x.has_uncommitted_changes(), true);
    await x.save();
    assert.equal(x.has_uncommitted_changes(), false);
    await until("the other has it", () => y.get("a") !== undefined && changes.length >= 4);
    assert.deepEqual(y.get({ id: "a" }), { id: "a", n: 1, list: [1] });
    assert.deepEqual(y.get(), { a: { id: "a", n: 1, list: [1] } });
    assert.deepEqual(y.get_one(), { id: "a", n: 1, list: [1] });
    assert.ok(changes.every(([keys, { key }]) => keys.length === 1 && keys[0] === "a" && key === "a"));
    assert.deepEqual(changes.find(([, { field }]) => field === "n")?.[1], { key: "a", field: "n", value: 1 });

    x.set({ id: "a", left: 1 });
    y.set({ id: "a", n: 2 });
    await Promise.all([x.save(), y.save()]);
    const merged = { id: "a", n: 2, list: [1], left: 1 };
    const has = (table: SyncTable): boolean => JSON.stringify(Object.entries(table.get("a") ?? {}).sort()) === JSON.stringify(Object.entries(merged).sort());
    await until("both have both fields", () => has(x) && has(y));

    x.delete({ id: "a" });
    await x.save();
    await until("it is gone", () => y.get("a") === undefined);
    assert.deepEqual(y.get(), {});
    assert.throws(() => x.set({ n: 1 }), /an object of 'things' needs id/);
    assert.throws(() => x.get({ n: 1 }), /needs id/);
    x.close();
    y.close();
    assert.equal(x.get_state(), "closed");
    assert.throws(() => x.get(), /closed/);
    assert.throws(() => x.set({ id: "b" }), /closed/);
    await assert.rejects(x.save(), /closed/);
    x.close();
  });

  it("is one object for one query, in any order of its fields, counted by its users", async () => {
    const kind = `kind-${++count}`;
    const x = await a.synctable({ query: { things: [{ kind, id: null }] } });
    const same = await a.synctable({ query: { things: [{ id: null, kind }] } });
    assert.equal(x, same);
    assert.equal(x.name, `things:${JSON.stringify({ id: null, kind })}`);
    assert.notEqual(x, await a.synctable({ query: { things: [{ kind, id: null }] }, noCache: true }));
    same.close();
    assert.equal(x.isClosed(), false);
    const ended = nextEvent(x, "closed");
    x.close();
    await ended;
    const dko = await a.dko({ name: x.name });
    const again = await a.synctable({ query: { things: [{ kind, id: null }] } });
    again.set({ id: 7, text: "seven" });
    assert.deepEqual(dko.get("7"), { id: 7, text: "seven" }, "it is a DKO of that name");
    again.close();
    dko.close();
  });

  it("has compound keys, also those that look like the place of a field", async () => {
    const [x, y] = await pair({ query: newQuery(), primary_keys: ["a", "b"] });
    const changed = new Set<string>();
    y.on("change", (keys) => keys.forEach((key) => changed.add(key)));
    x.set({ a: "one", b: "two", text: "x" });
    x.set({ a: "one", b: 3, text: ["y"] });
    const keys = ['["one","two"]', '["one",3]'];
    assert.deepEqual(Object.keys(x.get()), keys);
    await x.save();
    await until("the other has both", () => keys.every((key) => y.get(key) !== undefined && changed.has(key)));
    assert.deepEqual(y.get(), { [keys[0] as string]: { a: "one", b: "two", text: "x" }, [keys[1] as string]: { a: "one", b: 3, text: ["y"] } });
    assert.deepEqual([...changed].sort(), [...keys].sort());
    assert.deepEqual(y.get({ b: "two", a: "one" }), y.get(keys[0] as string));
    assert.throws(() => x.set({ a: 1 }), /needs a, b/);
    x.close();
    y.close();
  });

  it("waits for what it is asked for, with a time limit", async () => {
    const [x, y] = await pair({ query: newQuery() });
    const found = y.wait((table) => table.get("late")?.["n"] as number | undefined, 30);
    const asked = y.wait(async (table) => Object.keys(table.get()).length > 0 && "some", 0);
    await assert.rejects(y.wait(() => false, 0.05), { code: 408, message: /timeout/ });
    await assert.rejects(y.wait(() => { throw new Error("of the predicate"); }), /of the predicate/);
    x.set({ id: "late", n: 5 });
    assert.equal(await found, 5);
    assert.equal(await asked, "some");
    assert.equal(y.listenerCount("change"), 0);
    const never = y.wait(() => false);
    y.close();
    await assert.rejects(never, /closed/);
    x.close();
  });

  it("goes on through a restart of the server", async () => {
    const [x, y] = await pair({ query: newQuery() });
    x.set({ id: "before" });
    await x.save();
    await until("the other has it", () => y.get("before") !== undefined);
    const away = nextEvent(x, "disconnected");
    await broker.kill();
    await away;
    assert.equal(x.get_state(), "disconnected");
    x.set({ id: "meanwhile", by: "x" });
    y.set({ id: "before", more: true });
    await broker.start();
    await Promise.all([x.save(), y.save()]);
    await until("both have all", () => y.get("meanwhile") !== undefined && x.get("before")?.["more"] === true, 30_000);
    assert.deepEqual(x.get(), { before: { id: "before", more: true }, meanwhile: { id: "meanwhile", by: "x" } });
    await until("both are connected", () => x.get_state() === "connected" && y.get_state() === "connected");
    assert.deepEqual(y.get(), x.get());
    x.close();
    y.close();
  });

  it("refuses queries that are none", async () => {
    for (const query of [{}, { a: [{}], b: [{}] }, { a: [] }, { a: {} }, { a: [1] }, null] as unknown[]) {
      await assert.rejects(a.synctable({ query } as SyncTableOptions), /the query must be/);
    }
    await assert.rejects(a.synctable({ query: { patches: [{ path: "x" }] }, stream: true }), /needs a string_id/);
  });
});

describe("SyncTable as a whole", () => {
  it("replaces objects, gives out copies, frozen ones, or what a function makes of them", async () => {
    const query = newQuery();
    const [x, y] = await pair({ query, atomic: true });
    x.set({ id: "a", n: 1, nested: { deep: [1] } });
    x.set({ id: "a", m: 2, nested: { deep: [2] } });
    const expected = { id: "a", m: 2, nested: { deep: [2] } };
    assert.deepEqual(x.get("a"), expected);
    const change = nextEvent<[string[], SyncTableChange]>(y, "change");
    await x.save();
    assert.deepEqual(await change, [["a"], { key: "a", value: expected }]);
    (x.get("a") as Row)["m"] = 3;
    assert.deepEqual(x.get("a"), expected);
    const frozen = await a.synctable<{ nested: { deep: number[] } }>({ query, atomic: true, immutable: true });
    assert.throws(() => frozen.get("a")?.nested.deep.push(1), TypeError);
    const made = await a.synctable<string>({ query, atomic: true, immutable: (row) => JSON.stringify(row) });
    assert.deepEqual(made.get(), { a: JSON.stringify(expected) });
    const kv = await a.dkv({ name: x.name });
    kv.set("other", "not an object of the table");
    assert.deepEqual(Object.keys(x.get()), ["a"]);
    x.delete("a");
    await x.save();
    await until("it is gone", () => y.get("a") === undefined);
    for (const table of [x, y, frozen, made, kv]) table.close();
  });
});

describe("SyncTable of a string_id", () => {
  it("computes string_id, names the table by it, and takes the query's project", async () => {
    for (const [project, path] of [[project_id, "a/ü.txt"], ["", ""], ["p", "x".repeat(51)], ["p", "x".repeat(62)], [project_id, "y".repeat(1000)]] as const) {
      assert.equal(stringId(project, path), createHash("sha1").update(project + path).digest("hex"));
    }
    const path = `file-${++count}`;
    const string_id = stringId(project_id, path);
    const x = await a.synctable({ query: { syncstrings: [{ string_id, project_id, path, users: null }] } });
    assert.equal(x.name, `syncstrings:${string_id}`);
    assert.equal(await a.synctable({ query: { syncstrings: [{ project_id, path, users: null }] } }), x);
    x.set({ users: ["ann"] });
    assert.deepEqual(x.get_one(), { string_id, users: ["ann"] });
    assert.deepEqual(x.get({ string_id }), x.get(string_id));
    const dko = await a.dko({ name: x.name, project_id });
    assert.deepEqual(dko.get(string_id), { string_id, users: ["ann"] });
    dko.close();
    x.close();
  });

  it("appends patches to a stream, each key once, in the same order for all", async () => {
    const string_id = newStringId();
    const [x, y] = await pair({ query: { patches: [{ string_id, project_id, time: null, is_snapshot: null, patch: null }] }, stream: true });
    assert.equal(x.name, `patches:${string_id}`);
    const changes: string[] = [];
    y.on("change", ([key]) => changes.push(key as string));
    const times = [3, 1, 2].map((n) => new Date(1_700_000_000_000 + n));
    for (const time of times) x.set({ string_id, time, is_snapshot: false, patch: `p${time.getTime()}` });
    const keyOf = (time: Date): string => JSON.stringify([string_id, time, false]);
    assert.deepEqual(Object.keys(x.get()), times.map(keyOf));
    assert.throws(() => x.set({ time: times[0], is_snapshot: false, patch: "again" }), /was already written to the stream/);
    assert.throws(() => x.delete(keyOf(times[0] as Date)), /append-only/);
    assert.throws(() => x.set({ patch: "" }), /needs string_id, time/);
    await x.save();
    assert.equal(x.has_uncommitted_changes(), false);
    await until("the other has all", () => changes.length === 3);
    assert.deepEqual(changes, times.map(keyOf));
    assert.deepEqual(y.get(), x.get());
    assert.deepEqual(y.get({ time: times[1], is_snapshot: false }), { string_id, time: times[1], is_snapshot: false, patch: "p1700000000001" });
    assert.deepEqual(y.getSortedTimes(), [...times].sort((p, q) => p.getTime() - q.getTime()));
    assert.throws(() => y.set({ time: times[0], is_snapshot: false }), /was already written to the stream/);
    const below = await a.dstream<Row>({ name: x.name, project_id });
    assert.ok(below.getAll().every((patch) => !("string_id" in patch)), "string_id is not stored");
    below.publish(null as unknown as Row);
    below.publish({ patch: "without a time" });
    await below.save();
    assert.equal(Object.keys(x.get()).length, 3);
    below.close();
    x.close();
    y.close();
    const again = await b.synctable({ query: { patches: [{ string_id, project_id }] }, stream: true });
    assert.equal(Object.keys(again.get()).length, 3);
    again.close();
  });

  it("decides alike for all when two write the same key at once, also while the server is away", async () => {
    const string_id = newStringId();
    const [x, y] = await pair({ query: { patches: [{ string_id, project_id }] }, stream: true });
    await broker.kill();
    x.set({ time: 1, by: "x" });
    y.set({ time: 1, by: "y" });
    x.set({ time: 2, by: "x" });
    y.set({ time: 3, by: "y" });
    await broker.start();
    await Promise.all([x.save(), y.save()]);
    const all = (table: SyncTable): number => Object.keys(table.get()).length;
    await until("both have all", () => all(x) === 3 && all(y) === 3, 30_000);
    const key = x.getKey({ time: 1 });
    await until("both have the same", () => x.get(key)?.["by"] === y.get(key)?.["by"]);
    const below = await a.dstream<Row>({ name: x.name, project_id });
    await until("the stream has all", () => below.length === 4);
    assert.equal(x.get(key)?.["by"], below.getAll().find(({ time }) => time === 1)?.["by"]);
    for (const open of [below, x, y]) open.close();
  });
});
