// The broker goes away and comes back under many clients, or comes late, or is another one: every subscription is there
// again, nothing ends, nothing arrives twice.
import assert from "node:assert/strict";
import { it } from "node:test";
import { connect, type Client, type Subscription } from "conat-client";
import { Broker, until } from "./broker.js";

const clientCount = 100;
const perClient = 1000;
const manyOptions = ["--shards", "2", "--no-persist", "--max-subscriptions-per-client", "2000", "--max-connections-per-user", "0"];
const patience = { timeout: 200_000 };

/** What one client has subscribed to, and what came. */
class Subscriber {
  /** Messages on single subjects, of all clients together. */
  static received = 0;
  readonly client: Client;
  readonly got: Uint16Array;
  ended = 0;
  /** Numbers of the messages on the subject that all listen to, by publisher. */
  readonly feed = new Map<string, number[]>();

  constructor(
    address: string,
    readonly index: number,
  ) {
    this.client = connect({ address, noCache: true, reconnectionDelay: 50, reconnectionDelayMax: 500, packetEncoding: index % 2 === 0 ? "msgpack" : "text" });
    this.got = new Uint16Array(perClient);
    for (let n = 0; n < perClient; n++) {
      const subject = n % 2 === 0 ? `own.${index}.${n}` : `own.${index}.${n}.*`;
      void this.#read(this.client.subscribeSync(subject), () => {
        this.got[n]! += 1;
        Subscriber.received += 1;
      });
    }
    void this.#read(this.client.subscribeSync("feed.*"), ({ subject, data }) => {
      const numbers = this.feed.get(subject) ?? [];
      numbers.push(data as number);
      this.feed.set(subject, numbers);
    });
  }

  async #read(subscription: Subscription, onMessage: (message: { subject: string; data: unknown }) => void): Promise<void> {
    for await (const message of subscription) onMessage(message);
    this.ended += 1;
  }

  /** Resolves when the broker has all patterns of this client: 1,000, the feed and the inbox. */
  async complete(): Promise<void> {
    for (;;) {
      await this.client.waitUntilReady(patience);
      const patterns = await this.client.getSubscriptions().catch(() => new Set()); // while it reconnects
      if (patterns.size === perClient + 2) return;
      await pause(200); // the answers are long
    }
  }
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
const allComplete = async (subscribers: Subscriber[]): Promise<unknown> => Promise.all(subscribers.map((subscriber) => subscriber.complete()));

it(`${clientCount} clients with ${perClient} subscriptions each, the broker killed and restarted, ended and restarted`, { timeout: 900_000 }, async (t) => {
  const begin = performance.now();
  const took = (what: string): void => t.diagnostic(`${what} after ${Math.round(performance.now() - begin)} ms, of which this process computed ${Math.round(process.cpuUsage().user / 1000)} ms`);
  const broker = await Broker.start(...manyOptions);
  const subscribers = Array.from({ length: clientCount }, (_, i) => new Subscriber(broker.address, i));
  const publishers = [0, 1, 2].map(() => connect({ address: broker.address, noCache: true, reconnectionDelay: 50, reconnectionDelayMax: 500 }));
  let stop = false;
  let confirmed = 0;
  try {
    await allComplete(subscribers);
    took("all subscribed");
    // Numbered messages to everybody all the time, across the restarts. What is lost with a connection is not sent again.
    const feeding = publishers.map(async (publisher, i) => {
      for (let n = 0; !stop; n++) {
        const { count } = await publisher.publish(`feed.${i}`, n, { noThrow: true });
        if (count > 0) confirmed += 1;
        await pause(100);
      }
    });

    const round = async (number: number): Promise<void> => {
      const publisher = publishers[0]!;
      for (let i = 0; i < clientCount; i++) {
        for (let n = 0; n < perClient; n++) publisher.publishSync(n % 2 === 0 ? `own.${i}.${n}` : `own.${i}.${n}.x`, number);
        await publisher.publish("nobody", null); // what came before has left
      }
      await until(`every subscription got message ${number}`, () => Subscriber.received >= number * clientCount * perClient, 200_000);
      for (const { index, got, ended } of subscribers) {
        assert.ok(got.every((count) => count === number), `client ${index}: nothing twice`);
        assert.equal(ended, 0, `client ${index}: nothing ended`);
      }
      took(`round ${number}`);
    };
    await round(1);
    for (const [number, signal] of [[2, "SIGKILL"], [3, "SIGTERM"]] as const) {
      const before = confirmed;
      await broker.restart(signal);
      await allComplete(subscribers);
      took(`all resynchronized after ${signal}`);
      await round(number);
      await until("the publishers went on", () => confirmed > before, 60_000);
    }
    stop = true;
    await Promise.all(feeding);
    for (const { index, feed } of subscribers) {
      for (const [subject, numbers] of feed) {
        assert.ok(numbers.every((n, i) => i === 0 || n > numbers[i - 1]!), `client ${index}, ${subject}: in order, nothing twice`);
      }
      assert.equal(feed.size, publishers.length);
    }
  } finally {
    stop = true;
    for (const { client } of subscribers) client.close();
    for (const client of publishers) client.close();
    await broker.stop();
  }
});

