// How fast streams and key-value stores are for a client, against a real broker: acknowledged sets one by one and
// together, loading, saving, and how soon others see a change.
//
//   usage: CONATD=path/to/conatd CONAT_BENCH_DIRECTORY=on/which/disk node bench/stores.mjs
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { connect, messageData } from "conat-client";
import { report, startBroker } from "./broker.mjs";

const value = { user: "somebody", x: 0.25, y: 0.75, text: "a small message of about a hundred bytes, as people send them" };
const line = (name, text) => console.log(`${name.padEnd(60)} ${text.padStart(13)}`);
const milliseconds = (name, start) => line(name, `${(performance.now() - start).toFixed(0)} ms`);

/** Calls `one(i)` for 0 to count - 1, `window` at a time. */
async function pipelined(count, window, one) {
  let next = 0;
  const worker = async () => {
    while (next < count) await one(next++);
  };
  await Promise.all(Array.from({ length: window }, worker));
}

function percentiles(name, times) {
  times.sort((a, b) => a - b);
  const at = (part) => `${(times[Math.floor(times.length * part)] * 1000).toFixed(0)} µs`;
  line(`${name}: p50, p99`, `${at(0.5)}, ${at(0.99)}`);
}

async function acknowledgedSets(client, durability) {
  const open = (name) => client.sync.stream({ storage: { path: `hub/${name}` } });
  const streams = Array.from({ length: 100 }, (_, i) => open(`${durability}-${i}`));
  const messages = Array.from({ length: 500 }, () => ({ messageData: messageData(value) }));
  await Promise.all(streams.map((stream) => stream.set({ messageData: messageData(value) })));

  const times = [];
  for (let i = 0; i < (durability === "os" ? 5000 : 1000); i++) {
    const start = performance.now();
    await streams[0].set({ messageData: messageData(value) });
    times.push(performance.now() - start);
  }
  percentiles(`${durability}: one set after the other`, times);

  for (const [count, word] of [[1, "one stream"], [100, "100 streams"]]) {
    const start = performance.now();
    await pipelined(100_000, 1000, (i) => streams[i % count].set({ messageData: messageData(value) }));
    report(`${durability}: sets, 1000 in flight, ${word}`, 100_000, start);
  }
  {
    const start = performance.now();
    await pipelined(200, 4, () => streams[1].setMany(messages));
    report(`${durability}: setMany of 500, 4 in flight`, 100_000, start);
  }
  for (const stream of streams) stream.close();
}

async function loading(client, other) {
  const writer = client.sync.stream({ storage: { path: "hub/large" } });
  const messages = Array.from({ length: 500 }, () => ({ messageData: messageData(value) }));
  await pipelined(200, 4, () => writer.setMany(messages));
  writer.close();
  {
    const reader = other.sync.stream({ storage: { path: "hub/large" } });
    const start = performance.now();
    const all = await reader.getAll();
    milliseconds("getAll of 100,000 messages", start);
    if (all.length !== 100_000) throw new Error(`${all.length} messages`);
    reader.close();
  }
  const start = performance.now();
  const stream = await other.cstream({ name: "large", noInventory: true });
  milliseconds("a CoreStream of 100,000 messages opens", start);
  if (stream.length !== 100_000) throw new Error(`${stream.length} messages`);
  stream.close();
}

// In a process of its own, where nothing else takes or frees memory.
async function openAndMeasure(address) {
  const client = connect({ address });
  await client.waitUntilReady();
  globalThis.gc();
  const before = process.memoryUsage().rss;
  const store = await client.dkv({ name: "keys", noInventory: true });
  const { length } = store;
  globalThis.gc();
  console.log((process.memoryUsage().rss - before) / length);
  client.close();
}

async function keyValue(client, other) {
  const name = "keys";
  const store = await client.dkv({ name, noInventory: true });
  const saving = performance.now();
  for (let i = 0; i < 10_000; i++) store.set(`key-${i}`, { n: i, text: "some text" });
  await store.save();
  milliseconds("a DKV saves 10,000 keys", saving);
  for (let i = 10_000; i < 100_000; i++) store.set(`key-${i}`, { n: i, text: "some text" });
  await store.save();

  const start = performance.now();
  const copy = await other.dkv({ name, noInventory: true });
  milliseconds("a DKV of 100,000 keys opens", start);
  if (copy.length !== 100_000) throw new Error(`${copy.length} keys`);
  const self = fileURLToPath(import.meta.url);
  const bytes = Number(execFileSync(process.execPath, ["--expose-gc", self, "--measure", client.options.address]));
  line("memory for a key of it", `${bytes.toFixed(0)} B`);

  const times = [];
  for (let i = 0; i < 2000; i++) {
    const seen = new Promise((resolve) => copy.once("change", resolve));
    const begin = performance.now();
    store.set("key-7", i);
    await seen;
    times.push(performance.now() - begin);
  }
  percentiles("disk: from set to the other client's change event", times);
  store.close();
  copy.close();
}

if (process.argv[2] === "--measure") {
  await openAndMeasure(process.argv[3]);
  process.exit();
}
for (const durability of ["disk", "os"]) {
  const broker = await startBroker("--durability", durability);
  const [client, other] = [connect({ address: broker.address, noCache: true }), connect({ address: broker.address, noCache: true })];
  await Promise.all([client.waitUntilReady(), other.waitUntilReady()]);
  await acknowledgedSets(client, durability);
  if (durability === "disk") {
    await loading(client, other);
    await keyValue(client, other);
  }
  client.close();
  other.close();
  await broker.stop();
}
