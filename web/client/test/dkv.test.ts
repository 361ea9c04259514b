// Key-value stores against the real broker.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ConatError, type Client, type DKV, type MergeInput } from "conat-client";
import { type Broker, nextEvent, until, startWithClients, stopWithClients } from "./broker.js";

let broker: Broker;
let a: Client;
let b: Client;
before(async () => {
  [broker, a, b] = await startWithClients();
});
after(() => stopWithClients(broker, a, b));

let count = 0;
/** The same new store, opened by both clients. */
async function pair<T = unknown>(options: Partial<Parameters<Client["dkv"]>[0]> = {}): Promise<[DKV<T>, DKV<T>]> {
  const all = { name: `test-${++count}`, ...options } as Parameters<Client["dkv"]>[0];
  return Promise.all([a.dkv(all), b.dkv(all)]) as Promise<[DKV<T>, DKV<T>]>;
}

describe("DKV", () => {
  it("reads what it wrote at once, and others read it soon", async () => {
    const [x, y] = await pair();
    const value = { list: [1, null, "é"], when: new Date(1e12), bytes: Buffer.from([1, 255]) };
    x.set("key", value);
    x.set("null", null);
    assert.deepEqual(x.get("key"), value);
    assert.equal(x.get("null"), null);
    assert.equal(x.has("null"), true);
    assert.equal(x.get("missing"), undefined);
    assert.equal(x.hasUnsavedChanges(), true);
    assert.deepEqual(x.unsavedChanges().sort(), ["key", "null"]);
    assert.equal(x.isStable(), false);
    assert.equal(x.seq("key"), undefined);
    await x.save();
    assert.equal(x.hasUnsavedChanges(), false);
    assert.equal(x.isStable(), true);
    assert.ok((x.seq("key") ?? 0) > 0);
    assert.ok(Math.abs((x.time("key")?.getTime() ?? 0) - Date.now()) < 60_000);
    assert.deepEqual(Object.keys(x.time()), ["key", "null"]);
    await until("the other has it", () => y.length === 2);
    assert.deepEqual(y.getAll(), { key: value, null: null });
    assert.deepEqual(y.get(), y.getAll());
    assert.deepEqual(y.keys(), ["key", "null"]);
    assert.deepEqual(y.stats().count, 2);
  });

  it("gives out copies", async () => {
    const [x] = await pair<{ n: number }>();
    x.set("k", { n: 1 });
    const value = x.get("k") as { n: number };
    value.n = 2;
    assert.deepEqual(x.get("k"), { n: 1 });
  });

  it("deletes, clears and sets many", async () => {
    const [x, y] = await pair();
    x.setMany({ a: 1, b: 2, c: 3, d: 4 });
    x.delete("a");
    x.set("b", undefined);
    x.delete("never there");
    assert.deepEqual(x.getAll(), { c: 3, d: 4 });
    await x.save();
    await until("the other has it", () => y.length === 2);
    y.clear();
    assert.equal(y.length, 0);
    await y.save();
    await until("cleared", () => x.length === 0);
    assert.deepEqual(x.getAll(), {});
  });

  it("has its keys as properties", async () => {
    const [x] = await pair();
    x["a"] = 5;
    x["b c"] = [1];
    assert.equal(x["a"], 5);
    assert.equal(x.get("a"), 5);
    assert.ok("a" in x);
    assert.ok(!("z" in x));
    assert.equal(x["z"], undefined);
    assert.deepEqual(Object.keys(x), ["a", "b c"]);
    assert.deepEqual({ ...x }, { a: 5, "b c": [1] });
    assert.equal(JSON.stringify(x), '{"a":5,"b c":[1]}');
    delete x["a"];
    assert.equal(x.has("a"), false);
    assert.throws(() => ((x as Record<string, unknown>)["set"] = 1), /method name 'set' is read only/);
    assert.throws(() => delete (x as Record<string, unknown>)["get"], /read only/);
    assert.equal(await x, x, "awaiting a store gives the store");
  });

  it("has methods that work detached", async () => {
    const [x] = await pair();
    const { get, set, keys, has, save, on, unsavedChanges } = x;
    on("change", () => undefined);
    set("k", 1);
    assert.equal(get("k"), 1);
    assert.deepEqual([keys(), has("k"), unsavedChanges()], [["k"], true, ["k"]]);
    await save();
  });

  it("takes any text as a key", async () => {
    const [x, y] = await pair();
    const keys = ["", " ", "é😀", "__proto__", "constructor", "a/b.c*>", "x".repeat(5000), "\u0000", "get"];
    for (const [i, key] of keys.entries()) x.set(key, i);
    await x.save();
    await until("the other has all", () => y.length === keys.length);
    for (const [i, key] of keys.entries()) assert.equal(y.get(key), i, key.slice(0, 20));
    assert.deepEqual(Object.entries(y.getAll()), keys.map((key, i) => [key, i]));
  });

  it("keeps headers", async () => {
    const [x, y] = await pair();
    x.set("k", 1, { headers: { by: "me" } });
    x.set("plain", 1);
    assert.deepEqual(x.headers("k"), { by: "me" });
    await x.save();
    await until("the other has it", () => y.has("k") && y.has("plain"));
    assert.deepEqual(y.headers("k"), { by: "me" });
    assert.equal(y.headers("plain"), undefined);
    assert.equal(y.headers("missing"), undefined);
  });

  it("tells changes, with what was before", async () => {
    const [x, y] = await pair<number>();
    const changes: unknown[] = [];
    y.on("change", (change) => changes.push(change));
    const local: unknown[] = [];
    x.on("change", ({ key, value }) => local.push([key, value]));
    x.set("k", 1);
    assert.deepEqual(local, [], "not before the echo");
    await x.save();
    x.set("k", 2);
    await x.save();
    x.delete("k");
    await x.save();
    await until("three changes", () => changes.length === 3);
    assert.deepEqual(changes, [
      { key: "k", value: 1, prev: undefined },
      { key: "k", value: 2, prev: 1 },
      { key: "k", value: undefined, prev: 2 },
    ]);
    assert.deepEqual(local, [["k", 1], ["k", 2], ["k", undefined]]);
  });

  it("tells when it is stable", async () => {
    const [x] = await pair();
    const stable = nextEvent(x, "stable");
    x.set("k", 1);
    await stable;
    assert.equal(x.isStable(), true);
  });

  it("rejects what the limits forbid", async () => {
    const [x] = await pair({ config: { max_msg_size: 100 } });
    const rejected = nextEvent<[{ key: string; value: unknown; error: ConatError }]>(x, "reject");
    x.set("small", 1);
    x.set("large", "x".repeat(1000));
    const [{ key, value, error }] = await rejected;
    assert.deepEqual([key, value], ["large", "x".repeat(1000)]);
    assert.ok(error instanceof ConatError);
    await x.save();
    assert.equal(x.has("large"), false);
    assert.equal(x.get("small"), 1);
  });

  it("saves only when told, with noAutosave", async () => {
    const [x, y] = await pair({ noAutosave: true });
    x.set("k", 1);
    await new Promise((resolve) => setTimeout(resolve, 150));
    assert.equal(x.hasUnsavedChanges(), true);
    assert.equal(y.has("k"), false);
    await x.save();
    await until("the other has it", () => y.get("k") === 1);
  });

  it("is one object for all who open it, until the last close", async () => {
    const options = { name: "shared" };
    const [x, again] = [await a.dkv(options), await a.dkv(options)];
    assert.equal(x, again);
    assert.equal(await a.sync.dkv(options), x);
    const own = await a.dkv({ ...options, noCache: true });
    assert.notEqual(own, x);
    own.close();
    x.close();
    again.close();
    assert.equal(x.isClosed(), false);
    let closed = 0;
    x.on("closed", () => (closed += 1));
    x.close();
    x.close();
    assert.equal(closed, 1);
    for (const call of [() => x.get("k"), () => x.set("k", 1), () => x.keys(), () => x.length, () => x["k"]]) {
      assert.throws(call, { message: "closed" });
    }
    await assert.rejects(x.save(), { message: "closed" });
    assert.notEqual(await a.dkv(options), x);
  });

  it("still sends what was written before its close, and gives its subscription back", async () => {
    const subscriptions = a.numSubscriptions();
    const x = await a.dkv({ name: "last-words" });
    x.set("k", "said");
    x.close();
    const y = await b.dkv({ name: "last-words" });
    await until("it arrived", () => y.get("k") === "said");
    await until("the subscription is back", () => a.numSubscriptions() === subscriptions);
  });

  it("belongs to its owner", async () => {
    const account_id = "00000000-0000-4000-8000-000000000001";
    const [mine, hub] = [await a.dkv({ name: "owned", account_id }), await a.dkv({ name: "owned" })];
    mine.set("k", "mine");
    await mine.save();
    assert.equal(hub.has("k"), false);
    await assert.rejects(a.dkv({ name: "../escape", account_id }), ConatError);
    await assert.rejects(a.dkv({ name: "" }), ConatError);
    await assert.rejects(a.dkv({ name: "x", merge: "nonsense" as "lww" }), /unknown merge/);
  });

  it("keeps what was acknowledged through kill -9, and saves the rest afterwards", async () => {
    const [x, y] = await pair();
    x.set("before", 1);
    await x.save();
    await broker.kill();
    x.set("while down", 2);
    assert.equal(x.get("while down"), 2);
    await broker.start();
    await x.save();
    await until("the other has both", () => y.get("before") === 1 && y.get("while down") === 2);
  });
});

