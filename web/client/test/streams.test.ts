// Streams that the client holds whole: CoreStream and DStream, against the real broker.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  CoreStream, cstream, DKV, DStream, dstream, setDefaultReconnectDelay, type Client, type CoreStreamChange,
} from "conat-client";
import { type Broker, nextEvent, until, startWithClients, stopWithClients } from "./broker.js";

let broker: Broker;
let a: Client;
let b: Client;
before(async () => {
  setDefaultReconnectDelay(100);
  [broker, a, b] = await startWithClients();
});
after(() => stopWithClients(broker, a, b));

let count = 0;
const newName = (): string => `stream-${++count}`;

describe("CoreStream", () => {
  async function pair<T = unknown>(options: object = {}): Promise<[CoreStream<T>, CoreStream<T>]> {
    const all = { name: newName(), ...options };
    return Promise.all([a.cstream<T>(all), b.sync.cstream<T>(all)]);
  }

  it("reads by index what was published", async () => {
    const [x, y] = await pair();
    const first = await x.publish("one", { headers: { by: "x" } });
    assert.ok(first && first.seq === 1 && Number.isInteger(first.time));
    await x.publish({ two: [2, null] });
    assert.deepEqual(x.get(), ["one", { two: [2, null] }]);
    assert.equal(x.length, 2);
    await until("the other has it", () => y.length === 2);
    assert.deepEqual(y.getAll(), ["one", { two: [2, null] }]);
    assert.deepEqual(y.messages, y.getAll());
    assert.equal(y.get(0), "one");
    assert.equal(y.get(2), undefined);
    assert.deepEqual([y.seq(0), y.seq(1), y.seq(2)], [1, 2, undefined]);
    assert.deepEqual(y.time(0), new Date(first.time));
    assert.equal(y.times().length, 2);
    assert.deepEqual(y.headers(0), { by: "x" });
    assert.equal(y.headers(1), undefined);
    const [raw] = y.raw;
    assert.deepEqual({ ...raw, raw: undefined }, { seq: 1, timestamp: first.time, headers: { by: "x" }, raw: undefined });
    assert.ok(Buffer.isBuffer(raw?.raw));
    const { count: messages, bytes } = y.stats();
    assert.equal(messages, 2);
    assert.equal(bytes, y.raw.reduce((sum, message) => sum + message.raw.length, 0));
    assert.equal(y.stats({ start_seq: 2 }).count, 1);
    assert.equal(y.storage.path, `hub/${y.opts.name}`);
    assert.equal(y.start_seq, undefined);
  });

  it("reads by key, and a newer message replaces the older one", async () => {
    const [x, y] = await pair<number>();
    await x.setKv("a", 1, { headers: { h: 1 } });
    await x.setKv("b", 2);
    const third = await x.setKv("a", 3);
    assert.equal(x.getKv("a"), 3);
    assert.deepEqual(x.keysKv(), ["a", "b"]);
    assert.deepEqual(x.getAllKv(), { a: 3, b: 2 });
    assert.deepEqual(x.getAll(), [2, 3]);
    assert.equal(x.lengthKv, 2);
    assert.equal(x.seqKv("a"), third?.seq);
    assert.deepEqual(x.timeKv("a"), new Date(third?.time ?? 0));
    assert.deepEqual(Object.keys(x.timeKv()), ["a", "b"]);
    assert.equal(x.headersKv("a"), undefined);
    assert.equal(x.kv["b"]?.mesg, 2);
    await x.deleteKv("never there");
    await x.deleteKv("a");
    assert.equal(x.hasKv("a"), false);
    assert.equal(x.getKv("a"), undefined);
    assert.deepEqual(x.keysKv(), ["b"]);
    await x.publish(undefined, { key: "b" });
    assert.equal(x.lengthKv, 0);
    await assert.rejects(x.publish(undefined), /must not be 'undefined'/);
    await until("the other has it", () => y.length === 2 && y.lengthKv === 0);
    assert.equal(y.headers(0)?.["CN-Tombstone"], true);
    await assert.rejects(x.setKv("c", 1, { previousSeq: 99 }), { code: "wrong-last-sequence" });
    const outcomes = await x.setKvMany([{ key: "c", mesg: 5 }, { key: "d", mesg: 6, options: { previousSeq: 99 } }]);
    assert.ok("seq" in outcomes[0]!);
    assert.deepEqual(outcomes[1], { error: "Error: wrong last sequence", code: "wrong-last-sequence" });
    x.gcKv();
  });

  it("publishes many in batches and deletes in every way", async () => {
    const [x, y] = await pair<number>();
    const outcomes = await x.publishMany(Array.from({ length: 1203 }, (_, i) => ({ mesg: i })));
    assert.equal(outcomes.length, 1203);
    assert.ok(outcomes.every((outcome, i) => "seq" in outcome && outcome.seq === i + 1));
    assert.equal(x.length, 1203);
    assert.deepEqual(await x.delete({ last_index: -1 }), { seqs: [] });
    assert.equal((await x.delete({ last_index: 999 })).seqs.length, 1000);
    assert.equal(x.length, 203);
    assert.deepEqual(await x.delete({ seq: 1001 }), { seqs: [1001] });
    assert.deepEqual(await x.delete({ seqs: [1002, 1003] }), { seqs: [1002, 1003] });
    assert.equal((await x.delete({ last_seq: 1100 })).seqs.length, 97);
    await x.setKv("k", -1);
    const seq = x.seqKv("k");
    assert.deepEqual(await x.delete({ key: "k" }), { seqs: [seq] });
    assert.equal(x.hasKv("k"), false);
    assert.deepEqual(x.getAll(), Array.from({ length: 103 }, (_, i) => 1100 + i));
    await until("the other has it", () => y.length === 103 && y.get(0) === 1100);
    assert.equal((await x.delete({ last_index: 500 })).seqs.length, 103);
    assert.equal(x.length, 0);
    await until("the other is empty", () => y.length === 0);
  });

  it("tells changes", async () => {
    const [x, y] = await pair();
    const seen: CoreStreamChange<unknown>[] = [];
    y.on("change", (change) => seen.push(change));
    await x.publish("plain", { msgID: "an-id" });
    await x.setKv("k", 1);
    await x.setKv("k", 2);
    await x.deleteKv("k");
    await x.delete({ seq: 1 });
    await until("told", () => seen.length === 5);
    const brief = seen.map(({ mesg, key, prev, msgID, raw }) => [mesg, key, prev, msgID?.slice(0, 5), raw.seq]);
    assert.deepEqual(brief[0], ["plain", undefined, undefined, "an-id", 1]);
    assert.deepEqual(brief[1]?.slice(0, 3), [1, "k", undefined]);
    assert.deepEqual(brief[2]?.slice(0, 3), [2, "k", 1]);
    assert.deepEqual(brief[3]?.slice(0, 3), [undefined, "k", 2]);
    assert.deepEqual(brief[4]?.slice(0, 3), [undefined, undefined, undefined]);
    assert.equal(seen[4]?.raw.seq, 1);
  });

  it("starts in the middle and loads what is before", async () => {
    const name = newName();
    const x = await a.cstream<number>({ name });
    await x.publishMany(Array.from({ length: 20 }, (_, i) => ({ mesg: i + 1 })));
    const y = await b.cstream<number>({ name, start_seq: 16 });
    assert.deepEqual(y.getAll(), [16, 17, 18, 19, 20]);
    assert.equal(y.start_seq, 16);
    const loaded: number[] = [];
    y.on("change", ({ mesg }) => loaded.push(mesg as number));
    await y.load({ start_seq: 11 });
    assert.equal(y.start_seq, 11);
    assert.deepEqual(y.getAll(), [11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
    assert.deepEqual(loaded, [11, 12, 13, 14, 15]);
    await y.load({ start_seq: 15 });
    await y.load();
    assert.equal(y.length, 20);
    assert.equal(y.start_seq, undefined);
    await x.publish(21);
    await until("it goes on", () => y.get(20) === 21);
  });

  it("finds out what was deleted and set while it was away", async () => {
    const [x, y] = await pair<number>();
    await x.publishMany([1, 2, 3].map((mesg) => ({ mesg })));
    await until("the other has it", () => y.length === 3);
    const away = nextEvent(y, "disconnected");
    b.disconnect();
    await away;
    await x.delete({ seq: 2 });
    await x.publish(4);
    b.connect();
    await until("it caught up", () => y.length === 3 && y.get(2) === 4);
    assert.deepEqual(y.getAll(), [1, 3, 4]);
    await broker.kill();
    const write = x.publish(5, { timeout: 60_000 });
    await broker.start();
    await write;
    assert.deepEqual(x.getAll(), [1, 3, 4, 5]);
    await until("the other as well", () => y.length === 4);
  });

  it("knows its configuration, shares objects, and closes", async () => {
    const name = newName();
    const x = await cstream<number>({ client: a, name, config: { max_msgs: 2 }, desc: { some: "thing" } });
    assert.equal(await a.cstream({ name, desc: { some: "thing" }, config: { max_msgs: 2 } }), x as unknown);
    assert.notEqual(await a.cstream({ name }), x as unknown);
    assert.deepEqual((await x.config()).desc, { some: "thing" });
    await x.publishMany([1, 2, 3].map((mesg) => ({ mesg })));
    await until("the limit holds", () => x.length === 2);
    assert.deepEqual(x.getAll(), [2, 3]);
    assert.equal((await x.inventory()).count, 2);
    const own = new CoreStream<number>({ client: a, name });
    assert.throws(() => own.getAll(), /not open/);
    await own.init();
    assert.deepEqual(own.getAll(), [2, 3]);
    own.close();
    assert.throws(() => own.getAll(), /closed/);
    x.close();
    assert.equal(x.length, 2);
    x.close();
    assert.throws(() => x.length, /closed/);
    await assert.rejects(x.publish(1), /closed/);
    await assert.rejects(a.cstream({ name: "x", account_id: "short" }), { code: 403 });
  });
});

describe("DStream", () => {
  async function pair<T = unknown>(options: object = {}): Promise<[DStream<T>, DStream<T>]> {
    const all = { name: newName(), ...options };
    return Promise.all([a.dstream<T>(all), b.sync.dstream<T>(all)]);
  }

  it("shows what was published at once, and others see it soon", async () => {
    const [x, y] = await pair();
    x.publish({ n: 1 }, { headers: { h: 1 } });
    x.push("two", null);
    assert.equal(x.length, 3);
    assert.deepEqual(x.getAll(), [{ n: 1 }, "two", null]);
    assert.deepEqual(x.get(), x.getAll());
    assert.deepEqual([x[0], x[1], x[3]], [{ n: 1 }, "two", undefined]);
    assert.equal(x.get(1), "two");
    assert.deepEqual([x.seq(0), x.time(0), x.headers(0)], [undefined, undefined, undefined]);
    assert.deepEqual(x.seqs(), []);
    assert.equal(x.hasUnsavedChanges(), true);
    assert.deepEqual(x.unsavedChanges(), [{ n: 1 }, "two", null]);
    assert.equal(x.isStable(), false);
    await x.save();
    assert.equal(x.hasUnsavedChanges(), false);
    assert.deepEqual(x.seqs(), [1, 2, 3]);
    assert.equal(x.seq(2), 3);
    await until("told by the stream", () => x.isStable());
    assert.ok(x.time(0) instanceof Date);
    assert.equal(x.times().length, 3);
    assert.deepEqual(x.headers(0), { h: 1 });
    assert.equal(x.headers(1), undefined);
    await until("the other has it", () => y.length === 3);
    assert.deepEqual(y.getAll(), [{ n: 1 }, "two", null]);
    assert.deepEqual(y.headers(0), { h: 1 });
    assert.throws(() => x.publish(undefined), /must not be 'undefined'/);
    assert.throws(() => ((x as unknown as Record<string, unknown>)["publish"] = 1), /method name 'publish' is read only/);
    assert.equal(x.stream.storage.path, `hub/${x.opts.name}`);
  });

  it("tells changes with their numbers, and when all is stable", async () => {
    const [x, y] = await pair<number>();
    const [own, other]: [unknown[], unknown[]] = [[], []];
    x.on("change", (mesg, seq) => own.push([mesg, seq]));
    y.on("change", (mesg, seq) => other.push([mesg, seq]));
    const stable = nextEvent(x, "stable");
    x.push(1, 2);
    await stable;
    await until("told", () => other.length === 2);
    assert.deepEqual(own, [[1, 1], [2, 2]]);
    assert.deepEqual(other, own);
    assert.deepEqual(await x.delete({ seq: 1 }), { seqs: [1] });
    assert.deepEqual(x.getAll(), [2]);
    await until("the other as well", () => y.length === 1);
    assert.equal(other.length, 2);
  });

  it("keeps the order of each publisher, and everything once, through kills of the broker", async () => {
    const [x, y] = await pair<string>();
    const seen: string[] = [];
    y.on("change", (mesg) => seen.push(mesg));
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 40; i++) x.publish(`x${round * 40 + i}`);
      for (let i = 0; i < 20; i++) y.publish(`y${round * 20 + i}`);
      assert.equal(new Set(x.getAll()).size, x.length);
      await broker.kill();
      x.publish(`x-while-away-${round}`);
      await broker.start();
    }
    await Promise.all([x.save(), y.save()]);
    await until("both have all", () => x.length === 183 && y.length === 183 && x.isStable() && y.isStable());
    assert.deepEqual(x.getAll(), y.getAll());
    const of = (prefix: string): string[] => x.getAll().filter((mesg) => mesg.startsWith(prefix) && !mesg.includes("-"));
    assert.deepEqual(of("x"), Array.from({ length: 120 }, (_, i) => `x${i}`));
    assert.deepEqual(of("y"), Array.from({ length: 60 }, (_, i) => `y${i}`));
    assert.deepEqual([...seen].sort(), [...y.getAll()].sort());
  });

  it("saves when it is told to, with noAutosave", async () => {
    const [x, y] = await pair<number>({ noAutosave: true });
    x.push(1, 2);
    await y.save();
    assert.equal(y.length, 0);
    await x.save();
    await until("the other has it", () => y.length === 2);
    x.publish(3);
    assert.deepEqual(await x.delete({ last_index: 1 }), { seqs: [1, 2] });
    assert.deepEqual(x.getAll(), [3]);
    x.publish(4);
    x.close();
    await until("deleted there", () => y.length === 1);
    assert.deepEqual(y.getAll(), [3]);
  });

  it("sends what is unsaved after it was closed", async () => {
    const [x, y] = await pair<number>();
    x.publish(1);
    x.close();
    assert.throws(() => x.publish(2), /closed/);
    assert.throws(() => x[0], /closed/);
    await until("the other has it", () => y.length === 1);
  });

  it("rejects what the server refuses", async () => {
    const [x] = await pair({ config: { max_msg_size: 100 } });
    const rejected: unknown[] = [];
    x.on("reject", ({ err, mesg }) => rejected.push([(err as { code?: unknown }).code, mesg]));
    x.push("small", "x".repeat(500), "also small");
    await x.save();
    await until("told", () => rejected.length === 1);
    assert.deepEqual(rejected, [["reject", "x".repeat(500)]]);
    assert.deepEqual(x.getAll(), ["small", "also small"]);
    assert.throws(() => x.publish(new Uint8Array(40 << 20)), { code: 413 });
  });

  it("starts in the middle and loads what is before", async () => {
    const name = newName();
    const x = await a.dstream<number>({ name });
    for (let i = 1; i <= 10; i++) x.publish(i);
    await x.save();
    const y = await b.dstream<number>({ name, start_seq: 8 });
    assert.deepEqual(y.getAll(), [8, 9, 10]);
    assert.equal(y.start_seq, 8);
    const loaded: number[] = [];
    y.on("change", (mesg) => loaded.push(mesg));
    await y.load({ start_seq: 5 });
    assert.deepEqual(y.getAll(), [5, 6, 7, 8, 9, 10]);
    assert.deepEqual(loaded, [5, 6, 7]);
    assert.equal(y.start_seq, 5);
    await y.load({ start_seq: 0 });
    assert.equal(y.length, 10);
  });

  it("saves a long backlog quickly, and loads it", async () => {
    const [x, y] = await pair<number>();
    for (let i = 0; i < 10_000; i++) x.publish(i);
    assert.equal(x.length, 10_000);
    await x.save();
    await until("the other has it", () => y.length === 10_000, 60_000);
    assert.deepEqual(y.getAll(), Array.from({ length: 10_000 }, (_, i) => i));
  });

  it("shares objects by name and owner, and has methods that work detached", async () => {
    const name = newName();
    const x = await dstream<number>({ client: a, name });
    assert.equal(await a.dstream({ name, config: { max_msgs: 5 } }), x as unknown);
    assert.notEqual(await a.dstream({ name, noCache: true }), x as unknown);
    const { publish, getAll, save, close } = x;
    publish(1);
    await save();
    assert.deepEqual(getAll(), [1]);
    close();
    assert.equal(x.length, 1);
    close();
    assert.throws(() => x.length, /closed/);
    const own = new DStream<number>({ client: a, name });
    await own.init();
    assert.deepEqual(own.getAll(), [1]);
    assert.equal((await own.inventory()).count, 1);
    assert.equal((await own.config({ max_msgs: 7 })).max_msgs, 7);
    own.close();
  });

  it("costs one subscription, given back on close", async () => {
    await a.waitUntilReady();
    const before = a.numSubscriptions();
    const x = await a.dstream({ name: newName() });
    assert.equal(a.numSubscriptions(), before + 1);
    x.close();
    assert.equal(a.numSubscriptions(), before);
  });
});

describe("DKV by its constructor", () => {
  it("opens with init(), and shows the stream below", async () => {
    const name = newName();
    const kv = new DKV<number>({ client: a, name });
    assert.throws(() => kv.get("a"), /not open/);
    await kv.init();
    kv["a"] = 5;
    await kv.save();
    assert.equal((await b.dkv({ name })).get("a"), 5);
    assert.equal(kv.kv.storage.path, `hub/${name}`);
    assert.equal((await kv.kv.inventory()).count, 1);
    kv.close();
    assert.throws(() => kv.get("a"), /closed/);
  });
});
