// Messages in pieces, spoken by hand: what the sender must do, that the broker keeps a message's chunks together, and what
// receivers make of pieces that are wrong.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect } from "conat-client";
import { Broker } from "../broker.js";
import { ownKinds, type Peer } from "./peers.js";
import { RawConnection } from "./raw.js";
import { SocketIoClient, variants, type Delivery } from "./socketio.js";

let broker: Broker;
let single: Broker;
before(async () => {
  [broker, single] = await Promise.all([Broker.start("--shards", "3", "--no-persist"), Broker.start("--shards", "1", "--max-payload", "1000000", "--no-persist")]);
});
after(() => Promise.all([broker.stop(), single.stop()]));

const chunk = (subject: string, id: string, seq: number, done: number, text: string, headers?: unknown): unknown[] => [
  subject, id, seq, done, 1, Buffer.from(text), ...(headers === undefined ? [] : [headers]),
];

describe("the broker", () => {
  it("passes chunks on as they come, each counted, headers where they are", { timeout: 180_000 }, async () => {
    for (const variant of variants) {
      const client = await SocketIoClient.open(variant, broker.address);
      const deliveries = await client.subscribe("pieces");
      assert.deepEqual(await client.ask("publish", chunk("pieces", "aaaaaaaaaa", 0, 0, '["a')), { count: 1 });
      assert.deepEqual(await client.ask("publish", chunk("pieces", "aaaaaaaaaa", 1, 0, 'b')), { count: 1 });
      assert.deepEqual(await client.ask("publish", chunk("pieces", "aaaaaaaaaa", 2, 1, 'c"]', { last: 1 })), { count: 1 });
      assert.deepEqual((await deliveries.take(3)).map(({ data }) => [...data.slice(0, 4), data[4].toString(), ...data.slice(5)]), [
        ["aaaaaaaaaa", 0, 0, 1, '["a'], ["aaaaaaaaaa", 1, 0, 1, "b"], ["aaaaaaaaaa", 2, 1, 1, 'c"]', { last: 1 }],
      ]);
      client.close();
    }
  });

  it("keeps the chunks of a message on one member of a group, also when messages are interleaved and members leave", { timeout: 180_000 }, async () => {
    const members = await Promise.all([...variants, ...variants].map((variant) => SocketIoClient.open(variant, broker.address)));
    const sender = await SocketIoClient.open(variants[1]!, broker.address);
    const got: Map<string, [member: number, seq: number][]> = new Map();
    for (const [i, member] of members.entries()) {
      member.on("spread.*", ({ data: [id, seq] }: Delivery) => got.set(id, [...(got.get(id) ?? []), [i, seq]]));
      assert.deepEqual(await member.ask("subscribe", { subject: "spread.*", queue: "group" }), { status: "added" });
    }
    const messages = Array.from({ length: 60 }, (_, i) => `message-${i}`);
    const pieces = 5;
    for (let seq = 0; seq < pieces; seq++) {
      const counts = messages.map((id) => sender.ask("publish", chunk("spread.x", id, seq, seq + 1 === pieces ? 1 : 0, "x")));
      for (const count of await Promise.all(counts)) assert.deepEqual(count, { count: 1 });
      // New members have no part in what has begun.
      if (seq === 1) {
        const late = await SocketIoClient.open(variants[0]!, broker.address);
        late.on("spread.*", ({ data: [id, at] }: Delivery) => got.set(id, [...(got.get(id) ?? []), [members.length, at]]));
        members.push(late);
        await late.ask("subscribe", { subject: "spread.*", queue: "group" });
      }
    }
    for (const member of members) await member.flush();
    const takers = new Set<number>();
    for (const id of messages) {
      const parts = got.get(id)!;
      assert.deepEqual(parts.map(([, seq]) => seq), [0, 1, 2, 3, 4], id);
      assert.equal(new Set(parts.map(([member]) => member)).size, 1, id);
      takers.add(parts[0]![0]);
    }
    assert.ok(takers.size > 4 && !takers.has(members.length - 1), `${takers.size} takers`);
    // The same id again is another message, and from another sender, too.
    for (const member of members) member.close();
    sender.close();
  });

  it("forgets a message whose taker has gone: its rest is nobody's", { timeout: 180_000 }, async () => {
    const [first, second, sender] = await Promise.all([0, 1, 2].map(() => SocketIoClient.open(variants[0]!, single.address)));
    const inboxes = [await first!.subscribe("left", "group"), await second!.subscribe("left", "group")];
    for (let round = 0; ; round++) {
      await sender!.ask("publish", chunk("left", `id-${round}`, 0, 0, "x"));
      await Promise.all([first!.flush(), second!.flush()]);
      if (inboxes[0]!.rest().length === 0) continue; // the other one was chosen
      await first!.ask("unsubscribe", { subject: "left" });
      assert.deepEqual(await sender!.ask("publish", chunk("left", `id-${round}`, 1, 1, "x")), { count: 0 });
      await second!.flush();
      assert.ok(inboxes[1]!.rest().every(({ data }) => data[1] === 0));
      break;
    }
    for (const client of [first, second, sender]) client!.close();
  });
});

