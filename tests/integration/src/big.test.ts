// Messages far beyond max_payload, in chunks, between all kinds of clients: each arrives once and whole.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { binary, Broker } from "./broker.js";
import { peerKinds, type Peer } from "./wire/peers.js";

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
