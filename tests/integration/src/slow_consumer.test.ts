// Readers that do not keep up: bounded, cut off and told of, while others lose next to nothing; and publishers
// whose only readers are slow are held up, not dropped.
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import type { Socket } from "socket.io-client";
import { Broker, until } from "./broker.js";
import { parseExposition, total, type Families } from "./exposition.js";
import { publish, Reader, signIn } from "./clients.js";

const queueBytes = 8_000_000;
const payload = Buffer.alloc(8000, "x");
const messages = 3000; // 24 MB: three times the bound
const window = 32;

let broker: Broker;
let publisher: Socket;
let peakKib = 0;
before(async () => {
  broker = await Broker.start("--shards", "2", "--no-persist", "--max-payload", "1000000", "--max-queue", String(queueBytes));
  ({ socket: publisher } = await signIn(broker.address));
});
after(async () => {
  publisher.disconnect();
  await broker.stop();
});

const metrics = async (from: Broker): Promise<Families> => parseExposition(await (await fetch(`${from.address}/metrics`)).text());

/** Publishes all messages, each acknowledged with one delivery at least. */
async function flood(subject: string, atLeast: number): Promise<void> {
  let sent = 0;
  const worker = async (): Promise<void> => {
    while (sent < messages) {
      if (++sent % 100 === 0) peakKib = Math.max(peakKib, broker.rss());
      const { count } = await publish(publisher, subject, payload);
      assert.ok((count as number) >= atLeast, `${count}`);
    }
  };
  await Promise.all(Array.from({ length: window }, worker));
}

it("a reader that stops is cut off; the others keep their rate, and memory is bounded", { timeout: 300_000 }, async (t) => {
  const good = await Promise.all([1, 2].map((n) => Reader.subscribe(broker.address, "load", `good-${n}`)));
  // The time until every good reader has everything. Each message is checked to have come by its number.
  const run = async (withSlow: boolean): Promise<number> => {
    const slow = withSlow ? await Reader.subscribe(broker.address, "load", "slow") : undefined;
    slow?.stop();
    const expected = good.map((reader) => reader.received + messages);
    const begin = performance.now();
    await flood("load", good.length);
    await until("the good readers have everything", () => good.every((reader, i) => reader.received === expected[i]), 60_000);
    const taken = performance.now() - begin;
    if (slow !== undefined) assert.equal(await slow.untilClosed(), 1013);
    return taken;
  };
  await run(false); // warms up
  const restingKib = broker.rss();
  peakKib = 0;
  // In turns, so that what else the machine does meets both alike.
  const control: number[] = [];
  const disturbed: number[] = [];
  for (let round = 0; round < 3; round++) {
    control.push(await run(false));
    disturbed.push(await run(true));
  }
  const kept = Math.min(...control) / Math.min(...disturbed);
  const grown = (peakKib - restingKib) * 1024;
  t.diagnostic(`the good readers kept ${(100 * kept).toFixed(1)} % of their rate beside a reader that had stopped`);
  t.diagnostic(`resident memory grew by ${(grown / 1e6).toFixed(1)} MB, with ${queueBytes / 1e6} MB allowed for one queue`);
  assert.ok(kept > 0.6, `${kept}`); // 0.95 on a machine that does nothing else
  assert.ok(grown < queueBytes + 30e6, `${grown}`);
  const now = await metrics(broker);
  assert.equal(total(now, "conat_slow_consumers_total"), 3);
  assert.equal(total(now, "conat_connections_closed_total", { reason: "slow-consumer" }), 3);
  assert.ok(total(now, "conat_dropped_queue_bytes_total", { reason: "slow-consumer" }) > 2 * queueBytes);
  const lines = broker.log.split("\n").filter((line) => line.includes("slow consumer disconnected"));
  assert.equal(lines.length, 3);
  for (const line of lines) assert.match(line, / warning .* connection=[\w-]{20} user=null address=127.0.0.1 subject=load queued_bytes=8\d{6} /);
  for (const reader of good) reader.close();
});

it("a publisher whose only reader is slow is slowed down, and nothing is lost", { timeout: 300_000 }, async (t) => {
  const bound = 32_000_000;
  const large = Buffer.alloc(16_000, "x");
  await using patient = await Broker.start("--shards", "2", "--no-persist", "--max-payload", "1000000", "--max-queue", String(bound));
  const { socket } = await signIn(patient.address);
  const reader = await Reader.subscribe(patient.address, "only", "slow");
  reader.onMessage(() => {
    if (reader.received % 100 !== 0) return;
    reader.stop();
    setTimeout(() => reader.resume(), 100); // what makes it slow: at most 16 MB a second
  });
  const restingKib = patient.rss();
  let peak = 0;
  // Without acknowledgements, as fast as it goes, but so that the reader gets its turns.
  for (let i = 0; i < messages; i++) {
    socket.emit("publish", ["only", `id-${i}`, 0, 1, 0, large]);
    if (i % 20 === 0) await new Promise(setImmediate);
  }
  await until("everything has come", () => {
    peak = Math.max(peak, patient.rss());
    assert.equal(reader.closeCode, undefined);
    return reader.received === messages;
  }, 120_000);
  const now = await metrics(patient);
  assert.equal(total(now, "conat_slow_consumers_total"), 0);
  assert.equal(total(now, "conat_deliveries_total"), messages);
  const pauses = total(now, "conat_reading_pauses_total");
  const grown = (peak - restingKib) * 1024;
  t.diagnostic(`the publisher was held up ${pauses} times; resident memory grew by ${(grown / 1e6).toFixed(1)} MB`);
  assert.ok(pauses > 0);
  assert.ok(grown < bound + 30e6, `${grown}`);
  reader.close();
  socket.disconnect();
});

it("large messages wait for their reader alone, on whatever shard it is", { timeout: 120_000 }, async () => {
  const large = Buffer.alloc(500_000, "x"); // each sets the pace of the next one
  const readers = await Promise.all(Array.from({ length: 8 }, (_, n) => Reader.subscribe(broker.address, `large.${n}`, "q")));
  const begin = performance.now();
  for (let round = 1; round <= 5; round++) {
    for (const [n, reader] of readers.entries()) {
      assert.deepEqual(await publish(publisher, `large.${n}`, large), { count: 1 });
      await until("it has come", () => reader.received === round);
    }
  }
  // A hold that nobody ends is over after 2 s: four readers with one each round would take 40 s.
  const taken = performance.now() - begin;
  assert.ok(taken < 20_000, `${Math.round(taken)} ms`);
  for (const reader of readers) reader.close();
});