for (const kind of ownKinds) {
  describe(kind.name, () => {
    let peer: Peer;
    before(async () => (peer = await kind.open(single.address)));
    after(() => peer.close());

    it("cuts at max_payload - 100000, with one id, seq from 0, done and headers on the last", { timeout: 180_000 }, async () => {
      const reader = await SocketIoClient.open(variants[0]!, single.address);
      const deliveries = await reader.subscribe("cut");
      const size = 900_000;
      for (const [length, sizes] of [[size, [size]], [size + 1, [size, 1]], [2 * size + 5, [size, size, 5]]] as const) {
        assert.equal(await peer.publish("cut", { raw: Buffer.alloc(length, 7), headers: { h: 1 } }), 1);
        const parts = await deliveries.take(sizes.length);
        assert.deepEqual(parts.map(({ data }) => data[4].length), [...sizes]);
        assert.deepEqual(parts.map(({ data }) => data[1]), sizes.map((_, i) => i));
        assert.deepEqual(parts.map(({ data }) => data[2]), sizes.map((_, i) => (i + 1 === sizes.length ? 1 : 0)));
        assert.equal(new Set(parts.map(({ data }) => data[0])).size, 1);
        assert.match(parts[0]!.data[0], /^[A-Za-z0-9_-]{10}$/);
        assert.deepEqual(parts.map(({ data }) => data[5]), sizes.map((_, i) => (i + 1 === sizes.length ? { h: 1 } : undefined)));
      }
      reader.close();
    });

    it("takes the greatest count of the chunks' acknowledgements", { timeout: 180_000 }, async () => {
      const raw = Buffer.alloc(1_900_000);
      assert.equal(await peer.publish("nobody.there", { raw }), 0);
      await peer.subscribe("some.body");
      assert.equal(await peer.publish("some.body", { raw }), 1);
      await peer.unsubscribe("some.body");
    });

    it("puts chunks together for each message, also interleaved, and discards what has a gap", { timeout: 180_000 }, async () => {
      const sender = await SocketIoClient.open(variants[1]!, single.address);
      const messages = await peer.subscribe("pieces.*");
      const send = (id: string, seq: number, done: number, text: string, headers?: unknown): void =>
        sender.emit("publish", chunk("pieces.x", id, seq, done, text, headers));
      send("a", 0, 0, '["a');
      send("b", 0, 0, '["b');
      send("gap", 0, 0, "[");
      send("b", 1, 1, '"]', { of: "b" });
      send("gap", 2, 1, "]");
      send("begun-late", 1, 1, "]");
      send("twice", 0, 0, "[1,");
      send("twice", 0, 0, "[2,");
      send("twice", 1, 1, "2]");
      send("a", 1, 0, "a");
      send("a", 2, 1, '"]');
      send("gap", 0, 1, '"the id again"');
      send("last", 0, 1, '"end"');
      const got: unknown[] = [];
      for (;;) {
        const { raw, encoding, headers } = await messages.next();
        assert.equal(encoding, 1);
        const data: unknown = JSON.parse(raw.toString());
        if (data === "end") break;
        got.push(headers === undefined ? data : [data, headers]);
      }
      // A sequence that begins anew may count as a new message; pieces of the two are never mixed.
      assert.deepEqual(got.filter((value) => JSON.stringify(value) !== "[2,2]"), [[["b"], { of: "b" }], ["aa"], "the id again"]);
      await peer.unsubscribe("pieces.*");
      sender.close();
    });
  });
}

for (const packetEncoding of ["msgpack", "text"] as const) {
  it(`conat-client, ${packetEncoding} packets: tells the bytes of all chunks, and decodes them as one`, { timeout: 180_000 }, async () => {
    const client = connect({ address: single.address, noCache: true, packetEncoding });
    const subscription = await client.subscribe("whole");
    for (const length of [900_000, 900_001, 1_900_000]) {
      const raw = Buffer.from(JSON.stringify("x".repeat(length - 2)));
      assert.deepEqual(await client.publish("whole", undefined, { raw, encoding: 1 }), { bytes: length, count: 1 });
      assert.equal((await subscription.next()).value?.data, "x".repeat(length - 2));
      assert.deepEqual(await client.publish("nobody.there", undefined, { raw }), { bytes: length, count: 0 });
    }
    client.close();
  });
}

it("ids are the sender's: the same one from two connections is two messages", { timeout: 180_000 }, async () => {
  using first = await RawConnection.connected(single.address);
  using second = await RawConnection.connected(single.address);
  const members = await Promise.all([0, 1, 2, 3].map(() => SocketIoClient.open(variants[0]!, single.address)));
  const inboxes = await Promise.all(members.map((member) => member.subscribe("same", "group")));
  for (const [seq, done] of [[0, 0], [1, 0], [2, 1]]) {
    for (const [sender, connection] of [first, second].entries()) {
      connection.send(`42${sender}["publish",["same","same-id",${seq},${done},1,"from ${sender}"]]`);
      assert.equal(await connection.text(), `43${sender}[{"count":1}]`);
    }
  }
  for (const member of members) await member.flush();
  const parts = inboxes.flatMap((inbox, member) => inbox.rest().map(({ data: [, seq, , , text] }) => [String(text), seq, member] as const));
  for (const sender of [0, 1]) {
    const own = parts.filter(([text]) => text === `from ${sender}`);
    assert.deepEqual(own.map(([, seq]) => seq), [0, 1, 2]);
    assert.equal(new Set(own.map(([, , member]) => member)).size, 1);
  }
  for (const member of members) member.close();
});
