// The client against the real broker: connecting, messages, requests, services.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect, ConatError, DataEncoding, type Client, type Message, type Subscription } from "conat-client";
import { Broker, nextEvent, until } from "./broker.js";

let broker: Broker;
const clients: Client[] = [];
const open = (options: Parameters<typeof connect>[0] = {}): Client => {
  const client = connect({ address: broker.address, noCache: true, reconnectionDelay: 50, reconnectionDelayMax: 200, ...options });
  clients.push(client);
  return client;
};
const next = async <T>(subscription: Subscription<T>): Promise<Message<T>> => {
  const { value } = await subscription.next();
  assert.ok(value);
  return value;
};

before(async () => void (broker = await Broker.start()));
after(async () => {
  for (const client of clients) client.close();
  await broker.stop();
});

describe("connecting", () => {
  it("tells its state and the server's info", async () => {
    const client = open();
    assert.equal(client.state, "disconnected");
    assert.equal(client.conn.connected, false);
    assert.equal(client.conn.id, undefined);
    assert.match(client.id, /^[0-9A-Za-z]{10}$/);
    assert.equal(client.numSubscriptions(), 0);
    const events: string[] = [];
    for (const event of ["connected", "disconnected", "closed"] as const) client.on(event, () => events.push(event));
    const [info] = await nextEvent<[Record<string, unknown>]>(client, "info");
    assert.equal(client.state, "connected");
    assert.equal(client.info, info);
    assert.equal(typeof info["max_payload"], "number");
    await client.waitUntilConnected();
    await client.waitUntilSignedIn({ timeout: 1000 });
    await client.waitUntilReady();
    assert.equal(client.conn.connected, true);
    assert.match(client.conn.id ?? "", /^[\w-]{20}$/);
    assert.match(await client.getInbox(), /^_INBOX\./);
    assert.equal(client.numSubscriptions(), 1);
    client.close();
    assert.equal(client.conn.connected, false);
    assert.equal(client.state, "closed");
    client.close();
    assert.deepEqual(events, ["connected", "closed"]);
  });

  it("works in the same tick, before there is a server", async () => {
    await broker.kill();
    const client = open();
    const subscription = client.subscribeSync("early.*");
    assert.deepEqual(client.publishSync("early.lost", { a: 1 }), { bytes: 4 });
    const published = client.publish("early.bird", "worm", { waitForInterest: true });
    await assert.rejects(client.waitUntilSignedIn({ timeout: 50 }), { code: 408 });
    await broker.start();
    assert.deepEqual(await published, { bytes: 5, count: 1 });
    const message = await next(subscription);
    assert.deepEqual([message.subject, message.data], ["early.bird", "worm"]);
    client.close();
  });

  it("shares clients with equal options, and closes them at the last reference", () => {
    const first = connect({ address: broker.address, reconnection: true });
    const second = connect({ reconnection: true, address: broker.address });
    assert.equal(first, second);
    assert.notEqual(first, connect({ address: broker.address, reconnection: true, noCache: true }).close());
    assert.equal(connect(), first);
    first.close();
    first.close();
    assert.notEqual(first.state, "closed");
    first.close();
    assert.equal(first.state, "closed");
    const third = connect({ address: broker.address, reconnection: true });
    assert.notEqual(third, first);
    third.close();
  });

  it("disconnects until told, and keeps its subscriptions", async () => {
    const client = open();
    const subscription = await client.subscribe("stay.*");
    client.disconnect();
    assert.equal(client.state, "disconnected");
    assert.equal(client.conn.connected, false);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(client.state, "disconnected");
    client.connect();
    await client.waitUntilReady();
    assert.equal((await client.publish("stay.here", 1)).count, 1);
    assert.equal((await next(subscription)).data, 1);
    client.close();
  });

  it("comes back after its transport broke, and after the broker was killed", async () => {
    const client = open();
    const subscription = await client.subscribe("survive");
    const connected = nextEvent(client, "connected");
    const sid = client.conn.id;
    client.conn.io.engine.close();
    await connected;
    assert.notEqual(client.conn.id, sid);
    const other = open();
    assert.equal((await other.publish("survive", 1, { waitForInterest: true })).count, 1);
    assert.equal((await next(subscription)).data, 1);
    await broker.kill();
    await until("disconnected", () => client.state === "disconnected");
    await broker.start();
    assert.equal((await other.publish("survive", 2, { waitForInterest: true })).count, 1);
    assert.equal((await next(subscription)).data, 2);
    assert.deepEqual([...(await client.getSubscriptions())].filter((subject) => !subject.startsWith("_INBOX")), ["survive"]);
    await client.syncSubscriptions();
    client.close();
    other.close();
  });

  it("asks for authentication data at every connect", async () => {
    let calls = 0;
    const client = open({ auth: async () => ({ token: `t${++calls}` }) });
    await client.waitUntilSignedIn();
    assert.equal(calls, 1);
    const connected = nextEvent(client, "connected");
    client.conn.io.engine.close();
    await connected;
    assert.equal(calls, 2);
    client.close();
  });

  it("speaks the default packet encoding too", async () => {
    const [text, packed] = [open({ packetEncoding: "text" }), open()];
    const subscription = await text.subscribe("both.ways");
    assert.equal((await packed.publish("both.ways", Buffer.from([1, 2, 3]), { headers: { n: [1, null, "é"] } })).count, 1);
    const message = await next(subscription);
    assert.deepEqual(message.data, Buffer.from([1, 2, 3]));
    assert.deepEqual(message.headers, { n: [1, null, "é"] });
    text.close();
    packed.close();
  });

  it("ends everything when it closes", async () => {
    const client = open();
    const subscription = await client.subscribe("ending");
    const waiting = subscription.next();
    const request = client.request("nobody.yet", 1, { waitForInterest: true });
    const published = client.publish("nobody.yet", 1, { waitForInterest: true });
    const interest = client.waitForInterest("nobody.yet");
    client.close();
    await assert.rejects(request, { message: "closed" });
    await assert.rejects(interest, { message: "closed" });
    assert.deepEqual(await published, { bytes: 0, count: 0 });
    assert.equal((await waiting).done, true);
    await assert.rejects(client.subscribe("x"), { message: "closed" });
    assert.throws(() => client.subscribeSync("x"), { message: "closed" });
    assert.throws(() => client.connect(), { message: "closed" });
    assert.throws(() => client.socket.listen("x"), { message: "closed" });
    await assert.rejects(client.request("x"), { message: "closed" });
    await assert.rejects(client.dkv({ name: "x" }), { message: "closed" });
    assert.deepEqual(await client.publish("x", 1), { bytes: 0, count: 0 });
    assert.deepEqual(client.publishSync("x", 1), { bytes: 0, count: 0 });
    subscription.close();
    client.disconnect();
  });

  it("refuses bad options", () => {
    assert.throws(() => connect({ address: "nonsense", noCache: true }), ConatError);
    assert.throws(() => connect({ address: broker.address, inboxPrefix: "inbox", noCache: true }), /_INBOX/);
  });
});