it("clients that are there before the broker; another broker takes its place on the same port", { timeout: 180_000 }, async () => {
  const scout = await Broker.start("--shards", "1", "--no-persist");
  const port = scout.port;
  await scout.stop(); // now nobody listens there
  const address = `http://127.0.0.1:${port}`;
  const clients = Array.from({ length: 20 }, (_, i) =>
    connect({ address, noCache: true, reconnectionDelay: 50, reconnectionDelayMax: 500, packetEncoding: i % 2 === 0 ? "msgpack" : "text" }),
  );
  const arrived = clients.map((): unknown[] => []);
  let ended = 0;
  for (const [i, client] of clients.entries()) {
    const subscription = client.subscribeSync("early.*");
    void (async () => {
      for await (const message of subscription) arrived[i]!.push(message.data);
      ended += 1;
    })();
  }
  const published = clients.map((client, i) => client.publish("early.x", i, { timeout: 60_000 }));
  const asked = clients[0]!.request("service", "question", { timeout: 60_000, waitForInterest: true });
  const first = Broker.prepare(port, "--shards", "2", "--id", "first", "--no-persist");
  const second = Broker.prepare(port, "--shards", "3", "--id", "second", "--no-persist");
  try {
    await first.start();
    await Promise.all(clients.map((client) => client.waitUntilReady(patience)));
    await Promise.all(published);
    for (const client of clients) assert.equal(client.info?.id, "first");
    await clients[1]!.service("unrelated", {});
    const service = await clients[2]!.subscribe("service");
    void (async () => {
      for await (const request of service) await request.respond("answer");
    })();
    assert.equal((await asked).data, "answer");
    const subscribed = async (): Promise<boolean> => (await clients[0]!.publish("early.count", null)).count === clients.length;
    await until("everybody listens", subscribed, 60_000);

    await first.end("SIGKILL");
    // What is under way when a connection is lost rejects; what is published afterwards waits.
    await until("everybody has noticed", () => clients.every(({ state }) => state === "disconnected"), 60_000);
    const waiting = clients.map((client, i) => client.publish("early.y", 1000 + i, { timeout: 120_000 }));
    await second.start();
    assert.deepEqual((await Promise.all(waiting)).map(({ bytes }) => bytes), clients.map(() => 3));
    await until("everybody listens again", subscribed, 60_000);
    for (const client of clients) assert.equal(client.info?.id, "second");
    assert.equal((await clients[3]!.request("service", null, { waitForInterest: true })).data, "answer");
    assert.equal((await clients[4]!.publish("early.last", "last")).count, clients.length);
    await until("the last message is everywhere", () => arrived.every((data) => data.includes("last")), 60_000);
    for (const data of arrived) {
      const numbers = data.filter((value): value is number => typeof value === "number");
      assert.equal(new Set(numbers).size, numbers.length, "nothing twice");
    }
    assert.equal(ended, 0);
  } finally {
    for (const client of clients) client.close();
    await Promise.all([first.stop(), second.stop()]);
  }
});
