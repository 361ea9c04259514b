// What existing programs depend on, one by one, against the real broker.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo, type Server } from "node:net";
import { after, before, describe, it } from "node:test";
import {
  connect, ConatError, DataEncoding, decode, encode, getClient, messageData, setDefaultTimeouts, type Client, type Message,
  type Subscription,
} from "conat-client";
import { Broker, nextEvent, until } from "./broker.js";

let broker: Broker;
let client: Client;
const clients: Client[] = [];
const open = (options: Parameters<typeof connect>[0] = {}): Client => {
  const made = connect({ address: broker.address, noCache: true, reconnectionDelay: 20, reconnectionDelayMax: 100, ...options });
  clients.push(made);
  return made;
};
const next = async <T>(subscription: Subscription<T>): Promise<Message<T>> => {
  const { value } = await subscription.next();
  assert.ok(value);
  return value;
};

before(async () => {
  broker = await Broker.start();
  client = open();
  await client.waitUntilReady();
});
after(async () => {
  for (const each of clients) each.close();
  await broker.stop();
});

describe("connect", () => {
  it("gives any client when it is told no address, preferably that with the same options", () => {
    const first = connect({ address: broker.address, reconnectionDelay: 31 });
    assert.equal(connect(), first);
    assert.equal(getClient({}), first);
    assert.equal(connect({ randomizationFactor: 0.25 }), first);
    const path = connect({ address: broker.address, reconnectionDelay: 31, path: "/ignored" });
    assert.equal(path, first);
    process.env["CONAT_SERVER"] = broker.address;
    const second = connect({ address: broker.address, reconnectionDelay: 32 });
    assert.notEqual(second, first);
    assert.equal(connect({ reconnectionDelay: 32 }), second);
    delete process.env["CONAT_SERVER"];
    for (let i = 0; i < 5; i++) first.close();
    assert.equal(first.isClosed(), true);
    second.close();
    assert.equal(second.isClosed(), false);
    second.close();
    assert.equal(second.isClosed(), true);
    assert.throws(() => connect(), ConatError);
  });

  it("takes the address from the environment", async () => {
    process.env["CONAT_SERVER"] = broker.address;
    const fromEnvironment = connect({ noCache: true });
    delete process.env["CONAT_SERVER"];
    await fromEnvironment.waitUntilSignedIn();
    fromEnvironment.close();
  });

  it("waits for connect() when it shall not connect by itself", async () => {
    const manual = open({ autoConnect: false });
    const early = manual.publish("manual", 1);
    await assert.rejects(manual.waitUntilSignedIn({ timeout: 150 }), { code: 408 });
    assert.equal(manual.state, "disconnected");
    manual.connect();
    assert.equal((await early).count, 0);
  });

  it("refuses an inbox prefix that no reply could come to", () => {
    for (const inboxPrefix of ["INBOX", "_INBOX.a b", "_INBOX.*", "_INBOX..x"]) {
      assert.throws(() => connect({ address: broker.address, noCache: true, inboxPrefix }), ConatError);
    }
  });

  it("uses the inbox prefix that it is given", async () => {
    const prefixed = open({ inboxPrefix: "_INBOX.account-x" });
    assert.match(await prefixed.getInbox(), /^_INBOX\.account-x\.[0-9A-Za-z]{10}$/);
    const service = await client.subscribe("who.asks");
    const asked = prefixed.request("who.asks", 1);
    const request = await next(service);
    assert.match(String(request.headers?.["CN-Reply"]), /^_INBOX\.account-x\.[0-9A-Za-z]{10}\.[0-9A-Za-z]{10}$/);
    assert.deepEqual(await request.respond("you"), { bytes: 4, count: 1 });
    assert.equal((await asked).data, "you");
    service.close();
  });
});