describe("publishing and subscribing", () => {
  let client: Client;
  before(async () => {
    client = open();
    await client.waitUntilReady();
  });

  it("delivers values, headers and raw bytes", async () => {
    const subscription = await client.subscribe<Record<string, unknown>>("values.>");
    const value = { text: "é😀", list: [1, null], when: new Date(1e12), bytes: Buffer.from([0, 255]) };
    assert.equal((await client.publish("values.a.b", value, { headers: { k: { deep: true } } })).count, 1);
    const message = await next(subscription);
    assert.equal(message.subject, "values.a.b");
    assert.deepEqual(message.data, value);
    assert.ok(Buffer.isBuffer(message.raw));
    assert.equal(message.length, message.raw.length);
    assert.deepEqual(message.headers, { k: { deep: true } });
    assert.equal(message.isRequest(), false);
    assert.deepEqual(await message.respond(1), { bytes: 0, count: 0 });
    await client.publish("values.json", { a: [1] }, { encoding: DataEncoding.JsonCodec });
    const json = await next(subscription);
    assert.equal(json.encoding, DataEncoding.JsonCodec);
    assert.deepEqual(json.data, { a: [1] });
    assert.equal(json.headers, undefined);
    await client.publish("values.raw", "ignored", { raw: Buffer.from([0x2a]) });
    assert.equal((await next(subscription)).data, 42);
    await client.publish("values.malformed", null, { raw: Buffer.from([0xc1]) });
    const malformed = await next(subscription);
    assert.throws(() => malformed.data, ConatError);
    subscription.close();
  });

  it("counts deliveries, and none", async () => {
    const subscriptions = await Promise.all([client.subscribe("count.x"), client.subscribe("count.*"), open().subscribe("count.>")]);
    assert.equal((await client.publish("count.x", 1)).count, 3);
    assert.equal((await client.publish("nobody.listens", 1)).count, 0);
    for (const subscription of subscriptions) subscription.close();
  });

  it("shares one subscription between iterators of a pattern", async () => {
    const other = open();
    const [a, b] = [await other.subscribe("shared"), await other.subscribe("shared")];
    assert.equal(other.subs["shared"]?.refCount, 2);
    assert.match(other.queueGroups["shared"] ?? "", /^\w+$/);
    assert.equal(other.numSubscriptions(), 2);
    assert.equal((await client.publish("shared", "x")).count, 1);
    assert.deepEqual([(await next(a)).data, (await next(b)).data], ["x", "x"]);
    a.close();
    assert.equal(other.subs["shared"]?.refCount, 1);
    b.close();
    assert.equal(other.subs["shared"], undefined);
    assert.equal(other.queueGroups["shared"], undefined);
    assert.equal(other.numSubscriptions(), 1);
    await until("unsubscribed", async () => (await client.publish("shared", "y")).count === 0);
    other.close();
  });

  it("gives each message to one of a queue", async () => {
    const members = await Promise.all([open(), open(), open()].map((each) => each.subscribe("work", { queue: "workers" })));
    for (let i = 0; i < 60; i++) assert.equal((await client.publish("work", i)).count, 1);
    await until("all arrived", () => members.reduce((sum, member) => sum + member.buffered, 0) === 60);
    const got = members.flatMap((member) => member.drain().map((message) => message.data as number));
    assert.deepEqual(got.sort((x, y) => x - y), Array.from({ length: 60 }, (_, i) => i));
  });

  it("refuses what is wrong", async () => {
    const subscription = await client.subscribe("mine", { queue: "q" });
    await assert.rejects(client.subscribe("mine", { queue: "r" }), {
      message: "client can only have one queue group subscription for a given subject -- subject='mine', queue='r'",
    });
    subscription.close();
    await assert.rejects(client.publish("a..b", 1), /must be a valid subject without wildcards/);
    await assert.rejects(client.publish("a.*", 1), /invalid publish subject/);
    assert.throws(() => client.publishSync("a b", 1), ConatError);
    await assert.rejects(client.subscribe("a..b"), /invalid subscribe subject 'a\.\.b'/);
    await assert.rejects(client.publish("a", 1, { timeout: -1 }), /timeout must be positive/);
    await assert.rejects(client.publish("a", () => 1));
    assert.deepEqual(await client.publish("a..b", 1, { noThrow: true }), { bytes: 0, count: 0 });
  });

  it("waits for interest", async () => {
    const published = client.publish("later", "finally", { waitForInterest: true });
    assert.equal(await client.interest("later"), false);
    const awaited = client.waitForInterest("later", { timeout: 5000 });
    const subscription = await open().subscribe("later");
    assert.equal(await awaited, true);
    assert.equal((await published).count, 1);
    assert.equal((await next(subscription)).data, "finally");
    await assert.rejects(client.waitForInterest("never", { timeout: 50 }), { code: 408, message: "timeout - Error: operation has timed out" });
    await assert.rejects(client.publish("never", 1, { waitForInterest: true, timeout: 50 }), { code: 408 });
  });

  it("sends 20 MB in chunks", async () => {
    const subscription = await client.subscribe("large");
    const large = Buffer.alloc(20_000_000, "conat");
    assert.equal((await client.publish("large", large, { headers: { end: true } })).count, 1);
    const message = await next(subscription);
    assert.ok(large.equals(message.data as Buffer));
    assert.deepEqual(message.headers, { end: true });
    subscription.close();
  });

  it("keeps the order of many small messages", async () => {
    const subscription = await client.subscribe<number>("ordered.>");
    const total = 50_000;
    for (let i = 0; i < total; i++) client.publishSync(`ordered.${i % 7}`, i);
    for (let i = 0; i < total; i++) {
      const message = await next(subscription);
      if (message.data !== i) assert.equal(message.data, i);
    }
    subscription.close();
  });

  it("counts what it sends and receives", async () => {
    const other = open();
    const subscription = await other.subscribe("counted");
    const before = other.stats;
    assert.deepEqual(await other.publish("counted", "12345"), { bytes: 6, count: 1 });
    await next(subscription);
    assert.equal(other.stats.send.messages - before.send.messages, 1);
    assert.equal(other.stats.recv.bytes - before.recv.bytes, 6);
    assert.ok(other.stats.recv0.messages <= other.stats.recv.messages);
    other.close();
    assert.equal(other.stats.subs, 0);
  });

  it("lets listeners do as they like", async () => {
    const other = open();
    const subscription = await other.subscribe("re-enter");
    let count = 0;
    subscription.emitter.on("message", ({ data }) => {
      count += 1;
      if ((data as number) < 50) other.publishSync("re-enter", (data as number) + 1);
      else other.close();
    });
    await client.publish("re-enter", 0);
    await until("closed by its own listener", () => other.state === "closed");
    assert.equal(count, 51);
  });

  it("knows the cluster", async () => {
    const addresses = await client.cluster();
    assert.ok(addresses.length >= 1);
    assert.match(addresses[0] ?? "", /^http/);
  });
});

