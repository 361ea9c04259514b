// socket.io-client as it comes from npm, with both parsers, against conatd and conat-client: nothing here
// knows how conat works inside, only the events of the protocol.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect, type Client } from "conat-client";
import { io, type Socket } from "socket.io-client";
import * as msgpackParser from "socket.io-msgpack-parser";
import { Broker } from "./broker.js";

type Ack = { count?: number; status?: string; error?: string; code?: number | string };
type Delivery = { subject: string; data: [string, number, number, number, Uint8Array, unknown?] };

const parsers = { "default parser": undefined, "socket.io-msgpack-parser": msgpackParser };

let broker: Broker;
before(async () => {
  broker = await Broker.start("--shards", "2");
});
after(async () => {
  await broker.stop();
});

async function open(parser: unknown): Promise<{ socket: Socket; info: Record<string, unknown> }> {
  const socket = io(broker.address, {
    path: "/conat",
    transports: ["websocket"],
    forceNew: true,
    ...(parser === undefined ? {} : { parser }),
  });
  const info = await new Promise<Record<string, unknown>>((done, failed) => {
    socket.once("info", (value: Record<string, unknown>, ack: () => void) => {
      ack();
      done(value);
    });
    socket.once("connect_error", failed);
  });
  return { socket, info };
}

const emit = (socket: Socket, event: string, argument: unknown): Promise<Ack> =>
  socket.timeout(5000).emitWithAck(event, argument) as Promise<Ack>;

const nextEvent = (socket: Socket, name: string): Promise<Delivery> => new Promise((done) => socket.once(name, done));

for (const [name, parser] of Object.entries(parsers)) {
  describe(`socket.io-client, ${name}`, () => {
    let socket: Socket;
    let info: Record<string, unknown>;
    let client: Client;
    before(async () => {
      ({ socket, info } = await open(parser));
      client = connect({ address: broker.address, noCache: true });
      await client.waitUntilSignedIn();
    });
    after(() => {
      socket.disconnect();
      client.close();
    });

    it("is told about the server", () => {
      assert.equal(info["max_payload"], 8_000_000);
      assert.equal(info["user"], null);
      assert.equal(typeof info["id"], "string");
    });

    it("subscribes, and again", async () => {
      assert.deepEqual(await emit(socket, "subscribe", { subject: "s.*", queue: "q" }), { status: "added" });
      assert.deepEqual(await emit(socket, "subscribe", { subject: "s.*", queue: "other" }), { status: "already-added" });
      assert.deepEqual(await emit(socket, "subscribe", [{ subject: "t.>", queue: "q" }, { subject: "u", queue: "q" }]), [
        { status: "added" },
        { status: "added" },
      ]);
      const list = (await emit(socket, "subscriptions", null)) as unknown as string[];
      assert.deepEqual([...list].sort(), ["s.*", "t.>", "u"]);
      await emit(socket, "unsubscribe", [{ subject: "t.>" }, { subject: "u" }, { subject: "unknown" }]);
      assert.deepEqual(await emit(socket, "subscriptions", null), ["s.*"]);
    });

    it("publishes with an acknowledgement, and gets its own message", async () => {
      const arrived = nextEvent(socket, "s.*");
      const raw = Buffer.from([0x81, 0xa1, 0x61, 0x01]);
      assert.deepEqual(await emit(socket, "publish", ["s.own", "0123456789", 0, 1, 0, raw, { x: [1, null, "é"] }]), { count: 1 });
      const { subject, data } = await arrived;
      assert.equal(subject, "s.own");
      assert.deepEqual([...data.slice(0, 4)], ["0123456789", 0, 1, 0]);
      assert.deepEqual(Buffer.from(data[4]), raw);
      assert.deepEqual(data[5], { x: [1, null, "é"] });
      assert.deepEqual(await emit(socket, "publish", ["nobody.here", "0123456789", 0, 1, 0, raw]), { count: 0 });
    });

    it("cannot name targets in the reserved position", async () => {
      const arrived = nextEvent(socket, "s.*");
      const reserved = { targets: ["anything"] };
      await emit(socket, "publish", ["s.reserved", "0123456789", 0, 1, 0, Buffer.from([1]), null, reserved]);
      assert.ok((await arrived).data.length <= 6);
    });

    it("gets errors in the protocol's words", async () => {
      const raw = Buffer.from([1]);
      assert.deepEqual(await emit(socket, "publish", ["a..b", "0123456789", 0, 1, 0, raw]), { error: "Error: invalid subject" });
      assert.deepEqual(await emit(socket, "publish", ["a.*", "0123456789", 0, 1, 0, raw]), { error: "Error: invalid subject" });
      assert.deepEqual(await emit(socket, "subscribe", { subject: "a b", queue: "q" }), { error: "Error: invalid subject" });
      assert.deepEqual(await emit(socket, "subscribe", { subject: "a" }), { error: "Error: queue must be defined" });
      assert.deepEqual(await emit(socket, "wait-for-interest", { subject: "a..b", timeout: 0 }), { error: "invalid subject" });
    });

    it("answers about interest, now and when it comes", async () => {
      assert.equal(await emit(socket, "wait-for-interest", { subject: "later.x", timeout: 0 }), false);
      const waiting = emit(socket, "wait-for-interest", { subject: "later.x", timeout: 4000 });
      const subscription = await client.subscribe("later.*");
      assert.equal(await waiting, true);
      subscription.close();
    });

    it("exchanges binary with the WebAssembly client", async () => {
      const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7) & 255);
      const subscription = await client.subscribe("to.wasm");
      await emit(socket, "publish", ["to.wasm", "abcdefghij", 0, 1, 0, Buffer.concat([Buffer.from([0xc6, 0, 1, 0x86, 0xa0]), bytes]), { h: 1 }]);
      const { value: message } = await subscription.next();
      assert.ok(message);
      assert.deepEqual(Buffer.from(message.data as Uint8Array), Buffer.from(bytes));
      assert.deepEqual(message.headers, { h: 1 });

      const arrived = nextEvent(socket, "s.*");
      assert.equal((await client.publish("s.from-wasm", bytes, { headers: { k: "v" } })).count, 1);
      const { subject, data } = await arrived;
      assert.equal(subject, "s.from-wasm");
      assert.deepEqual(Buffer.from(data[4]).subarray(5), Buffer.from(bytes));
      assert.deepEqual(data[5], { k: "v" });
    });

    it("serves a request of the WebAssembly client", async () => {
      socket.on("s.*", ({ subject, data }: Delivery) => {
        const reply = (data[5] as { "CN-Reply"?: string } | undefined)?.["CN-Reply"];
        if (subject === "s.service" && reply) socket.emit("publish", [reply, "9876543210", 0, 1, 0, Buffer.from([0x2a])]);
      });
      assert.equal((await client.request("s.service", "?")).data, 42);
    });

    it("keeps the order of what one sender sends", async () => {
      const count = 2000;
      const subscription = await client.subscribe("order");
      for (let i = 0; i < count; i++) socket.emit("publish", ["order", String(i).padStart(10, "0"), 0, 1, 1, Buffer.from(String(i))]);
      for (let i = 0; i < count; i++) {
        const { value: message } = await subscription.next();
        assert.equal(message?.data, i);
      }
      subscription.close();
    });
  });
}