describe("reconnecting", () => {
  // Counts connections and hangs up at once.
  async function attempts(work: (address: string, times: number[]) => Promise<void>): Promise<void> {
    const times: number[] = [];
    const server: Server = createServer((socket) => {
      times.push(performance.now());
      socket.on("error", () => undefined);
      socket.destroy();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    try {
      await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, times);
    } finally {
      server.close();
    }
  }

  it("waits between attempts, never less than half the delay", () =>
    attempts(async (address, times) => {
      const stubborn = open({ address, reconnectionDelay: 100, reconnectionDelayMax: 200 });
      await until("five attempts", () => times.length >= 5);
      stubborn.close();
      const gaps = times.slice(1).map((time, i) => time - (times[i] as number));
      assert.ok((gaps[0] as number) >= 45, String(gaps));
      for (const gap of gaps.slice(1)) assert.ok(gap >= 95, String(gaps));
    }));

  it("is quick where COCALC_TEST_MODE is set", () =>
    attempts(async (address, times) => {
      process.env["COCALC_TEST_MODE"] = "1";
      const quick = connect({ address, noCache: true });
      delete process.env["COCALC_TEST_MODE"];
      await until("six attempts", () => times.length >= 6);
      quick.close();
      // With the ordinary delays it would be 7.75 s at least.
      assert.ok((times[5] as number) - (times[0] as number) < 7700);
    }));

  it("does not begin the time limits of publishes and subscriptions before the sign-in", async () => {
    const late = await Broker.start();
    await late.kill();
    const early = open({ address: late.address });
    const subscribed = early.subscribe("limited", { timeout: 200 });
    const published = early.publish("limited", 1, { timeout: 200 });
    const asked = early.request("limited", 1, { timeout: 200 }).catch((error: unknown) => error);
    await assert.rejects(early.waitUntilSignedIn({ timeout: 600 }), { code: 408, message: "timeout - Error: operation has timed out" });
    await late.start();
    assert.equal((await published).bytes, 1);
    assert.equal((await subscribed).ended, false);
    assert.ok((await asked) instanceof ConatError);
    early.close();
    await late.stop();
  });
});

describe("order", () => {
  it("is that of the calls, whoever awaits them", async () => {
    const subscription = await client.subscribe<unknown>("in.order");
    const raw = Buffer.alloc(9_000_000, "x");
    void client.publish("in.order", 1);
    client.publishSync("in.order", 2);
    void client.publish("in.order", 3, { raw });
    client.publishSync("in.order", 4);
    void client.publish("in.order", 5);
    const got: Message[] = [];
    while (got.length < 5) got.push(await next(subscription));
    assert.deepEqual(got.map((message) => (message.length === raw.length ? "large" : message.data)), [1, 2, "large", 4, 5]);
    subscription.close();
  });

  it("is that of responds too", async () => {
    const service = await client.subscribe("respond.in.order");
    void (async () => {
      for await (const request of service) {
        for (let i = 0; i < 50; i++) void request.respond(i);
        void request.respond(null);
      }
    })();
    const got: unknown[] = [];
    for await (const { data } of await open().requestMany("respond.in.order", 1)) got.push(data);
    assert.deepEqual(got, [...Array.from({ length: 50 }, (_, i) => i), null]);
    service.close();
  });
});

describe("requests of many", () => {
  it("resolve before the first answer comes", async () => {
    const service = await client.subscribe("slow.answers");
    const replies = await client.requestMany("slow.answers", 1, { maxWait: 20_000 });
    const request = await next(service);
    assert.deepEqual(await request.respond("now"), { bytes: 4, count: 1 });
    assert.equal((await next(replies)).data, "now");
    replies.close();
    service.close();
  });

  it("call services of all queues, iterated over at once or after an await", async () => {
    const services = await Promise.all(["a", "b"].map((name) => open().service("every.one", { name: () => name, nothing: () => null, bad: () => { throw new ConatError("no", { code: 418 }); } }, { queue: name })));
    const all = client.callMany<{ name(): string; nothing(): null; bad(): void }>("every.one", { maxMessages: 2 });
    const names: unknown[] = [];
    for await (const name of all.name()) names.push(name);
    for await (const name of await all.name()) names.push(name);
    assert.deepEqual(names.sort(), ["a", "a", "b", "b"]);
    const rest: unknown[] = [];
    for await (const value of all.nothing()) rest.push(value);
    assert.deepEqual(rest, [null, null]);
    for await (const value of all.bad()) {
      assert.ok(value instanceof ConatError);
      assert.deepEqual([value.message, value.code], ["Error: no", 418]);
    }
    const patient = client.callMany<{ name(): string }>("every.one", { maxWait: 300 });
    let count = 0;
    for await (const _ of patient.name()) count += 1;
    assert.equal(count, 2);
    await assert.rejects(async () => client.callMany<{ x(): void }>("no.one").x(), { code: 503, message: "requestMany -- no subscribers matching no.one" });
    await assert.rejects(client.callMany<{ x(): void }>("no.one").x().next(), { code: 503 });
    const left = all.name();
    assert.deepEqual(await left.return?.(), { value: undefined, done: true });
    assert.deepEqual(await left.next(), { value: undefined, done: true });
    for (const service of services) service.close();
  });
});

describe("services", () => {
  it("take methods of their own that every object has too, and no others", async () => {
    class Named {
      toString(): string {
        return "mine";
      }
    }
    const service = await client.service("named", new Named(), { queue: undefined });
    assert.equal(client.queueGroups["named"], "0");
    const remote = client.call<Record<string, () => unknown>>("named") as Record<string, () => Promise<unknown>>;
    assert.equal(await remote["toString"]?.(), "mine");
    for (const name of ["constructor", "valueOf", "hasOwnProperty", "__proto__", "missing"]) {
      await assert.rejects(async () => remote[name]?.(), new RegExp(`^ConatError: Error: ${name} not defined$`));
    }
    service.close();
  });

  it("answer a thrown error as null with its text in a header", async () => {
    const service = await client.service("throwing", { boom: () => { throw new Error("boom"); }, text: () => { throw "only text"; } });
    const answer = await client.request("throwing", ["boom", []]);
    assert.equal(answer.data, null);
    assert.equal(answer.headers?.["error"], "Error: boom");
    assert.equal((await client.request("throwing", ["text", []])).headers?.["error"], "only text");
    await assert.rejects(client.call<{ boom(): void }>("throwing").boom(), { message: "Error: boom" });
    service.close();
  });
});

describe("responding", () => {
  it("to somebody who is gone is no unhandled rejection, and rejects for whoever awaits it", async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => void unhandled.push(error);
    process.on("unhandledRejection", note);
    const service = await client.subscribe("asked.and.left");
    const asker = open();
    const asked = asker.request("asked.and.left", 1).catch((error: unknown) => error);
    const request = await next(service);
    asker.close();
    assert.match(String(await asked), /closed/);
    // Closing does not wait: the broker may not have heard of it yet.
    await until("nobody listens", async () => (await request.respond("are you there", { timeout: 50, noThrow: true })).count === 0);
    void request.respond("nobody listens", { timeout: 50 });
    await assert.rejects(request.respond("nobody listens", { timeout: 50 }), { code: 408 });
    assert.deepEqual(await request.respond("nobody", { timeout: 50, noThrow: true }), { bytes: 0, count: 0 });
    await new Promise((resolve) => setTimeout(resolve, 100));
    process.off("unhandledRejection", note);
    assert.deepEqual(unhandled, []);
    service.close();
  });

  it("after the end does nothing", async () => {
    const other = open();
    const service = await other.subscribe("asked.before");
    void client.request("asked.before", 1, { timeout: 100 }).catch(() => undefined);
    const request = await next(service);
    assert.deepEqual(request.respondSync("first"), { bytes: 6 });
    other.close();
    assert.deepEqual(await request.respond("late"), { bytes: 0, count: 0 });
    assert.deepEqual(request.respondSync("late"), { bytes: 0, count: 0 });
    const plain = messageData("no subject");
    assert.equal(plain.data, "no subject");
  });
});