describe("requests and services", () => {
  let client: Client;
  let server: Client;
  before(async () => {
    [client, server] = [open(), open()];
    await Promise.all([client.waitUntilReady(), server.waitUntilReady()]);
  });

  it("asks and answers", async () => {
    const service = await server.subscribe<number>("double", { queue: "0" });
    void (async () => {
      for await (const request of service) {
        assert.equal(request.isRequest(), true);
        await request.respond(request.data * 2, { headers: { by: "server" } });
      }
    })();
    const answer = await client.request("double", 21);
    assert.equal(answer.data, 42);
    assert.deepEqual(answer.headers, { by: "server" });
    const many = await Promise.all(Array.from({ length: 200 }, (_, i) => client.request("double", i)));
    assert.deepEqual(many.map((message) => message.data), Array.from({ length: 200 }, (_, i) => 2 * i));
    service.close();
  });

  it("fails at once when nobody listens, and in time when nobody answers", async () => {
    await assert.rejects(client.request("nobody", 1), { code: 503, message: "request -- no subscribers matching 'nobody'" });
    await assert.rejects(client.requestMany("nobody", 1), { code: 503, message: "requestMany -- no subscribers matching nobody" });
    const silent = await server.subscribe("silent");
    await assert.rejects(client.request("silent", 1, { timeout: 60 }), { code: 408 });
    silent.close();
  });

  it("collects many answers", async () => {
    const service = await server.subscribe("count-to");
    void (async () => {
      for await (const request of service) {
        for (let i = 1; i <= (request.data as number); i++) request.respondSync(i);
        request.respondSync(null);
      }
    })();
    const got: unknown[] = [];
    for await (const { data } of await client.requestMany("count-to", 3)) got.push(data);
    assert.deepEqual(got, [1, 2, 3, null]);
    const some = await client.requestMany("count-to", 10, { maxMessages: 2 });
    assert.deepEqual([(await next(some)).data, (await next(some)).data, (await some.next()).done], [1, 2, true]);
    service.close();
    const endless = await server.subscribe("endless");
    void (async () => {
      for await (const request of endless) request.respondSync("once");
    })();
    const until408 = await client.requestMany("endless", 1, { maxWait: 80 });
    assert.equal((await next(until408)).data, "once");
    assert.equal((await until408.next()).done, true);
    endless.close();
  });

  it("serves an object's functions", async () => {
    class Arithmetic {
      base = 100;
      add(a: number, b: number): number {
        return a + b;
      }
      async slow(n: number): Promise<number> {
        await new Promise((resolve) => setTimeout(resolve, n));
        return n;
      }
      fail(): never {
        throw new ConatError("no good", { code: 418 });
      }
      nothing(): void {}
      subject(this: Message): string {
        return this.subject;
      }
    }
    const service = await server.service("arithmetic", new Arithmetic());
    const remote = client.call<Omit<Arithmetic, "base">>("arithmetic");
    assert.equal(await remote.add(1, 2), 3);
    assert.equal(await remote.subject(), "arithmetic");
    assert.equal(await remote.nothing(), null);
    await assert.rejects(remote.fail(), { message: "Error: no good", code: 418 });
    const start = performance.now();
    assert.deepEqual(await Promise.all([remote.slow(150), remote.slow(150), remote.slow(150)]), [150, 150, 150]);
    assert.ok(performance.now() - start < 400, "calls run at the same time");
    const any = client.call("arithmetic") as Record<string, () => Promise<unknown>>;
    await assert.rejects(any["missing"]!(), /missing not defined/);
    await assert.rejects(any["constructor"]!(), /constructor not defined/);
    await assert.rejects(any["toString"]!(), /toString not defined/);
    for (const malformed of [null, 7, [], [7], ["add"], { name: "add" }]) {
      const answer = await client.request("arithmetic", malformed);
      assert.ok(answer.headers?.["error"] !== undefined || Number.isNaN(answer.data) || answer.data === null);
    }
    service.close();
    // Closing does not wait: the caller's broker may not have heard of it yet.
    await until("nobody listens", async () => !(await client.interest("arithmetic")));
    await assert.rejects(remote.add(1, 2), { code: 503 });
  });

  it("calls the services of all queue groups", async () => {
    const services = await Promise.all(
      ["a", "b", "c"].map((name) =>
        server === undefined ? Promise.reject(new Error()) : open().service("who", {
          name: () => name,
          odd: () => {
            if (name === "b") throw new Error("not me");
            return null;
          },
        }, { queue: name }),
      ),
    );
    const everybody = client.callMany<{ name(): string; odd(): null }>("who", { maxMessages: 3 });
    const names: unknown[] = [];
    for await (const name of await everybody.name()) names.push(name);
    assert.deepEqual(names.sort(), ["a", "b", "c"]);
    const odd: unknown[] = [];
    for await (const result of await everybody.odd()) odd.push(result);
    assert.equal(odd.length, 3);
    assert.deepEqual(odd.filter((result) => result === null).length, 2);
    assert.match(String(odd.find((result) => result instanceof Error)), /not me/);
    for (const service of services) service.close();
  });
});
