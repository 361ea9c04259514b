// Objects by field, against the real broker.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Client, type DKO } from "conat-client";
import { type Broker, until, startWithClients, stopWithClients } from "./broker.js";

let broker: Broker;
let a: Client;
let b: Client;
before(async () => {
  [broker, a, b] = await startWithClients();
});
after(() => stopWithClients(broker, a, b));

let count = 0;
type Fields = Record<string, unknown>;
async function pair(): Promise<[DKO<Fields>, DKO<Fields>]> {
  const name = `dko-${++count}`;
  return Promise.all([a.dko<Fields>({ name }), b.sync.dko<Fields>({ name })]);
}

describe("DKO", () => {
  it("stores objects, and others read them", async () => {
    const [x, y] = await pair();
    x.set("one", { n: 1, nested: { list: [1, null] }, none: null, left: undefined });
    assert.deepEqual(x.get("one"), { n: 1, nested: { list: [1, null] }, none: null });
    assert.equal(x.has("one"), true);
    assert.equal(x.get("two"), undefined);
    assert.equal(x.hasUnsavedChanges(), true);
    const byField = (changes: { field?: string }[]): string[] => changes.map(({ field }) => field ?? "").sort();
    assert.deepEqual(byField(x.unsavedChanges()), ["", "n", "nested", "none"]);
    assert.ok(x.unsavedChanges().every(({ key }) => key === "one"));
    await x.save();
    assert.equal(x.isStable(), true);
    assert.ok(x.time("one") instanceof Date);
    await until("the other has it", () => y.has("one") && y.dkv.length === 4);
    assert.deepEqual(y.getAll(), { one: { n: 1, nested: { list: [1, null] }, none: null } });
    assert.deepEqual([y.keys(), y.length], [["one"], 1]);
    y.set("one", { n: 2 });
    assert.deepEqual(y.get("one"), { n: 2 });
    await y.save();
    await until("the fields are gone", () => x.dkv.length === 2);
    assert.deepEqual(x.get("one"), { n: 2 });
    x.delete("one");
    x.delete("never there");
    await x.save();
    await until("deleted", () => y.dkv.length === 0);
    assert.deepEqual(y.getAll(), {});
  });

  it("has the fixed form below", async () => {
    const [x] = await pair();
    x.set("k", { f: 1, g: "é" });
    await x.save();
    const dkv = await b.dkv({ name: `__dko__${x.opts.name}` });
    await until("it has arrived there", () => dkv.length === 3);
    assert.deepEqual(dkv.getAll(), { k: ["f", "g"], '["k","f"]': 1, '["k","g"]': "é" });
    x.set("k", { f: 1, g: "other" });
    assert.deepEqual(x.unsavedChanges(), [{ key: "k", field: "g" }]);
    await x.save();
    assert.deepEqual(x.fromPath('["k","f"]'), { key: "k", field: "f" });
    assert.deepEqual(x.fromPath("[k"), { key: "[k" });
    assert.deepEqual(x.fromPath('["k"]'), { key: '["k"]' });
  });

  it("merges different fields that two clients change at once", async () => {
    const [x, y] = await pair();
    x.set("k", { base: 0 });
    await x.save();
    await until("the other has it", () => y.get("k")?.["base"] === 0);
    x.set("k", { base: 0, fromX: 1 });
    y.set("k", { base: 5, fromY: 2 });
    await Promise.all([x.save(), y.save()]);
    const merged = { base: 5, fromX: 1, fromY: 2 };
    const sorted = (object: Fields | undefined): unknown => Object.entries(object ?? {}).sort();
    await until("both have all", () => {
      const all = [x.get("k"), y.get("k")].map((object) => JSON.stringify(sorted(object)));
      return all[0] === all[1] && all[0] === JSON.stringify(sorted(merged));
    });
  });

  it("refuses what is no object, and takes null as a delete", async () => {
    const [x] = await pair();
    for (const value of [5, "text", true, [1]]) {
      assert.throws(() => x.set("k", value as unknown as Fields), /values must be objects/);
    }
    x.set("k", { a: 1 });
    x.set("k", null);
    assert.equal(x.has("k"), false);
    x.set("k", {});
    assert.deepEqual(x.get("k"), {});
    assert.deepEqual(x.getAll(), { k: {} });
    x.set("k", undefined);
    assert.deepEqual(x.get(), {});
  });

  it("takes any text as a key, and shows a JSON pair also as a field", async () => {
    const [x, y] = await pair();
    const keys = ["", "__proto__", "[", '["a"]', '["a","b","c"]', "é😀", "constructor"];
    for (const [i, key] of keys.entries()) x.set(key, { i, ["__proto__x"]: key });
    x.set('["a","b"]', { x: 1 });
    await x.save();
    await until("the other has all", () => y.has('["a","b"]') && y.dkv.length === 3 * keys.length + 2);
    for (const [i, key] of keys.entries()) assert.deepEqual(y.get(key), { i, ["__proto__x"]: key });
    assert.deepEqual(y.get('["a","b"]'), { x: 1 });
    assert.equal(y.has("a"), false);
    const all = y.getAll();
    assert.deepEqual(all['["a","b"]'], { x: 1 });
    assert.deepEqual(all["a"], { b: ["x"] });
  });

  it("tells changes by field", async () => {
    const [x, y] = await pair();
    const seen: unknown[] = [];
    y.on("change", (change) => seen.push(change));
    x.set("k", { a: 1, b: 2 });
    await x.save();
    await until("told", () => seen.length === 3);
    assert.deepEqual(seen, [{ key: "k" }, { key: "k", field: "a", value: 1 }, { key: "k", field: "b", value: 2 }]);
    seen.length = 0;
    x.set("k", { a: 3, b: 2 });
    await x.save();
    await until("told", () => seen.length === 1);
    assert.deepEqual(seen, [{ key: "k", field: "a", value: 3 }]);
    seen.length = 0;
    x.delete("k");
    await x.save();
    await until("told", () => y.dkv.length === 0 && seen.length > 0);
    assert.deepEqual(seen, [{ key: "k" }]);
  });

  it("has its keys as properties, and methods that work detached", async () => {
    const [x] = await pair();
    x["k"] = { a: 1 };
    assert.deepEqual(x["k"], { a: 1 });
    assert.ok("k" in x);
    assert.deepEqual(Object.keys(x), ["k"]);
    delete x["k"];
    assert.equal(x.has("k"), false);
    const { set, get, clear } = x;
    set("l", { b: 1 });
    assert.deepEqual(get("l"), { b: 1 });
    clear();
    assert.equal(x.length, 0);
    assert.throws(() => ((x as Record<string, unknown>)["set"] = 1), /method name 'set' is read only/);
  });

  it("rejects with key and field, survives a kill, and closes with the last user", async () => {
    const name = `dko-${++count}`;
    const x = await a.dko<Fields>({ name, config: { max_msg_size: 200 } });
    assert.equal(await a.dko({ name }), x as unknown);
    const rejected: unknown[] = [];
    x.on("reject", ({ key, field }) => rejected.push([key, field]));
    x.set("k", { small: 1, large: "x".repeat(500) });
    await x.save();
    assert.deepEqual(rejected, [["k", "large"]]);
    await broker.kill();
    x.set("k", { small: 2 });
    await broker.start();
    await x.save();
    const y = await b.dko<Fields>({ name });
    assert.deepEqual(y.get("k"), { small: 2 });
    x.close();
    assert.deepEqual(x.get("k"), { small: 2 });
    x.close();
    assert.throws(() => x.get("k"), /closed/);
    assert.throws(() => x.dkv.get("k"), /closed/);
  });
});