describe("the end", () => {
  it("never throws, however often and in whatever order it comes", async () => {
    const other = open();
    const subscription = await other.subscribe("to.be.ended");
    const many = await client.subscribe("many.to.end").then(async (service) => {
      const replies = await other.requestMany("many.to.end", 1);
      service.close();
      return replies;
    });
    const server = other.socket.listen("socket.to.end");
    const socket = other.socket.connect("socket.to.end");
    await socket.waitUntilReady();
    const store = await other.dkv({ name: "to-be-ended", ephemeral: true });
    other.close();
    for (let i = 0; i < 2; i++) {
      subscription.close();
      subscription.stop();
      assert.deepEqual(subscription.drain(), []);
      assert.deepEqual(await subscription.return(), { value: undefined, done: true });
      many.close();
      socket.close();
      socket.destroy();
      socket.disconnect();
      socket.connect();
      await socket.end();
      server.close();
      await server.end();
      await store.close();
      other.disconnect();
      other.close();
    }
    assert.equal(other.numSubscriptions(), 0);
    assert.throws(() => other.socket.connect("x"), { message: "closed" });
    await assert.rejects(other.getInbox(), { message: "closed" });
    await assert.rejects(other.syncSubscriptions(), { message: "closed" });
    await assert.rejects(other.waitForInterest("x"), { message: "closed" });
    assert.deepEqual(await other.pub("x", 1), { bytes: 0, count: 0 });
  });
});