describe("merges", () => {
  /** Both sides change a key while the broker is away; both come back. */
  async function conflict<T>(merge: Parameters<Client["dkv"]>[0]["merge"], start: T | undefined, left: T | undefined, right: T | undefined): Promise<[DKV<T>, DKV<T>]> {
    const [x, y] = await pair<T>(merge === undefined ? {} : { merge });
    if (start !== undefined) {
      x.set("k", start);
      await x.save();
      await until("both start alike", () => y.has("k"));
    }
    await broker.kill();
    x.set("k", left);
    y.set("k", right);
    await broker.start();
    await Promise.all([x.save(), y.save()]);
    await until("converged", () => JSON.stringify(x.get("k")) === JSON.stringify(y.get("k")) && x.isStable() && y.isStable());
    return [x, y];
  }

  it("converges with the last write", async () => {
    const [x] = await conflict(undefined, 0, 1, 2);
    assert.ok([1, 2].includes(x.get("k") as number));
  });

  it("merges fields", async () => {
    const [x] = await conflict("fields", { a: 1, b: 1 } as object, { a: 2, b: 1 }, { a: 1, b: 2, c: 3 });
    assert.deepEqual(x.get("k"), { a: 2, b: 2, c: 3 });
  });

  it("adds counters", async () => {
    const [x] = await conflict("counter", 10, 13, 8);
    assert.equal(x.get("k"), 11);
  });

  it("unites sets", async () => {
    const [x] = await conflict("set", ["a", "b"], ["b", "c"], ["a", "b", "d"]);
    assert.deepEqual([...(x.get("k") ?? [])].sort(), ["b", "c", "d"]);
  });

  it("merges texts", async () => {
    const [x] = await conflict("text", "one two three", "ONE two three", "one two THREE");
    assert.equal(x.get("k"), "ONE two THREE");
  });

  it("asks a function, with both sides and what they had in common", async () => {
    const inputs: MergeInput<string[]>[] = [];
    const merge = (input: MergeInput<string[]>): string[] => {
      inputs.push(input);
      return [...new Set([...(input.local ?? []), ...(input.remote ?? [])])].sort();
    };
    const [x] = await conflict(merge as never, ["start"], ["left"], ["right"]);
    assert.deepEqual(x.get("k"), ["left", "right"]);
    assert.ok(inputs.length >= 1);
    for (const { key, prev, local, remote } of inputs) {
      assert.equal(key, "k");
      assert.deepEqual(prev, ["start"]);
      assert.notDeepEqual(local, remote);
    }
  });

  it("lets the local value win when the function throws or says nothing", async () => {
    const warn = console.warn;
    console.warn = () => undefined;
    try {
      for (const merge of [() => undefined, () => { throw new Error("no"); }]) {
        const [x] = await conflict(merge, 0, 1, 2);
        assert.ok([1, 2].includes(x.get("k") as number));
      }
    } finally {
      console.warn = warn;
    }
  });

  it("lets a merge function look into its store, and set other keys", async () => {
    const stores: DKV[] = [];
    const merge = ({ local, remote }: MergeInput<unknown>): unknown => {
      for (const store of stores) {
        assert.ok(store.has("k"));
        store.set("log", "merged");
      }
      return Math.max(Number(local), Number(remote));
    };
    stores.push(...(await pair({ merge })));
    const [x, y] = stores as [DKV, DKV];
    await broker.kill();
    x.set("k", 1);
    y.set("k", 2);
    await broker.start();
    await Promise.all([x.save(), y.save()]);
    await until("converged", () => x.get("k") === 2 && y.get("k") === 2 && x.get("log") === "merged" && y.get("log") === "merged");
  });
});
