// What an operator sees of a broker: metrics, limits on connections, logs.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect } from "conat-client";
import type { Socket } from "socket.io-client";
import { Broker, repository, until } from "./broker.js";
import { parseExposition, total, type Families } from "./exposition.js";
import { emit, publish, Reader, signIn } from "./clients.js";

async function metrics(broker: Broker): Promise<Families> {
  const response = await fetch(`${broker.address}/metrics`);
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  return parseExposition(await response.text());
}

describe("the checker of the metrics' format", () => {
  const good = '# HELP a_total A thing\n# TYPE a_total counter\na_total{x="1"} 5\na_total{x="\\"\\\\\\n"} 6\n';
  const histogram = (buckets: string): string =>
    `# HELP h_seconds H\n# TYPE h_seconds histogram\n${buckets}h_seconds_sum 1\nh_seconds_count 3\n`;
  it("accepts what is right", () => {
    assert.equal(total(parseExposition(good), "a_total"), 11);
    assert.equal(parseExposition(good).get("a_total")?.samples[1]?.labels.get("x"), '"\\\n');
    parseExposition(histogram('h_seconds_bucket{le="0.5"} 1\nh_seconds_bucket{le="+Inf"} 3\n'));
  });
  const mistakes: Record<string, string> = {
    "no end of line": good.slice(0, -1),
    "TYPE twice": good.replace("a_total{x=\"1\"}", "# TYPE a_total counter\na_total{x=\"1\"}"),
    "HELP twice": good + good,
    "no TYPE": good.replace(/# TYPE.*\n/, ""),
    "the same labels twice": good + 'a_total{x="1"} 7\n',
    "a counter without _total": good.replaceAll("a_total", "a_things"),
    "no number": good.replace(" 5", " five"),
    "an unquoted label": good.replace('"1"', "1"),
    "an unescaped quote": good.replace('"1"', '"1"2"'),
    "a name with a dash": good.replaceAll("a_total", "a-b_total"),
    "milliseconds": good.replaceAll("a_total", "a_milliseconds_total"),
    "a sample of another family": good + "b_total 1\n",
    "an empty line": good.replace("\n# TYPE", "\n\n# TYPE"),
    "no +Inf": histogram('h_seconds_bucket{le="0.5"} 3\n'),
    "buckets that fall": histogram('h_seconds_bucket{le="0.5"} 4\nh_seconds_bucket{le="+Inf"} 3\n'),
    "a count that differs": histogram('h_seconds_bucket{le="+Inf"} 4\n'),
  };
  for (const [name, text] of Object.entries(mistakes)) {
    it(`refuses ${name}`, () => assert.throws(() => parseExposition(text)));
  }
});

describe("metrics", () => {
  let broker: Broker;
  let socket: Socket;
  before(async () => {
    broker = await Broker.start("--shards", "2", "--id", "node-1");
    ({ socket } = await signIn(broker.address));
  });
  after(async () => {
    socket.disconnect();
    await broker.stop();
  });

  it("are documented, all of them and no others", async () => {
    const document = readFileSync(join(repository, "docs/operations.md"), "utf8");
    const documented = [...document.matchAll(/^\| `((?:conat|process)_[a-z_]+)`/gm)].map((match) => match[1]!);
    assert.deepEqual([...documented].sort(), [...(await metrics(broker)).keys()].sort());
    for (const [name, { type }] of await metrics(broker)) {
      assert.match(document, new RegExp(`^\\| \`${name}\` \\| ${type} \\|`, "m"), `${name} is a ${type}`);
    }
  });

  it("have one value for each shard", async () => {
    const shards = (await metrics(broker)).get("conat_connections")!.samples.map((sample) => sample.labels.get("shard"));
    assert.deepEqual(shards, ["0", "1"]);
  });

  it("tell what was published, delivered, refused and dropped", async () => {
    const start = await metrics(broker);
    const { socket: reader } = await signIn(broker.address);
    await emit(reader, "subscribe", { subject: "m.*", queue: "q" });
    for (let i = 0; i < 10; i++) assert.deepEqual(await publish(socket, "m.a", Buffer.alloc(1000)), { count: 1 });
    await emit(socket, "publish", null);
    const now = await metrics(broker);
    const difference = (name: string): number => total(now, name) - total(start, name);
    assert.equal(difference("conat_messages_received_total"), 10);
    assert.ok(difference("conat_message_bytes_received_total") >= 10_000);
    assert.equal(difference("conat_deliveries_total"), 10);
    assert.ok(difference("conat_delivery_bytes_total") >= 10_000);
    assert.equal(difference("conat_subscriptions"), 1);
    assert.equal(difference("conat_malformed_events_total"), 1);
    assert.equal(difference("conat_connections"), 1);
    assert.equal(difference("conat_signed_in_connections"), 1);
    assert.equal(total(now, "conat_users"), 1);
    const looked = difference("conat_match_cache_hits_total") + difference("conat_match_cache_misses_total");
    assert.ok(looked >= 10, `${looked}`);
    assert.ok(difference("conat_match_cache_hits_total") >= 8);
    reader.disconnect();
    const closed = async (): Promise<number> =>
      total(await metrics(broker), "conat_connections_closed_total", { reason: "peer-closed" }) +
      total(await metrics(broker), "conat_connections_closed_total", { reason: "transport-lost" });
    await until("the reader's end is counted", async () => (await closed()) > 0);
    await until("what waits for nobody is none", async () => total(await metrics(broker), "conat_queue_bytes") === 0);
  });

  it("tell what is stored, and how long that takes", async () => {
    const client = connect({ address: broker.address, noCache: true });
    const store = await client.dkv<number>({ name: "metrics" });
    for (let i = 0; i < 5; i++) {
      store.set(`key-${i}`, i);
      await store.save();
    }
    const now = await metrics(broker);
    const commits = total(now, "conat_storage_commits_total");
    assert.ok(commits >= 5, `${commits}`);
    const histogram = now.get("conat_storage_commit_duration_seconds")!;
    assert.equal(histogram.samples.find((sample) => sample.name.endsWith("_count"))?.value, commits);
    const seconds = histogram.samples.find((sample) => sample.name.endsWith("_sum"))!.value;
    assert.ok(seconds > 0 && seconds < 60, `${seconds}`);
    assert.equal(total(now, "conat_storage_streams_open"), 1);
    assert.ok(total(now, "conat_persist_requests_total", { command: "setMany" }) >= 5);
    assert.equal(total(now, "conat_persist_failed_requests_total"), 0);
    assert.ok(total(now, "conat_persist_sockets") >= 1);
    client.close();
    await until("the stream is closed", async () => total(await metrics(broker), "conat_storage_streams_open") === 0);
    assert.equal(total(await metrics(broker), "conat_persist_sockets"), 0);
  });

  it("tell what the process takes", async () => {
    const now = await metrics(broker);
    const resident = total(now, "process_resident_memory_bytes");
    assert.ok(Math.abs(resident / 1024 - broker.rss()) < 20_000, `${resident}`);
    assert.ok(total(now, "process_virtual_memory_bytes") >= resident);
    const age = Date.now() / 1000 - total(now, "process_start_time_seconds");
    assert.ok(age > -2 && age < 600, `${age}`);
    assert.ok(total(now, "process_cpu_seconds_total") > 0);
    const open = total(now, "process_open_fds");
    assert.ok(open > 5 && open < total(now, "process_max_fds"), `${open}`);
    assert.ok(total(now, "process_threads") >= 3);
    const build = now.get("conat_build_info")!.samples[0]!;
    assert.equal(build.labels.get("id"), "node-1");
    assert.match(build.labels.get("version") ?? "", /^\d+\.\d+\.\d+$/);
  });
});

describe("limits on connections", () => {
  it("each user may have so many, over all shards", { timeout: 120_000 }, async () => {
    const broker = await Broker.start("--shards", "2", "--no-persist", "--max-connections-per-user", "8");
    const sockets: Socket[] = [];
    for (let i = 0; i < 8; i++) {
      const { socket, info } = await signIn(broker.address);
      assert.equal(info.user, null);
      sockets.push(socket);
    }
    for (let i = 0; i < 3; i++) {
      const { socket, info } = await signIn(broker.address);
      const ended = new Promise<string>((done) => socket.once("disconnect", done));
      assert.deepEqual(info.user, { error: "Error: there is a limit of at most 8 connections of one user", code: 429 });
      assert.equal(await ended, "io server disconnect"); // it does not try again by itself
    }
    assert.equal(total(await metrics(broker), "conat_connections_over_limit_total"), 3);
    assert.equal(total(await metrics(broker), "conat_signed_in_connections"), 8);
    sockets.pop()!.disconnect();
    await until("its place is free", async () => total(await metrics(broker), "conat_signed_in_connections") === 7);
    const again = await signIn(broker.address);
    assert.equal(again.info.user, null);
    for (const socket of [...sockets, again.socket]) socket.disconnect();
    await until("nobody is there", async () => total(await metrics(broker), "conat_users") === 0);
    await broker.stop();
  });

  it("in development mode one user may have as many as there may be", { timeout: 120_000 }, async () => {
    const broker = await Broker.start("--no-persist");
    const all = await Promise.all(Array.from({ length: 120 }, () => signIn(broker.address)));
    assert.ok(all.every(({ info }) => info.user === null));
    for (const { socket } of all) socket.disconnect();
    await broker.stop();
  });
});

describe("the log", () => {
  const secret = "payload-that-nobody-may-see";
  // Whitespace is no part of a subject, but other control characters and quotes may be.
  const subject = 'weird."\u0001\\{}=é.\u{1f600}';

  // A broker that has cut off a slow consumer and refused a connection; ended.
  async function eventful(...options: string[]): Promise<string[]> {
    const broker = await Broker.start(
      "--shards", "2", "--no-persist", "--max-payload", "100000", "--max-queue", "1000000", "--max-connections-per-user", "2", ...options,
    );
    const slow = await Reader.subscribe(broker.address, subject, "q");
    const { socket } = await signIn(broker.address);
    const refused = await signIn(broker.address);
    assert.equal(refused.info.user?.code, 429);
    slow.stop();
    const raw = Buffer.concat([Buffer.from(secret), Buffer.alloc(60_000, "x")]);
    await until("the slow consumer is cut off", async () => {
      await publish(socket, subject, raw);
      return total(await metrics(broker), "conat_slow_consumers_total") === 1;
    }, 60_000);
    assert.equal(await slow.untilClosed(), 1013);
    socket.disconnect();
    await until("the connections have gone", async () => total(await metrics(broker), "conat_connections") === 0);
    assert.equal(await broker.end(), 0);
    const lines = broker.log.trimEnd().split("\n");
    await broker.stop();
    assert.ok(!broker.log.includes(secret));
    return lines;
  }

  it("as JSON: each line one object", { timeout: 120_000 }, async () => {
    const lines = await eventful("--log-format", "json", "--log-level", "debug");
    const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    for (const entry of entries) {
      assert.match(String(entry["time"]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      assert.ok(Math.abs(Date.parse(String(entry["time"])) - Date.now()) < 120_000);
      assert.ok(["debug", "info", "warning"].includes(String(entry["level"])), JSON.stringify(entry));
      assert.equal(typeof entry["message"], "string");
    }
    const slow = entries.filter((entry) => entry["message"] === "slow consumer disconnected");
    assert.equal(slow.length, 1);
    assert.equal(slow[0]!["level"], "warning");
    assert.equal(slow[0]!["subject"], subject);
    assert.equal(slow[0]!["user"], null);
    assert.equal(slow[0]!["address"], "127.0.0.1");
    assert.match(String(slow[0]!["connection"]), /^[\w-]{20}$/);
    const bytes = slow[0]!["queued_bytes"] as number;
    assert.ok(bytes > 1_000_000 && bytes < 1_200_000, `${bytes}`);
    const limit = entries.find((entry) => entry["message"] === "too many connections");
    assert.equal(limit?.["level"], "warning");
    assert.ok(entries.some((entry) => entry["message"] === "connection closed" && entry["level"] === "debug" && entry["reason"] === "refused"));
    for (const message of ["started", "ending", "ended"]) {
      assert.ok(entries.some((entry) => entry["message"] === message && entry["level"] === "info"), message);
    }
  });

  it("as text: each line begins with time and level", { timeout: 120_000 }, async () => {
    const lines = await eventful();
    for (const line of lines) assert.match(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (info|warning) \S/);
    const slow = lines.filter((line) => line.includes("slow consumer disconnected"));
    assert.equal(slow.length, 1);
    assert.match(slow[0]!, / connection=[\w-]{20} user=null address=127\.0\.0\.1 subject="weird\./);
    assert.match(slow[0]!, / queued_bytes=1\d{6} /);
    assert.ok(!lines.some((line) => line.includes("connection closed")), "what is of no concern is left out");
  });
});
