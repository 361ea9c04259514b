// Clients of persistent streams, AKV and AStream, against the real broker.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  assertHasWritePermission, connect, messageData, setDefaultReconnectDelay, stream as openStream, type AStreamChange,
  type Client, type DKV, type SetChange, type StreamClient,
} from "conat-client";
import { type Broker, nextEvent, until, startWithClients, stopWithClients } from "./broker.js";

const id = "00000000-0000-4000-8000-000000000000";
let broker: Broker;
let a: Client;
let b: Client;
before(async () => {
  setDefaultReconnectDelay(100);
  [broker, a, b] = await startWithClients();
});
after(() => stopWithClients(broker, a, b));

let count = 0;
const newPath = (): string => `hub/stream-${++count}`;
const text = (value: unknown, headers?: Record<string, unknown>) => ({ messageData: messageData(value, { headers }) });
describe("stream client", () => {
  it("stores, gets, lists and deletes", async () => {
    const s = a.sync.stream({ storage: { path: newPath() } });
    const first = await s.set({ ...text("one", { by: "me" }), key: "k" });
    assert.equal(first.seq, 1);
    assert.ok(Number.isInteger(first.time) && Math.abs(first.time - Date.now()) < 60_000);
    const [second, third] = await s.setMany([text({ n: 2 }), { ...text(Buffer.from([1, 255])), key: "b" }]);
    assert.deepEqual([(second as { seq: number }).seq, (third as { seq: number }).seq], [2, 3]);

    const byKey = await s.get<string>({ key: "k" });
    assert.equal(byKey?.data, "one");
    assert.deepEqual(byKey?.headers, { by: "me", seq: 1, time: first.time, key: "k" });
    const bySeq = await s.get({ seq: 2 });
    assert.deepEqual(bySeq?.data, { n: 2 });
    assert.ok(!("key" in (bySeq?.headers ?? {})));
    assert.equal(await s.get({ seq: 77 }), undefined);
    assert.equal(await s.get({ key: "none" }), undefined);

    const all = await s.getAll();
    assert.deepEqual(all.map(({ seq, key }) => [seq, key]), [[1, "k"], [2, undefined], [3, "b"]]);
    assert.deepEqual(all[0]?.headers, { by: "me" });
    assert.deepEqual((await s.getAll({ start_seq: 2, end_seq: 2 })).map(({ seq }) => seq), [2]);
    assert.deepEqual((await s.keys()).sort(), ["b", "k"]);
    const { bytes, ...inventory } = await s.inventory();
    assert.ok(bytes > 0);
    assert.deepEqual(inventory, { count: 3, limits: {}, seq: 3 });
    assert.deepEqual(await s.delete({ seqs: [1, 3] }), { seqs: [1, 3] });
    assert.deepEqual((await s.getAll()).map(({ seq }) => seq), [2]);
    assert.deepEqual(await s.delete({ all: true }), { seqs: [2] });
    assert.equal((await s.set(text(1))).seq, 4);
    s.close();
  });

  it("knows the configuration and the server", async () => {
    const s = a.sync.stream({ storage: { path: newPath() } });
    const config = await s.config({ config: { max_msgs: 2, discard_policy: "new" } });
    assert.equal(config.max_msgs, 2);
    assert.equal(config.max_age, 0);
    assert.equal((await s.config()).discard_policy, "new");
    await s.setMany([text(1), text(2)]);
    await assert.rejects(s.set(text(3)), { code: "reject", message: "Error: max_msgs limit reached" });
    const [refused] = await s.setMany([text(3)]);
    assert.equal((refused as { code: string }).code, "reject");
    assert.deepEqual((await s.inventory()).limits, { max_msgs: 2, discard_policy: "new" });
    assert.equal(typeof (await s.serverId()), "string");
    await assert.rejects(s.sqlite({ statement: "select 1" }), /sqlite command not currently supported/);
  });

  it("compares previousSeq and recognizes a msgID", async () => {
    const s = a.sync.stream({ storage: { path: newPath() } });
    const first = await s.set({ ...text(1), key: "k", msgID: "once" });
    assert.deepEqual(await s.set({ ...text(1), key: "k", msgID: "once" }), first);
    await assert.rejects(s.set({ ...text(2), key: "k", previousSeq: 17 }), { code: "wrong-last-sequence", message: "Error: wrong last sequence" });
    assert.equal((await s.set({ ...text(2), key: "k", previousSeq: first.seq })).seq, 2);
    assert.equal((await s.inventory()).count, 1);
  });

  it("tells changes in order, to each iterator", async () => {
    const path = newPath();
    const [x, y] = [a.sync.stream({ storage: { path } }), b.sync.stream({ storage: { path } })];
    await x.set(text("before"));
    const feed = await y.changefeed();
    const other = await y.changefeed();
    await x.set({ ...text("after", { h: 1 }), key: "k", msgID: "id-1" });
    const { value } = await feed.next();
    const [change] = value as [SetChange];
    assert.equal(change.seq, 2);
    assert.equal(change.key, "k");
    assert.equal(change.msgID, "id-1");
    assert.deepEqual(change.headers, { h: 1 });
    assert.equal(messageData(null, { raw: change.raw }).data, "after");
    assert.ok(Buffer.isBuffer(change.raw));
    assert.equal(((await other.next()).value as SetChange[])[0]?.seq, 2);
    await x.delete({ seq: 1 });
    assert.deepEqual((await feed.next()).value, [{ op: "delete", seqs: [1] }]);
    await feed.return?.();
    assert.deepEqual(await feed.next(), { value: undefined, done: true });
    y.close();
    assert.deepEqual((await other.next()).value, [{ op: "delete", seqs: [1] }]);
    assert.deepEqual(await other.next(), { value: undefined, done: true });
  });

  it("iterates over a feed that nobody awaited", async () => {
    const s = a.sync.stream({ storage: { path: newPath() } });
    const seen: unknown[] = [];
    const feed = s.changefeed();
    const reading = (async () => {
      for await (const changes of feed) {
        seen.push(...changes);
        if (seen.length === 2) break;
      }
    })();
    await feed;
    await s.setMany([text(1), text(2)]);
    await reading;
    assert.equal(seen.length, 2);
  });

  it("delivers every message exactly once through kills of the broker", async () => {
    const path = newPath();
    const [x, y] = [a.sync.stream({ storage: { path } }), b.sync.stream({ storage: { path } })];
    const feed = await y.changefeed();
    const seen: number[] = [];
    const total = 120;
    const reading = (async () => {
      for await (const changes of feed) {
        for (const change of changes) if (change.op !== "delete") seen.push(messageData<number>(0, { raw: change.raw }).data);
        if (seen.length >= total) break;
      }
    })();
    for (let i = 0; i < total; i++) {
      if (i === 40 || i === 80) {
        await broker.kill();
        const write = x.set({ ...text(i), msgID: `message-${i}`, timeout: 60_000 });
        await broker.start();
        await write;
      } else {
        await x.set({ ...text(i), msgID: `message-${i}`, timeout: 60_000 });
      }
    }
    await reading;
    assert.deepEqual(seen, Array.from({ length: total }, (_, i) => i));
    assert.equal((await x.inventory()).count, total);
  });

  it("reads large streams in parts", async () => {
    const s = a.sync.stream({ storage: { path: newPath(), ephemeral: true } });
    const megabyte = Buffer.alloc(1 << 20, 7);
    for (let i = 0; i < 6; i++) await s.setMany([text(megabyte), text(i)]);
    let parts = 0;
    let messages = 0;
    for await (const part of s.getAllIter()) {
      parts += 1;
      messages += part.length;
    }
    assert.equal(messages, 12);
    assert.ok(parts > 1, "in parts");
    for await (const part of s.getAllIter()) {
      assert.ok(part.length > 0);
      break;
    }
    assert.equal((await s.getAll()).length, 12);
  });

  it("is one object for the same options, and counts its users", async () => {
    const storage = { path: newPath() };
    const s = a.sync.stream({ storage });
    assert.equal(openStream({ client: a, storage: { ...storage }, user: { hub_id: "x" } }), s);
    assert.notEqual(b.sync.stream({ storage }), s);
    const other = a.sync.stream({ storage, noCache: true });
    assert.notEqual(other, s);
    other.close();
    await assert.rejects(other.keys(), /closed/);
    s.close();
    await s.set(text(1));
    const pending = s.get({ seq: 1 });
    s.close();
    await assert.rejects(pending, /closed/);
    s.close();
    assert.throws(() => s.changefeed(), /closed/);
    assert.notEqual(a.sync.stream({ storage }), s);
  });

  it("costs one subscription, given back on close", async () => {
    const own = connect({ address: broker.address, noCache: true });
    await own.waitUntilReady();
    const before = own.numSubscriptions();
    const s = own.sync.stream({ storage: { path: newPath() } });
    await s.changefeed();
    assert.equal(own.numSubscriptions(), before + 1);
    s.close();
    assert.equal(own.numSubscriptions(), before);
    own.close();
  });

  it("has methods that work detached", async () => {
    const { set, get, close } = a.sync.stream({ storage: { path: newPath() } });
    await set(text(5));
    assert.equal((await get({ seq: 1 }))?.data, 5);
    close();
  });

  it("checks permissions before anything is sent", () => {
    const denied = { code: 403, message: /permission denied/ };
    const open = (path: string, user = {}): StreamClient => a.sync.stream({ user, storage: { path } });
    assert.throws(() => open("../hub/x"), denied);
    assert.throws(() => open("hub//x"), denied);
    assert.throws(() => open("/hub/x"), denied);
    assert.throws(() => open("accounts/other/x", { account_id: id }), denied);
    assert.throws(() => open("x", { account_id: "too short" }), { code: 403, message: "invalid subject" });
    open(`accounts/${id}/x`, { account_id: id }).close();
    assert.doesNotThrow(() => assertHasWritePermission({ subject: "persist.hub", path: "anything/at all" }));
    assert.doesNotThrow(() => assertHasWritePermission({ subject: `persist:c.project-${id}`, path: `projects/${id}/a/b`, service: "persist:c" }));
    assert.throws(() => assertHasWritePermission({ subject: `persist.project-${id}`, path: `accounts/${id}/a` }), denied);
    assert.throws(() => assertHasWritePermission({ subject: `other.project-${id}`, path: `projects/${id}/a` }), { code: 403 });
  });

  it("says with every request why it could not be opened", async () => {
    // A component that no file system takes: refused by the server alone.
    const s = a.sync.stream({ storage: { path: `hub/${"x".repeat(300)}` } });
    const refused = { code: 400, message: /longer than 244 bytes/ };
    const fails = nextEvent(s, "error");
    await Promise.all([assert.rejects(s.keys(), refused), assert.rejects(s.set(text(1)), refused)]);
    await fails;
    await assert.rejects(s.get({ seq: 1 }), refused);
    s.close();
    await assert.rejects(a.dkv({ name: "x".repeat(300) }), refused);
  });

  it("fails with the client", async () => {
    const c = connect({ address: "http://127.0.0.1:1", noCache: true });
    const s = c.sync.stream({ storage: { path: "hub/x" } });
    await assert.rejects(s.keys({ timeout: 50 }), { code: 408 });
    const waiting = s.set(text(1));
    const closes = nextEvent(s, "closed");
    c.close();
    await assert.rejects(waiting, /closed/);
    await closes;
    assert.throws(() => c.sync.stream({ storage: { path: "hub/x" } }), /closed/);
  });
});