describe("values", () => {
  it("are Buffers in Node, wherever they come from", async () => {
    const data = encode({ mesg: { bytes: new Uint8Array(5000).fill(7) } });
    assert.ok(Buffer.isBuffer(data));
    const plain = decode({ encoding: DataEncoding.MsgPack, data: new Uint8Array(data) }) as { bytes: Uint8Array };
    assert.ok(Buffer.isBuffer(plain.bytes));
    assert.ok(Buffer.isBuffer(messageData(1, { raw: new Uint8Array([1]) }).raw));
    const subscription = await client.subscribe<{ bytes: Uint8Array }>("buffers");
    await client.publish("buffers", { bytes: new Uint8Array([1, 2]) }, { headers: { b: new Uint8Array([3]) } });
    const message = await next(subscription);
    assert.ok(Buffer.isBuffer(message.raw));
    assert.ok(Buffer.isBuffer(message.data.bytes));
    assert.ok(Buffer.isBuffer(message.headers?.["b"]));
    subscription.close();
  });

  it("beyond 2^53 lose precision, or are BigInt on demand", async () => {
    const exact = open({ bigint: true });
    const [rough, fine] = [await client.subscribe("big.int"), await exact.subscribe("big.int")];
    await exact.publish("big.int", { n: 2n ** 60n + 1n, small: 5, t: new Date(1.7e12), list: [undefined, 1] });
    assert.deepEqual((await next(rough)).data, { n: Number(2n ** 60n), small: 5, t: new Date(1.7e12), list: [null, 1] });
    assert.deepEqual((await next(fine)).data, { n: 2n ** 60n + 1n, small: 5, t: new Date(1.7e12), list: [null, 1] });
    rough.close();
    exact.close();
  });

  it("that are already encoded must be bytes", async () => {
    await assert.rejects(client.publish("raw", 1, { raw: "text" as unknown as Uint8Array }), /raw must be a Uint8Array/);
    assert.throws(() => client.publishSync("raw", 1, { raw: new Uint8Array(1), encoding: 5 as DataEncoding }), /unknown encoding 5/);
    assert.deepEqual(client.message({ a: 1 }, { headers: { h: 1 } }).data, { a: 1 });
  });
});

