// Who gets what, in which order, and what `count` says: all kinds of clients among each other, over several shards.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect, DataEncoding } from "conat-client";
import { Broker, until } from "../broker.js";
import { peerKinds, type Peer, type Received } from "./peers.js";
import type { Queue } from "./queue.js";
import { SocketIoClient, variants, type Delivery } from "./socketio.js";

const shards = 3;
const bytes = (...values: number[]): Buffer => Buffer.from(values);

let broker: Broker;
let peers: Peer[];
before(async () => {
  broker = await Broker.start("--shards", String(shards), "--no-persist");
  // Two of each kind: where they end up among the shards is for the kernel to decide.
  peers = await Promise.all([...peerKinds, ...peerKinds].map((kind) => kind.open(broker.address)));
});
after(async () => {
  for (const peer of peers) peer.close();
  await broker.stop();
});

it("whatever sends and whatever receives: the same payload, encoding, headers and subject", { timeout: 180_000 }, async () => {
  const inboxes = await Promise.all(peers.map((peer) => peer.subscribe("pairs.*")));
  const big = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 31) & 255));
  const messages = [
    { raw: bytes(0xc0), headers: undefined, encoding: 0 },
    { raw: bytes(0xa2, 0x68, 0x69), headers: { "CN-Reply": "_INBOX.x.y", é: ["\u{1f600}", null, 1.5, { deep: [true, ""] }] }, encoding: 0 },
    { raw: Buffer.from('{"a":1}'), headers: { n: -1, big: 2 ** 53 - 1 }, encoding: 1 },
    { raw: big, headers: { bytes: big.length }, encoding: 0 },
  ];
  for (const [from, sender] of peers.entries()) {
    for (const [number, message] of messages.entries()) {
      const subject = `pairs.${from}-${number}`;
      assert.equal(await sender.publish(subject, message), peers.length, sender.name);
      for (const [to, inbox] of inboxes.entries()) {
        const received = await inbox.next();
        const what = `from ${sender.name} to ${peers[to]!.name}, message ${number}`;
        assert.deepEqual({ ...received, raw: undefined }, { subject, encoding: message.encoding, headers: message.headers, raw: undefined }, what);
        assert.ok(message.raw.equals(received.raw), what);
      }
    }
  }
  await Promise.all(peers.map((peer) => peer.unsubscribe("pairs.*")));
  assert.equal(await peers[0]!.publish("pairs.x", { raw: bytes(1) }), 0);
});

it("count is the number of patterns and queue groups, over all shards, whoever asks", { timeout: 180_000 }, async () => {
  const own = await Promise.all(peers.map((peer) => peer.subscribe("count.x")));
  const shared = await Promise.all(peers.map((peer, i) => peer.subscribe("count.*", i % 2 === 0 ? "even" : "odd")));
  const rest = await peers[3]!.subscribe("count.>", "alone");
  const total = peers.length + 2 + 1;
  for (const peer of peers) assert.equal(await peer.publish("count.x", { raw: bytes(1) }), total, peer.name);
  for (const peer of peers) assert.equal(await peer.publish("count.y", { raw: bytes(1) }), 2 + 1, peer.name);
  for (const inbox of own) await inbox.take(peers.length);
  await rest.take(2 * peers.length);
  const taken = (): number => shared.reduce((sum, inbox) => sum + inbox.total, 0);
  await until("each group has got each message once", () => taken() === 2 * 2 * peers.length);
  await Promise.all(peers.flatMap((peer) => [peer.unsubscribe("count.x"), peer.unsubscribe("count.*"), peer.unsubscribe("count.>")]));
});

it("a connection with several matching patterns gets the message once for each", { timeout: 180_000 }, async () => {
  for (const kind of peerKinds) {
    const peer = await kind.open(broker.address);
    const patterns = ["many.a.b", "many.*.b", "many.a.*", "*.a.b", "many.>", "many.a.>", ">"];
    const inboxes = await Promise.all(patterns.map((pattern) => peer.subscribe(pattern)));
    assert.equal(await peer.publish("many.a.b", { raw: bytes(7) }), patterns.length - 1, kind.name);
    for (const inbox of inboxes) assert.equal((await inbox.next()).subject, "many.a.b");
    for (const inbox of inboxes) assert.equal(inbox.total, 1, kind.name);
    peer.close();
  }
});

it("a tap on '>' sees everything and counts for nothing", { timeout: 180_000 }, async () => {
  const tap = await peers[0]!.subscribe(">");
  for (const peer of peers) {
    assert.equal(await peer.interest("tapped.only", 0), false, peer.name);
    assert.equal(await peer.publish("tapped.only", { raw: bytes(1) }), 0, peer.name);
    assert.equal((await tap.next()).subject, "tapped.only");
  }
  const waiting = peers.map((peer) => peer.interest("tapped.later", 25_000));
  const second = await peers[5]!.subscribe(">"); // another tap wakes nobody
  const inbox = await peers[7]!.subscribe("tapped.>");
  assert.deepEqual(await Promise.all(waiting), peers.map(() => true));
  assert.equal(await peers[2]!.publish("tapped.later", { raw: bytes(1) }), 1);
  assert.equal((await inbox.next()).subject, "tapped.later");
  assert.equal((await second.next()).subject, "tapped.later");
  await Promise.all([peers[0]!.unsubscribe(">"), peers[5]!.unsubscribe(">"), peers[7]!.unsubscribe("tapped.>")]);
});

