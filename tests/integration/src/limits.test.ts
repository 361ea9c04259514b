// What clients cannot do to the broker and to each other: too much, too fast, too early, too late.
// Each test states the figure that holds.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { after, before, describe, it } from "node:test";
import { connect, type Client } from "conat-client";
import { Broker, until } from "./broker.js";
import { frame, metric, RawSocket, text, upgrade } from "./frames.js";

const publishOf = (subject: string, payload: string): string => JSON.stringify(["publish", [subject, "0123456789", 0, 1, 1, payload]]);

describe("before the sign-in", { concurrency: true }, () => {
  let broker: Broker;
  before(async () => {
    broker = await Broker.start("--shards", "2", "--no-persist", "--handshake-timeout", "2000");
  });
  after(async () => {
    assert.equal(await broker.end("SIGTERM"), 0, broker.log);
    await broker.stop();
  });

  const connectOf = (size: number): string => `40{"token":"${"t".repeat(size - 14)}"}`;

  it("a message may have 64 KiB, afterwards max_payload; beyond it 1009", { timeout: 90_000 }, async () => {
    const good = new RawSocket(broker.port, upgrade());
    await good.untilText('0{"sid"');
    assert.match(good.text(), /"maxPayload":8000000/);
    good.send(text(connectOf(65_536)));
    await good.untilText('["info",');
    good.send(text(`427${publishOf("x", "y".repeat(7_999_000))}`));
    await good.untilText("437[");
    good.send(text(`428${publishOf("x", "y".repeat(8_000_000))}`));
    await good.untilClosed();
    assert.equal(good.closeCode(), 1009);
    const bad = new RawSocket(broker.port, upgrade());
    await bad.untilText('0{"sid"');
    bad.send(text(connectOf(65_537)));
    await bad.untilClosed();
    assert.equal(bad.closeCode(), 1009);
  });

  it("500 strangers with all that they may send hold less than 45 MB", { timeout: 90_000 }, async () => {
    // A broker of its own: what other tests take would count.
    await using fresh = await Broker.start("--shards", "2", "--no-persist");
    const before = fresh.rss();
    // Nearly a whole message each, and never its end.
    const almost = frame(1, connectOf(65_536)).subarray(0, -10);
    const strangers = await Promise.all(
      Array.from({ length: 500 }, async () => {
        const raw = new RawSocket(fresh.port, upgrade());
        await raw.untilText('0{"sid"');
        raw.send(almost);
        return raw;
      }),
    );
    const read = 500 * almost.length;
    await until("all of it is read", async () => (await metric(fresh.address, "conat_network_read_bytes_total")) >= read);
    const growth = fresh.rss() - before;
    console.log(`500 strangers: ${growth} KiB`);
    for (const stranger of strangers) stranger.socket.destroy();
    assert.ok(growth < 45_000, `${growth} KiB`);
  });

  it("who never signs in is closed after 45 s, others are not", { timeout: 120_000 }, async () => {
    const signedIn = new RawSocket(broker.port, upgrade());
    await signedIn.signIn();
    const begin = Date.now();
    const silent = new RawSocket(broker.port, upgrade());
    const busy = new RawSocket(broker.port, upgrade());
    await Promise.all([silent, busy].map((raw) => raw.untilText('0{"sid"')));
    // Answers pings and asks for another namespace, but never signs in.
    const timer = setInterval(() => {
      busy.send(Buffer.concat([text("3"), text("40/other,")]));
      silent.send(text("3"));
      signedIn.send(text("3"));
    }, 1000);
    await Promise.all([silent.untilClosed(90_000), busy.untilClosed(90_000)]);
    clearInterval(timer);
    const seconds = (Date.now() - begin) / 1000;
    console.log(`closed after ${seconds.toFixed(1)} s`);
    assert.ok(seconds > 44 && seconds < 75, `after ${seconds} s`);
    assert.equal(signedIn.closed, false);
    signedIn.socket.destroy();
  });

  it("a handshake that does not come to an end is closed after its limit", { timeout: 60_000 }, async () => {
    const begin = Date.now();
    const starts = ["", "GET /conat/?EIO=4", upgrade().slice(0, -4)];
    await Promise.all(starts.map((start) => new RawSocket(broker.port, start).untilClosed(40_000)));
    const seconds = (Date.now() - begin) / 1000;
    assert.ok(seconds > 1.9 && seconds < 30, `after ${seconds} s`);
  });
});