describe("AKV", () => {
  it("asks the server at every call", async () => {
    const name = `akv-${++count}`;
    const [x, y] = [a.akv({ name }), b.sync.akv({ name })];
    const { seq, time } = await x.set("k", { n: 1 }, { headers: { by: "x" } });
    assert.deepEqual(await y.get("k"), { n: 1 });
    assert.deepEqual(await y.headers("k"), { by: "x", seq, time, key: "k" });
    assert.equal(await y.seq("k"), seq);
    assert.deepEqual(await y.time("k"), new Date(time));
    assert.deepEqual((await y.getMessage("k"))?.data, { n: 1 });
    assert.equal(await y.get("none"), undefined);
    assert.equal(await y.seq("none"), undefined);
    assert.equal(await y.time("none"), undefined);
    await x.set("null", null);
    assert.equal(await y.get("null"), null);
    await x.delete("k");
    assert.equal(await y.get("k"), undefined);
    assert.deepEqual((await y.keys()).sort(), ["k", "null"]);
    assert.equal((await y.headers("k"))?.["CN-Tombstone"], true);
    await assert.rejects(x.set("k", { n: 2 }, { previousSeq: seq }), { code: "wrong-last-sequence" });
    await assert.rejects(x.sqlite("select 1"), /not currently supported/);
    x.close();
    await assert.rejects(x.get("k"), /closed/);
    y.close();
  });

  it("reads and writes many", async () => {
    const x = a.akv<number>({ name: `akv-${++count}` });
    const all = Object.fromEntries(Array.from({ length: 1200 }, (_, i) => [`key ${i}`, i]));
    const outcomes = await x.setMany(all);
    assert.equal(outcomes.length, 1200);
    assert.ok(outcomes.every((outcome) => "seq" in outcome));
    assert.deepEqual(await x.getMany(["key 1", "no", "key 1199", "key 1"]), { "key 1": 1, "key 1199": 1199 });
    assert.equal((await x.getMany(Object.keys(all)))["key 700"], 700);
    assert.equal((await x.keys()).length, 1200);
  });

  it("shares its data with the DKV of its name", async () => {
    const name = `akv-${++count}`;
    const [x, kv] = [a.akv({ name }), (await b.dkv({ name })) as DKV];
    await x.set("a", 1);
    await until("the DKV has it", () => kv.get("a") === 1);
    kv.set("b", [2]);
    kv.delete("a");
    await kv.save();
    assert.deepEqual(await x.get("b"), [2]);
    assert.equal(await x.get("a"), undefined);
    await x.delete("b");
    await until("deleted there as well", () => !kv.has("b"));
  });

  it("keeps limits, expires, and belongs to its owner", async () => {
    const x = a.akv({ name: `akv-${++count}`, config: { allow_msg_ttl: true, max_msg_size: 100 }, desc: "some" });
    await assert.rejects(x.set("k", "x".repeat(200)), { code: "reject" });
    await x.set("k", 1, { ttl: 300 });
    assert.equal((await x.config()).desc, "some");
    await until("it expired", async () => (await x.getMessage("k")) === undefined);
    const theirs = a.akv({ name: "mine", account_id: id });
    await theirs.set("k", "theirs");
    assert.equal(await a.akv({ name: "mine" }).get("k"), undefined);
    assert.equal(await b.akv({ name: "mine", account_id: id }).get("k"), "theirs");
    assert.throws(() => a.akv({ name: "x", account_id: "short" }), { code: 403 });
  });

  it("is one object for the same options, and counts its users", async () => {
    const name = `akv-${++count}`;
    const x = a.akv({ name });
    assert.equal(a.akv({ name }), x);
    assert.notEqual(a.akv({ name, noCache: true }), x);
    assert.notEqual(a.astream({ name }) as unknown, x);
    x.close();
    await x.set("k", 1);
    const { get, close } = x;
    assert.equal(await get("k"), 1);
    close();
    await assert.rejects(x.set("k", 1), /closed/);
  });

  it("answers after a restart of the broker", async () => {
    const x = a.akv({ name: `akv-${++count}` });
    await x.set("k", 1);
    await broker.kill();
    const [read, write] = [x.get("k", { timeout: 60_000 }), x.set("l", 2, { timeout: 60_000 })];
    await broker.start();
    assert.equal(await read, 1);
    await write;
    assert.equal(await x.get("l"), 2);
  });
});

