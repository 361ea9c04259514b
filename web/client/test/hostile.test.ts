// A server that lies, and peers that send nonsense: the client goes on, and nothing reaches the program as an
// uncaught error.
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { after, before, it } from "node:test";
import { connect, type Client } from "conat-client";
import { WebSocketServer, type WebSocket } from "ws";
import { Broker, until } from "./broker.js";

let broker: Broker;
let client: Client;
before(async () => {
  broker = await Broker.start();
  client = connect({ address: broker.address, noCache: true });
  await client.waitUntilReady();
});
after(async () => {
  client.close();
  await broker.stop();
});

// xorshift32: the same nonsense at every run.
function nonsense(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % 256;
  };
}

async function serve(behave: (socket: WebSocket, connection: number) => void, work: (address: string, connections: () => number) => Promise<void>): Promise<void> {
  let connections = 0;
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  server.on("connection", (socket) => {
    socket.on("error", () => undefined);
    behave(socket, connections++);
  });
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, () => connections);
  } finally {
    for (const socket of server.clients) socket.terminate();
    await new Promise((resolve) => server.close(resolve));
  }
}

const openPacket = '0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}';

it("survives servers that send nonsense, and keeps trying", { timeout: 60_000 }, async () => {
  const behave = (socket: WebSocket, connection: number): void => {
    const random = nonsense(connection + 1);
    const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, random));
    if (connection % 3 > 0) socket.send(openPacket);
    if (connection % 3 > 1) socket.send('40{"sid":"y"}');
    for (let i = 0; i < 20; i++) socket.send(bytes(1 + (i * 37) % 300), { binary: i % 2 === 0 });
    socket.send(Buffer.concat([Buffer.from([0x84]), bytes(50)]));
    setTimeout(() => socket.close(), 5);
  };
  await serve(behave, async (address, connections) => {
    const victim = connect({ address, noCache: true, reconnectionDelay: 5, reconnectionDelayMax: 10 });
    victim.subscribeSync("a.*");
    const request = victim.request("a.b", 1).catch((error: unknown) => error);
    await until("thirty connections", () => connections() >= 30, 40_000);
    assert.notEqual(victim.state, "closed");
    victim.close();
    assert.match(String(await request), /closed/);
  });
});

it("gives up on a server that says nothing", async () => {
  await serve(() => undefined, async (address, connections) => {
    const victim = connect({ address, noCache: true });
    await until("connected", () => connections() === 1);
    await assert.rejects(victim.waitUntilSignedIn({ timeout: 100 }), { code: 408 });
    victim.close();
  });
});

it("shows malformed messages as what they are", async () => {
  const subscription = await client.subscribe("nonsense.*");
  const random = nonsense(99);
  for (let i = 0; i < 200; i++) {
    const raw = Buffer.from(Array.from({ length: i }, random));
    client.publishSync("nonsense.x", null, { raw, encoding: i % 2 });
  }
  await client.publish("nonsense.end", "end");
  let malformed = 0;
  for await (const message of subscription) {
    if (message.subject === "nonsense.end") break;
    assert.equal(message.length, message.raw.length);
    try {
      void message.data;
    } catch {
      malformed += 1;
    }
  }
  assert.ok(malformed > 100);
});

it("takes headers of any kind", async () => {
  const subscription = await client.subscribe("headers");
  for (const headers of [[1, 2], "text", 7, true, { "CN-Reply": 7 }, { "CN-Reply": "" }, { __proto__: null, constructor: 1 }]) {
    await client.publish("headers", 1, { headers: headers as Record<string, unknown> });
    const { value: message } = await subscription.next();
    assert.ok(message);
    assert.deepEqual(message.headers, JSON.parse(JSON.stringify(headers)));
    assert.equal(message.isRequest(), false);
    assert.deepEqual(await message.respond("?"), { bytes: 0, count: 0 });
  }
  subscription.close();
});

it("ends a subscription that the server refuses, and says why", async () => {
  const greedy = connect({ address: broker.address, noCache: true });
  await greedy.waitUntilReady();
  const subscriptions = Array.from({ length: 520 }, (_, i) => greedy.subscribeSync(`many.${i}`));
  await until("some are refused", () => subscriptions.some((subscription) => subscription.ended));
  await until("all are decided", () => subscriptions.filter((subscription) => subscription.ended).length === 21);
  assert.equal(subscriptions.find((subscription) => subscription.ended)?.refusal?.code, 429);
  await assert.rejects(greedy.subscribe("one.more"), { code: 429 });
  assert.equal((await greedy.publish("many.0", 1)).count, 1);
  greedy.close();
});

it("does not let a failing listener stop the others", async () => {
  const errors: unknown[] = [];
  const catcher = (error: unknown): void => void errors.push(error);
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", catcher);
  const subscription = await client.subscribe("listener");
  const seen: unknown[] = [];
  subscription.emitter.on("message", () => {
    throw new Error("a bug of the program");
  });
  subscription.emitter.on("message", ({ data }) => seen.push(data));
  await client.publish("listener", 1);
  await client.publish("listener", 2);
  await until("both were seen", () => seen.length === 2 && errors.length === 2);
  assert.match(String(errors[0]), /a bug of the program/);
  process.off("uncaughtException", catcher);
  subscription.close();
});