/** Median time of a request's way there and back, in ms. */
async function roundTrip(client: Client, subject: string, times = 200): Promise<number> {
  const taken: number[] = [];
  for (let i = 0; i < times; i++) {
    const begin = performance.now();
    await client.publish(subject, i);
    taken.push(performance.now() - begin);
  }
  return taken.sort((a, b) => a - b)[times >> 1]!;
}

/** Starts a process that sends as much as it can, or `rate` bytes a second, until it is ended. */
async function flood(port: number, kind: "publishes" | "garbage", rate: number): Promise<AsyncDisposable> {
  const child = spawn(process.execPath, ["--import", "tsx", fileURLToPath(new URL("flood.ts", import.meta.url)), String(port), kind, String(rate)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data"); // it has begun
  return {
    async [Symbol.asyncDispose]() {
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
    },
  };
}

for (const kind of ["publishes", "garbage"] as const) {
  it(`one connection floods with all it can, up to 64 MB/s, of ${kind}: its neighbours keep their round trip`, { timeout: 120_000 }, async () => {
    await using broker = await Broker.start("--shards", "2", "--no-persist");
    const neighbour = connect({ address: broker.address, noCache: true });
    const subscription = await neighbour.subscribe("neighbour");
    await roundTrip(neighbour, "neighbour");
    const quiet = await roundTrip(neighbour, "neighbour");
    const rss = broker.rss();
    const readBefore = await metric(broker.address, "conat_network_read_bytes_total");
    const begin = performance.now();
    await using _ = await flood(broker.port, kind, 64_000_000);
    await until("the flood is under way", async () => (await metric(broker.address, "conat_network_read_bytes_total")) > readBefore + 20_000_000);
    const flooded = await roundTrip(neighbour, "neighbour");
    const rate = ((await metric(broker.address, "conat_network_read_bytes_total")) - readBefore) / (performance.now() - begin) / 1000;
    const growth = broker.rss() - rss;
    console.log(`${kind}: ${quiet.toFixed(2)} ms, under ${rate.toFixed(0)} MB/s ${flooded.toFixed(2)} ms; ${growth} KiB`);
    // The flood and the measurement share this machine's cores: that is what the room is for.
    assert.ok(flooded < 10 * quiet + 200, `${quiet} ms became ${flooded} ms`);
    assert.ok(growth < 100_000, `memory grew by ${growth} KiB`);
    subscription.close();
    neighbour.close();
  });
}

it("with a rate limit a flood gets that and no more, and loses nothing", { timeout: 120_000 }, async () => {
  await using broker = await Broker.start("--shards", "1", "--no-persist", "--max-bytes-per-second", "1000000", "--rate-burst", "500");
  const neighbour = connect({ address: broker.address, noCache: true });
  await neighbour.waitUntilSignedIn();
  const before = await metric(broker.address, "conat_message_bytes_received_total");
  await using _ = await flood(broker.port, "publishes", 64_000_000);
  const begin = performance.now();
  const received = async (): Promise<number> => (await metric(broker.address, "conat_message_bytes_received_total")) - before;
  await until("five seconds of it have come", async () => (await received()) > 5_000_000, 60_000);
  const rate = (await received()) / ((performance.now() - begin) / 1000);
  console.log(`limited to 1 MB/s: ${(rate / 1e6).toFixed(2)} MB/s`);
  // What the burst and one read allow at first comes on top.
  assert.ok(rate < 1_400_000, `${rate} bytes/s`);
  assert.ok((await metric(broker.address, "conat_rate_pauses_total")) > 0);
  assert.ok((await roundTrip(neighbour, "neighbour", 50)) < 100);
  neighbour.close();
});

it("messages beyond the limit wait, and all arrive", { timeout: 120_000 }, async () => {
  await using broker = await Broker.start("--shards", "2", "--no-persist", "--max-messages-per-second", "200", "--rate-burst", "200");
  const sender = connect({ address: broker.address, noCache: true });
  const reader = connect({ address: broker.address, noCache: true });
  const subscription = await reader.subscribe("limited");
  await sender.waitUntilSignedIn();
  const begin = performance.now();
  const published = Promise.all(Array.from({ length: 1000 }, (_, i) => sender.publish("limited", i)));
  for (let i = 0; i < 1000; i++) assert.equal((await subscription.next()).value?.data, i);
  await published;
  const seconds = (performance.now() - begin) / 1000;
  console.log(`1000 messages at 200 a second: ${seconds.toFixed(1)} s`);
  assert.ok(seconds > 0.9, `${seconds} s`);
  sender.close();
  reader.close();
});

it("connections of one address beyond its rate are answered 429 before the upgrade, then dropped", { timeout: 60_000 }, async () => {
  await using broker = await Broker.start("--shards", "2", "--no-persist", "--connection-rate", "0.01", "--connection-burst", "5", "--limit-loopback");
  const tries = await Promise.all(
    Array.from({ length: 15 }, async () => {
      const raw = new RawSocket(broker.port, upgrade());
      await raw.untilText(/HTTP\/1\.1 \d+ [^]*\r\n\r\n/);
      return raw;
    }),
  );
  const accepted = tries.filter((raw) => raw.text().startsWith("HTTP/1.1 101"));
  const refused = tries.filter((raw) => raw.text().startsWith("HTTP/1.1 429 Too Many Requests\r\n"));
  assert.equal(accepted.length, 5);
  assert.equal(refused.length, 10);
  assert.match(refused[0]!.text(), /Retry-After: 100\r\n/);
  assert.match(refused[0]!.text(), /too many connections from this address/);
  // Fifty connections of any kind, those that the test has made before included; then none.
  const plain = await Promise.all(
    Array.from({ length: 60 }, async () => {
      const raw = new RawSocket(broker.port, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      await raw.untilClosed();
      return raw.text();
    }),
  );
  assert.ok(plain.filter((answer) => answer === "").length >= 20);
  assert.ok(plain.filter((answer) => answer.startsWith("HTTP/1.1 200")).length >= 10);
  for (const raw of tries) raw.socket.destroy();
});

it("without --limit-loopback connections from this machine are not limited", { timeout: 60_000 }, async () => {
  await using broker = await Broker.start("--no-persist", "--connection-rate", "0.01", "--connection-burst", "1");
  for (let i = 0; i < 20; i++) assert.equal((await fetch(`${broker.address}/healthz`)).status, 200);
  const sockets = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const raw = new RawSocket(broker.port, upgrade());
      await raw.untilText('0{"sid"');
      return raw;
    }),
  );
  for (const raw of sockets) raw.socket.destroy();
});

it("an idle connection takes at most 16 KiB", { timeout: 120_000 }, async () => {
  await using broker = await Broker.start("--shards", "2", "--no-persist");
  const open = async (): Promise<RawSocket> => {
    const raw = new RawSocket(broker.port, upgrade());
    await raw.signIn();
    return raw;
  };
  const sockets = await Promise.all(Array.from({ length: 50 }, open));
  const before = broker.rss();
  for (let i = 0; i < 20; i++) sockets.push(...(await Promise.all(Array.from({ length: 50 }, open))));
  const each = (broker.rss() - before) / 1000;
  console.log(`${each.toFixed(1)} KiB for each idle connection`);
  for (const raw of sockets) raw.socket.destroy();
  assert.ok(each <= 16, `${each} KiB for each connection`);
});