describe("for people", () => {
  it("watches a subject", async () => {
    const lines: unknown[][] = [];
    const log = console.log;
    console.log = (...args: unknown[]) => void lines.push(args);
    try {
      const watching = await client.watch("watched.*");
      await client.publish("watched.one", { a: 1 }, { headers: { h: 2 } });
      await until("printed", () => lines.length === 1);
      assert.deepEqual(lines[0]?.slice(1), ["watched.one", { a: 1 }, { h: 2 }]);
      assert.equal(watching.buffered, 0);
      watching.close();
    } finally {
      console.log = log;
    }
    const seen: unknown[] = [];
    const watching = await client.watch("watched.*", ({ data }) => seen.push(data));
    await client.publish("watched.two", 2);
    await until("called back", () => seen.length === 1);
    watching.close();
  });

  it("measures", async () => {
    assert.ok((await client.bench.publish(200)) > 0);
    assert.ok((await client.bench.subscribe(200)) > 0);
    await assert.rejects(client.bench.publish(0), ConatError);
  });
});

describe("default timeouts", () => {
  it("hold for later calls, sockets included", async () => {
    const silent = await client.subscribe("silent.one");
    const server = client.socket.listen("silent.socket");
    server.on("connection", () => undefined);
    const socket = client.socket.connect("silent.socket");
    await socket.waitUntilReady();
    setDefaultTimeouts({ request: 80, publish: 90 });
    try {
      await assert.rejects(client.request("silent.one"), { code: 408, message: "timeout" });
      await assert.rejects(socket.request("silence"), { code: 408 });
      await assert.rejects(client.publish("no.one.there", 1, { waitForInterest: true }), { code: 408 });
    } finally {
      setDefaultTimeouts({ request: 30_000, publish: 30_000 });
    }
    for (const timeout of [0, -1, NaN]) {
      await assert.rejects(client.request("silent.one", 1, { timeout }), { message: "timeout must be positive" });
      await assert.rejects(client.subscribe("x", { timeout }), { message: "timeout must be positive" });
      await assert.rejects(client.waitUntilSignedIn({ timeout }), { message: "timeout must be positive" });
    }
    await assert.rejects(client.waitForInterest("x", { timeout: -1 }), { message: "timeout must be positive" });
    await assert.rejects(client.waitForInterest("x.*"), { message: "subject x.* must be a valid subject without wildcards" });
    server.close();
    silent.close();
  });
});

it("keeps every iterator of a pattern apart", async () => {
  const [a, b] = [await client.sub<number>("apart"), client.subscribeSync<number>("apart")];
  const emitted: number[] = [];
  b.emitter.on("message", ({ data }) => emitted.push(data));
  await client.publish("apart", 1);
  await client.publish("apart", 2);
  assert.equal((await next(a)).data, 1);
  a.close();
  assert.equal(a.ended, true);
  assert.deepEqual(await a.next(), { value: undefined, done: true });
  await client.publish("apart", 3);
  assert.deepEqual(b.drain().map(({ data }) => data), [1, 2, 3]);
  assert.deepEqual(emitted, [1, 2, 3]);
  assert.deepEqual(await b.next(), { value: undefined, done: true });
  const limited = await client.subscribe("apart", { mesgLimit: 1 });
  const idle = await client.subscribe("apart", { maxWait: 60 });
  await client.publish("apart", 4);
  assert.equal((await next(limited)).data, 4);
  assert.equal((await limited.next()).done, true);
  assert.equal((await next(idle)).data, 4);
  assert.equal((await idle.next()).done, true);
  assert.equal(client.subs["apart"], undefined);
});

it("takes its events back with the connection", async () => {
  const other = open();
  const infos: unknown[] = [];
  other.on("info", (info) => infos.push(info));
  await other.waitUntilReady();
  const again = nextEvent(other, "info");
  const received = other.stats.recv0;
  other.conn.io.engine.close();
  assert.equal(other.conn.connected, false);
  await again;
  assert.equal(infos.length, 2);
  assert.equal(received.messages, 0);
});