it("what is acknowledged is visible at once, on whatever connection", { timeout: 180_000 }, async () => {
  for (let round = 0; round < 40; round++) {
    const [subscriber, publisher] = [peers[round % peers.length]!, peers[(round * 5 + 1) % peers.length]!];
    const pattern = round % 2 === 0 ? `seen.${round}` : `seen.${round}.*`;
    const subject = round % 2 === 0 ? pattern : `seen.${round}.x`;
    const inbox = await subscriber.subscribe(pattern);
    assert.equal(await publisher.publish(subject, { raw: bytes(1) }), 1, `round ${round}`);
    assert.equal(await publisher.interest(subject, 0), true);
    await inbox.next();
    await subscriber.unsubscribe(pattern);
    assert.equal(await publisher.publish(subject, { raw: bytes(1) }), 0, `round ${round}`);
    assert.equal(await publisher.interest(subject, 0), false);
  }
  for (const kind of peerKinds) {
    const passing = await kind.open(broker.address);
    await passing.subscribe("seen.passing");
    assert.equal(await peers[0]!.publish("seen.passing", { raw: bytes(1) }), 1);
    passing.close();
    await until(`${kind.name} has gone`, async () => (await peers[0]!.publish("seen.passing", { raw: bytes(1) })) === 0);
  }
});

it("a service spoken by hand answers every kind of conat-client, and is asked by hand", { timeout: 180_000 }, async () => {
  for (const variant of variants) {
    const service = await SocketIoClient.open(variant, broker.address);
    const requests = await service.subscribe("by-hand", "0");
    service.on("by-hand", ({ data }: Delivery) => {
      const reply = (data[5] as { "CN-Reply": string })["CN-Reply"];
      service.emit("publish", [reply, "9876543210", 0, 1, 1, Buffer.from(`[${data[4].toString()}]`), { by: variant.name }]);
    });
    for (const packetEncoding of ["msgpack", "text"] as const) {
      const client = connect({ address: broker.address, noCache: true, packetEncoding });
      const answer = await client.request("by-hand", { q: 1 }, { encoding: DataEncoding.JsonCodec });
      assert.deepEqual([answer.data, answer.headers], [[{ q: 1 }], { by: variant.name }]);
      client.close();
    }
    const inbox = await service.subscribe("_INBOX.by-hand.*");
    await service.ask("publish", ["by-hand", "0123456789", 0, 1, 1, Buffer.from("7"), { "CN-Reply": "_INBOX.by-hand.x" }]);
    const { subject, data } = await inbox.next();
    assert.deepEqual([subject, data[4].toString()], ["_INBOX.by-hand.x", "[7]"]);
    assert.equal(requests.total, 3);
    service.close();
  }
});

describe("queue groups under load", () => {
  const perSender = 600;
  // Of 5 members, each of its own kind; every third message comes in three chunks.
  const body = (sender: number, n: number): Buffer => {
    const text = `${sender}:${n}`;
    return n % 3 === 0 ? Buffer.alloc(2500, text + ";") : Buffer.from(text + ";");
  };

  it("each message exactly once and whole, in order for each sender, spread evenly", { timeout: 180_000 }, async () => {
    // Small chunks need a small limit.
    const small = await Broker.start("--shards", String(shards), "--max-payload", "101000", "--no-persist");
    const members = await Promise.all(peerKinds.slice(0, 5).map((kind) => kind.open(small.address)));
    const senders = await Promise.all(peerKinds.map((kind) => kind.open(small.address)));
    const watcher = await peerKinds[5]!.open(small.address);
    const all = await watcher.subscribe("load.>");
    const inboxes = await Promise.all(members.map((member) => member.subscribe("load.*", "workers")));
    const counts: Promise<number>[] = [];
    for (let n = 0; n < perSender; n++) {
      for (const [sender, peer] of senders.entries()) {
        if (n % 50 === 49) counts.push(peer.publish(`load.${sender}`, { raw: body(sender, n) }));
        else peer.send(`load.${sender}`, { raw: body(sender, n) });
      }
      if (n % 50 === 49) await Promise.all(counts);
    }
    for (const count of await Promise.all(counts)) assert.equal(count, 2);
    const total = perSender * senders.length;
    await until("all have arrived", () => inboxes.reduce((sum, inbox) => sum + inbox.total, 0) >= total && all.total >= total, 60_000);

    const seen = new Set<string>();
    const check = (inbox: Queue<Received>, whole: boolean): void => {
      const last = new Map<string, number>();
      for (const { subject, raw } of inbox.rest()) {
        const [sender, n] = raw.subarray(0, raw.indexOf(";")).toString().split(":").map(Number) as [number, number];
        assert.equal(subject, `load.${sender}`);
        assert.ok(raw.equals(body(sender, n)), `${sender}:${n} is not whole`);
        assert.ok(n > (last.get(subject) ?? -1), `${subject}: ${n} after ${last.get(subject)}`);
        if (whole) assert.equal(n, (last.get(subject) ?? -1) + 1);
        else seen.add(`${sender}:${n}`);
        last.set(subject, n);
      }
    };
    check(all, true);
    for (const inbox of inboxes) check(inbox, false);
    assert.equal(seen.size, total);
    assert.equal(all.total, total);
    for (const [i, inbox] of inboxes.entries()) {
      const share = inbox.total / (total / members.length);
      assert.ok(share > 0.7 && share < 1.3, `member ${i} got ${inbox.total} of ${total}`);
    }
    for (const peer of [...members, ...senders, watcher]) peer.close();
    await small.stop();
  });
});