describe("AStream", () => {
  it("publishes, reads and deletes", async () => {
    const name = `astream-${++count}`;
    const [x, y] = [a.astream<unknown>({ name }), b.sync.astream<unknown>({ name })];
    const first = await x.publish("one", { headers: { h: 1 }, key: "k" });
    const rest = await x.push("two", { three: 3 });
    assert.deepEqual(rest.map((item) => (item as { seq: number }).seq), [first.seq + 1, first.seq + 2]);
    assert.equal(await y.get(first.seq), "one");
    assert.equal(await y.get("k"), "one");
    assert.equal(await y.get(99), undefined);
    assert.deepEqual(await y.headers("k"), { h: 1, seq: first.seq, time: first.time, key: "k" });
    assert.deepEqual((await y.getMessage(first.seq + 2))?.data, { three: 3 });
    const all = [];
    for await (const message of y.getAll()) all.push(message);
    assert.deepEqual(all[0], { mesg: "one", seq: first.seq, time: first.time, key: "k", headers: { h: 1 } });
    assert.deepEqual(all.map(({ mesg }) => mesg), ["one", "two", { three: 3 }]);
    const some = [];
    for await (const { mesg } of y.getAll({ start_seq: 2, end_seq: 2 })) some.push(mesg);
    assert.deepEqual(some, ["two"]);
    assert.deepEqual(await x.delete({ last_seq: 2 }), { seqs: [1, 2] });
    assert.equal((await y.inventory()).count, 1);
    x.close();
    await assert.rejects(x.get(1), /closed/);
    assert.throws(() => x.changefeed(), /closed/);
  });

  it("tells one change at a time", async () => {
    const name = `astream-${++count}`;
    const [x, y] = [a.astream<string>({ name }), b.astream<string>({ name })];
    const feed = await y.changefeed();
    const at = await x.publish("one", { key: "k", headers: { h: [1] } });
    await x.push("two", "three");
    await x.delete({ seq: 2 });
    const seen: AStreamChange<string>[] = [];
    for await (const change of feed) {
      seen.push(change);
      if (seen.length === 4) break;
    }
    assert.deepEqual(seen[0], { op: "set", mesg: "one", ...at, key: "k", headers: { h: [1] } });
    assert.deepEqual(seen.slice(1, 3).map((change) => change.op === "set" && change.mesg), ["two", "three"]);
    assert.deepEqual(seen[3], { op: "delete", seqs: [2] });
    assert.deepEqual(await feed.next(), { value: undefined, done: true });
  });

  it("says of each message of a push what became of it", async () => {
    const x = a.astream({ name: `astream-${++count}`, config: { max_msgs: 2, discard_policy: "new" } });
    const [one, two, three] = await x.push(1, 2, 3);
    assert.ok("seq" in one! && "seq" in two!);
    assert.deepEqual(three, { error: "Error: max_msgs limit reached", code: "reject" });
    await assert.rejects(x.publish(4), { code: "reject" });
  });
});
