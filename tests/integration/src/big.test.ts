// Messages far beyond max_payload, in chunks, between all kinds of clients: each arrives once and whole.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { binary, Broker } from "./broker.js";
import { peerKinds, type Peer, type PeerKind } from "./wire/peers.js";

const MB = 1_000_000;

/** A MessagePack text of so many bytes in all that no part equals another. */
function bigText(bytes: number): { raw: Buffer; text: string } {
  const text = randomBytes(((bytes - 5) * 3) / 4 + 3).toString("base64").slice(0, bytes - 5);
  return { raw: Buffer.concat([Buffer.from([0xdb]), Buffer.from(new Uint32Array([text.length]).buffer).swap32(), Buffer.from(text)]), text };
}

/** `conat` with arguments, and what it wrote to stdout. */
function native(broker: Broker, ...args: string[]): { child: ChildProcess; output: Promise<Buffer> } {
  const child = spawn(join(dirname(binary), "conat"), ["--server", broker.address, "--timeout", "60", ...args], { stdio: ["pipe", "pipe", "inherit"] });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  const output = once(child, "close").then(([code]) => {
    assert.equal(code, 0, `conat ${args.join(" ")}`);
    return Buffer.concat(chunks);
  });
  return { child, output };
}

describe("big messages", () => {
  let broker: Broker;
  let peers: Peer[];
  before(async () => {
    // These tests keep this process so busy that on a slow machine it may not answer a ping in time.
    broker = await Broker.start("--shards", "2", "--ping-timeout", "120000", "--no-persist");
    peers = await Promise.all(peerKinds.map((kind) => kind.open(broker.address)));
  });
  after(async () => {
    for (const peer of peers) peer.close();
    await broker.stop();
  });

  it("20 MB from each kind of client to all kinds, the native one included", { timeout: 300_000 }, async () => {
    const { raw, text } = bigText(20 * MB);
    const inboxes = await Promise.all(peers.map((peer) => peer.subscribe("big")));
    const headers = { last: true, n: 1 };
    const check = async (from: string, expectedHeaders: unknown): Promise<void> => {
      for (const [to, inbox] of inboxes.entries()) {
        const received = await inbox.next();
        const what = `from ${from} to ${peers[to]!.name}`;
        assert.ok(raw.equals(received.raw), what);
        assert.deepEqual(received.headers, expectedHeaders, what);
      }
    };
    for (const sender of peers) {
      assert.equal(await sender.publish("big", { raw, headers }), peers.length, sender.name);
      await check(sender.name, headers);
    }
    const writer = native(broker, "pub", "big", "-");
    writer.child.stdin!.end(text);
    await writer.output;
    await check("the native client", undefined);
    for (const inbox of inboxes) assert.deepEqual(inbox.rest(), []);
    await Promise.all(peers.map((peer) => peer.unsubscribe("big")));

    const reader = native(broker, "sub", "big.native", "--count", "2");
    const [socketIo, conat] = [peers[0]!, peers[4]!];
    assert.equal(await socketIo.interest("big.native", 60_000), true);
    assert.equal(await socketIo.publish("big.native", { raw }), 1);
    assert.equal(await conat.publish("big.native", { raw }), 1);
    const printed = (await reader.output).toString();
    assert.equal(printed.split(text).length, 3, "twice, whole");
  });
});

describe("very big messages", () => {
  const maxPayload = 8_000_000; // the default
  let broker: Broker;
  const opened: Peer[] = [];
  before(async () => {
    broker = await Broker.start("--shards", "2", "--ping-timeout", "120000", "--no-persist");
  });
  after(async () => {
    for (const peer of opened) peer.close();
    await broker.stop();
  });
  const open = async (kinds: readonly PeerKind[]): Promise<Peer[]> => {
    const peers = await Promise.all(kinds.map((kind) => kind.open(broker.address)));
    opened.push(...peers);
    return peers;
  };

  it("200 MB pass whole between kinds of clients, in less than three payloads of memory", { timeout: 300_000 }, async () => {
    const { raw, text } = bigText(200 * MB);
    const isMsgpack = ({ name }: { name: string }): boolean => /messagepack|msgpack/i.test(name);
    const [socketIo, conat, other] = await open([
      peerKinds.find((kind) => !kind.own && isMsgpack(kind))!,
      peerKinds.find((kind) => kind.own && isMsgpack(kind))!,
      peerKinds.find((kind) => !isMsgpack(kind))!,
    ]);
    for (const [from, to] of [[socketIo!, conat!], [conat!, socketIo!], [other!, conat!], [conat!, other!]] as const) {
      const inbox = await to.subscribe("very.big");
      const grown = await broker.growth(async () => {
        assert.equal(await from.publish("very.big", { raw }), 1);
        assert.ok(raw.equals((await inbox.next()).raw), `from ${from.name} to ${to.name}`);
      });
      assert.ok(grown < 3 * maxPayload, `from ${from.name} to ${to.name}: ${grown} bytes`);
      await to.unsubscribe("very.big");
    }
    const inbox = await socketIo!.subscribe("very.big");
    const writer = native(broker, "pub", "very.big", "-");
    writer.child.stdin!.end(text);
    await writer.output;
    assert.ok(raw.equals((await inbox.next()).raw), "from the native client");
  });

  it("20 MB and 200 MB to a queue group of five, under load: each exactly once and whole", { timeout: 300_000 }, async () => {
    const members = await open(peerKinds.slice(-5));
    const inboxes = await Promise.all(members.map((member) => member.subscribe("work", "group")));
    const senders = await open(peerKinds.slice(0, 2));
    const [chatter, listener] = await open(peerKinds.slice(0, 2));
    const heard = await listener!.subscribe("chatter");
    let working = true;
    const load = (async () => {
      let sent = 0;
      for (; working; sent++) assert.equal(await chatter!.publish("chatter", { raw: Buffer.from([sent & 127]) }), 1);
      return sent;
    })();

    const { raw } = bigText(200 * MB);
    const parts = Array.from({ length: 5 }, (_, i) => raw.subarray(i * 20 * MB, (i + 1) * 20 * MB));
    const grown = await broker.growth(async () => {
      await Promise.all([
        (async () => {
          for (const [n, part] of parts.entries()) assert.equal(await senders[0]!.publish("work", { raw: part, headers: { n } }), 1);
        })(),
        senders[1]!.publish("work", { raw, headers: { n: 5 } }).then((count) => assert.equal(count, 1)),
      ]);
      for (const member of members) await member.interest("work", 0); // behind everything that was sent to it
    });
    working = false;
    const sent = await load;
    for (let i = 0; i < sent; i++) assert.equal((await heard.next()).raw[0], i & 127, "the load, in order");
    const taken = inboxes.flatMap((inbox) => inbox.rest());
    const byNumber = new Map(taken.map((message) => [(message.headers as { n: number }).n, message]));
    assert.equal(taken.length, 6);
    for (const [n, whole] of [...parts, raw].entries()) assert.ok(whole.equals(byNumber.get(n)!.raw), `message ${n}`);
    assert.ok(grown < 2 * 3 * maxPayload, `two transfers at once: ${grown} bytes`);
  });
});
