// Brokers that join others: real processes, and real Socket.IO clients on each of them.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import type { Socket } from "socket.io-client";
import { Broker, until } from "./broker.js";
import { call, emit, publish, signIn, type Delivery } from "./clients.js";
import { parseExposition, total } from "./exposition.js";
import { Assembly, chunksOf, failureOf } from "./wire/peers.js";

const password = "correct-horse";
const cookie = { Cookie: `sys=${password}` };
const maxPayload = 1_000_000;

class Node {
  private constructor(
    readonly id: string,
    readonly broker: Broker,
    public admin: Socket,
  ) {}
  static async start(id: string, ...options: string[]): Promise<Node> {
    const broker = await Broker.start(
      "--id", id, "--shards", "2", "--cluster-name", "main", "--system-password", password, "--max-payload", String(maxPayload),
      "--max-connections-per-user", "0", "--anonymous-user", '{"account_id":"somebody"}', ...options,
    );
    return new Node(id, broker, (await signIn(broker.address, cookie)).socket);
  }
  get address(): string {
    return this.broker.address;
  }
  ask(name: string, ...args: unknown[]): Promise<unknown> {
    return call(this.admin, `sys.conat.main.${this.id}`, name, ...args);
  }
  join(other: Node): Promise<unknown> {
    return this.ask("join", other.address);
  }
  async client(): Promise<Socket> {
    return (await signIn(this.address, cookie)).socket;
  }
  async metric(name: string): Promise<number> {
    return total(parseExposition(await (await fetch(`${this.address}/metrics`)).text()), name);
  }
  async signInAgain(): Promise<void> {
    this.admin.disconnect();
    this.admin = (await signIn(this.address, cookie)).socket;
  }
  async stop(): Promise<void> {
    this.admin.disconnect();
    await this.broker.stop();
  }
}

/** Subscribes; what comes is gathered whole. */
async function subscribe(socket: Socket, pattern: string, queue = Math.random().toString(36).slice(2)): Promise<Buffer[]> {
  const whole: Buffer[] = [];
  const assembly = new Assembly();
  socket.on(pattern, (delivery: Delivery) => {
    const message = assembly.add(delivery as unknown as Parameters<Assembly["add"]>[0]);
    if (message) whole.push(message.raw);
  });
  assert.deepEqual(await emit(socket, "subscribe", { subject: pattern, queue }), { status: "added" });
  return whole;
}

const count = async (socket: Socket, subject: string): Promise<unknown> => (await publish(socket, subject, Buffer.from("x")))["count"];

async function publishAll(socket: Socket, subject: string, raw: Buffer): Promise<number> {
  let most = 0;
  for (const chunk of chunksOf(subject, { raw }, maxPayload)) most = Math.max(most, Number((await emit(socket, "publish", chunk))["count"]));
  return most;
}

describe("a broker that has joined another", () => {
  let a: Node;
  let b: Node;
  let early: Buffer[];
  let onA: Socket;
  let onB: Socket;
  before(async () => {
    [a, b] = await Promise.all([Node.start("a"), Node.start("b")]);
    [onA, onB] = await Promise.all([a.client(), b.client()]);
    early = await subscribe(onA, "early.*");
    assert.equal(await count(onB, "early.x"), 0);
    assert.equal(await b.join(a), null);
  });
  after(async () => {
    onA.disconnect();
    onB.disconnect();
    await Promise.all([a.stop(), b.stop()]);
  });

  it("counts and serves at once who was there before, and in one direction", async () => {
    assert.equal(await count(onB, "early.x"), 1);
    await until("it arrives", () => early.length === 1);
    await subscribe(onB, "back");
    assert.equal(await count(onA, "back"), 0);
  });

  it("serves who subscribes later, from the acknowledgement on, on whichever shard", async () => {
    const sockets = await Promise.all(Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? a : b).client()));
    for (let round = 0; round < 10; round++) {
      const subject = `later.${round}`;
      const readers = sockets.slice(0, 6);
      const got = await Promise.all(readers.map((socket) => subscribe(socket, subject)));
      assert.equal(await count(sockets[7]!, subject), readers.length);
      assert.equal(await count(sockets[6]!, subject), 3); // those on its own broker
      await until("all have both, or theirs", () => got.every((messages, i) => messages.length === (i % 2 === 0 ? 2 : 1)));
      await Promise.all(readers.map((socket) => emit(socket, "unsubscribe", { subject })));
      assert.equal(await count(sockets[7]!, subject), 0);
    }
    for (const socket of sockets) socket.disconnect();
  });

  it("waits for interest there, of which a tap is none", async () => {
    const tap = await a.client();
    await subscribe(tap, ">");
    const waiting = onB.timeout(30_000).emitWithAck("wait-for-interest", { subject: "awaited.x", timeout: 20_000 });
    assert.equal(await onB.timeout(30_000).emitWithAck("wait-for-interest", { subject: "awaited.x", timeout: 0 }), false);
    assert.equal(await count(onB, "awaited.x"), 0);
    await subscribe(onA, "awaited.*");
    assert.equal(await waiting, true);
    tap.disconnect();
  });

  it("shares queue groups with it: each message reaches one member, and all get some", async () => {
    const sockets = await Promise.all(Array.from({ length: 6 }, (_, i) => (i % 2 === 0 ? a : b).client()));
    const got = await Promise.all(sockets.map((socket) => subscribe(socket, "work", "workers")));
    const counts = await Promise.all(Array.from({ length: 600 }, (_, i) => publish(onB, "work", Buffer.from(String(i)))));
    assert.ok(counts.every((answer) => answer["count"] === 1));
    await until("all have come", () => got.reduce((sum, messages) => sum + messages.length, 0) >= 600);
    const all = got.flat().map(String);
    assert.equal(new Set(all).size, 600);
    assert.equal(all.length, 600);
    for (const messages of got) assert.ok(messages.length > 50 && messages.length < 150, String(messages.length));
    // And large ones, in chunks, whole.
    const large = Array.from({ length: 12 }, () => randomBytes(3_000_000));
    const publishers = await Promise.all(Array.from({ length: 4 }, () => b.client()));
    await Promise.all(large.map(async (raw, i) => assert.equal(await publishAll(publishers[i % 4]!, "work", raw), 1)));
    await until("all large ones have come", () => got.reduce((sum, messages) => sum + messages.length, 0) >= 612, 60_000);
    const wanted = new Set(large.map((raw) => raw.toString("latin1")));
    for (const message of got.flat().slice(0)) if (message.length > 100) assert.ok(wanted.delete(message.toString("latin1")));
    assert.equal(wanted.size, 0);
    for (const socket of [...sockets, ...publishers]) socket.disconnect();
  });

  it("keeps the order of each sender", async () => {
    const got = await subscribe(onA, "ordered");
    for (let i = 0; i < 2000; i++) onB.emit("publish", ["ordered", "0123456789", 0, 1, 0, Buffer.from(String(i))]);
    await until("all have come", () => got.length === 2000);
    assert.deepEqual(got.map(Number), Array.from({ length: 2000 }, (_, i) => i));
  });

  it("answers with both brokers", async () => {
    const [own, other] = [`http://localhost:${b.broker.port}`, a.address];
    assert.deepEqual(await b.ask("clusterAddresses"), [own, other]);
    assert.deepEqual(await b.ask("clusterAddresses", "main"), [own, other]);
    assert.deepEqual(await b.ask("clusterAddresses", "elsewhere"), []);
    assert.deepEqual(await b.ask("clusterTopology"), { main: { a: other, b: own } });
    assert.deepEqual(await onB.timeout(30_000).emitWithAck("cluster"), [own, other]);
    assert.deepEqual(await a.ask("clusterAddresses"), [`http://localhost:${a.broker.port}`]);
    assert.equal(await b.metric("conat_links_up"), 1);
    assert.ok((await b.metric("conat_link_groups")) > 0 && (await b.metric("conat_link_forwards_total")) > 0);
    assert.ok((await a.metric("conat_forwards_received_total")) > 0);
    assert.equal(await a.metric("conat_joined_by"), 1);
  });

  it("joins it once only, by whatever address", async () => {
    assert.equal(await b.join(a), null);
    assert.equal(await b.ask("join", `http://localhost:${a.broker.port}/`), null);
    const got = await subscribe(onA, "once");
    assert.equal(await count(onB, "once"), 1);
    assert.equal(await count(onB, "once"), 1);
    await until("they arrive", () => got.length === 2);
    assert.deepEqual(Object.keys(((await b.ask("clusterTopology")) as Record<string, object>)["main"]!), ["b", "a"]);
  });

  it("lets nobody else choose targets", async () => {
    const got = await subscribe(onA, "target.a");
    const { socket } = await signIn(a.address); // an account
    for (const client of [socket, await a.client()]) {
      const answer = await client.timeout(30_000).emitWithAck("publish", ["target.b", "0123456789", 0, 1, 0, Buffer.from("x"), null, [1, 2 ** 32, 2 ** 32 + 1]]);
      assert.notEqual(answer.count, 1);
      for (let group = 0; group < 100; group++) client.emit("forward", [1, 2 ** 32 + group], ["target.a", "0123456789", 0, 1, 0, Buffer.from("x")]);
    }
    const refused = await emit(socket, "link", { version: 1 });
    assert.deepEqual(refused, { error: 'permission denied joining from {"account_id":"somebody"}', code: 403 });
    assert.equal(await count(onA, "target.a"), 1);
    await until("only that arrives", () => got.length > 0);
    assert.equal(got.length, 1);
    socket.disconnect();
  });

  it("finds it again when it was killed and started anew, and leaves it at last", async () => {
    const got: Buffer[][] = [];
    for (let round = 0; round < 2; round++) {
      await a.broker.end("SIGKILL");
      await until("nobody is counted any more", async () => (await count(onB, "early.x")) === 0);
      assert.equal(await b.metric("conat_links_up"), 0);
      await a.broker.start();
      await a.signInAgain();
      onA.disconnect();
      onA = await a.client();
      got.push(await subscribe(onA, "early.*"));
      await until("it is counted", async () => (await count(onB, "early.x")) === 1, 30_000);
      await until("it arrives", () => got[round]!.length > 0);
    }
    assert.match(b.broker.log, /link to a broker lost .*reason=/);
    await assert.rejects(b.ask("unjoin", { id: "nobody" }), /no broker with the id 'nobody' in the cluster 'main' is joined/);
    await assert.rejects(b.ask("unjoin", { id: "a", clusterName: "elsewhere" }), /no broker with the id 'a' in the cluster 'elsewhere' is joined/);
    await assert.rejects(b.ask("unjoin", "a"), /unjoin takes/);
    assert.equal(await b.ask("unjoin", { id: "a" }), null);
    assert.equal(await count(onB, "early.x"), 0);
    assert.deepEqual(await b.ask("clusterAddresses"), [`http://localhost:${b.broker.port}`]);
    assert.deepEqual(await onB.timeout(30_000).emitWithAck("cluster"), [`http://localhost:${b.broker.port}`]);
    await until("the other has noticed", async () => (await a.metric("conat_joined_by")) === 0);
    assert.equal(await b.join(a), null);
    assert.equal(await count(onB, "early.x"), 1);
    assert.equal(await b.ask("unjoin", { id: "a", clusterName: "main" }), null);
    assert.equal(await count(onB, "early.x"), 0);
  });
});

describe("brokers that have joined each other", () => {
  let nodes: Node[];
  let sockets: Socket[];
  before(async () => {
    nodes = await Promise.all(["a", "b", "c"].map((id) => Node.start(id, ...(id === "c" ? ["--no-persist"] : []))));
    for (const one of nodes) for (const other of nodes) if (one !== other) assert.equal(await one.join(other), null);
    sockets = await Promise.all(nodes.map((node) => node.client()));
  });
  after(async () => {
    for (const socket of sockets) socket.disconnect();
    await Promise.all(nodes.map((node) => node.stop()));
  });

  it("make no loop and no duplicate", async () => {
    const got = await Promise.all(sockets.map((socket) => subscribe(socket, "all")));
    for (const socket of sockets) assert.equal(await count(socket, "all"), 3);
    await until("all have all", () => got.every((messages) => messages.length >= 3));
    assert.deepEqual(got.map((messages) => messages.length), [3, 3, 3]);
  });

  it("answer requests from one to the other, and each its own part of the system service", async () => {
    for (const socket of sockets) {
      for (const id of ["a", "b", "c"]) {
        const stats = (await call(socket, `sys.conat.main.${id}`, "stats")) as Record<string, object>;
        assert.deepEqual(Object.keys(stats), [id]);
      }
      assert.equal(await count(socket, "sys.conat.main"), 3);
    }
  });

  it("store a stream in one place: one's own, or that of the first that was joined", async () => {
    for (const socket of sockets) assert.equal(await count(socket, "persist.hub.id"), 1);
  });
});

describe("at the start", () => {
  it("a broker joins by --join as soon as the other one answers, and is not waited for when it is frozen", async () => {
    const a = await Node.start("a");
    await a.broker.end();
    const b = await Node.start("b", "--join", a.address);
    await until("it has tried", () => b.broker.log.includes("cannot link with a broker"));
    await a.broker.start();
    await a.signInAgain();
    await until("they are linked", async () => (await b.metric("conat_links_up")) === 1, 30_000);
    const [onA, onB] = await Promise.all([a.client(), b.client()]);
    const got = await subscribe(onA, "x");
    assert.equal(await count(onB, "x"), 1);
    await until("it arrives", () => got.length === 1);
    b.broker.freeze();
    await Promise.all(["y", "z"].map((subject) => subscribe(onA, subject)));
    await subscribe(onA, "w");
    b.broker.thaw();
    await until("it has caught up", async () => (await count(onB, "w")) === 1);
    onA.disconnect();
    onB.disconnect();
    await Promise.all([a.stop(), b.stop()]);
  });

  it("--join needs a system account, and addresses", async () => {
    for (const [options, reason] of [
      [["--join", "http://127.0.0.1:1"], /--join needs --system-password/],
      [["--join", "http://127.0.0.1:1,ftp://x", "--system-password", password], /--join: 'ftp:\/\/x': /],
    ] as const) {
      await assert.rejects(Broker.start("--no-persist", ...options), reason);
    }
  });
});

describe("join fails with a reason", () => {
  let node: Node;
  before(async () => (node = await Node.start("b")));
  after(() => node.stop());

  const refusals: [string, () => Promise<{ address: string; stop?: () => Promise<unknown> }>, RegExp][] = [
    ["nobody listens", async () => ({ address: "http://127.0.0.1:1" }), /cannot join http:\/\/127\.0\.0\.1:1: cannot connect: Connection refused/],
    ["it is no address", async () => ({ address: "ftp://x" }), /cannot join 'ftp:\/\/x': /],
    ["it is itself", async () => ({ address: node.address }), /it is this broker itself, or has the same id \('b'\)/],
    ["the other has its id", async () => start("--id", "b", "--cluster-name", "main", "--system-password", password), /has the same id/],
    ["the other has another password", async () => start("--id", "a", "--system-password", "another"), /it refused the system account: /],
    ["the other has no authentication", async () => start("--id", "a"), /it does not know the system account/],
    ["something else listens", silent, /no answer after 10000 ms/],
  ];
  async function start(...options: string[]): Promise<Broker> {
    return Broker.start("--no-persist", ...options);
  }
  async function silent(): Promise<{ address: string; stop: () => Promise<unknown> }> {
    const server = createServer((socket) => socket.on("error", () => undefined).resume());
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as { port: number };
    return { address: `http://127.0.0.1:${port}`, stop: async () => server.close() };
  }
  for (const [name, prepare, reason] of refusals) {
    it(name, async () => {
      const other = await prepare();
      const failure = await failureOf(node.ask("join", other.address));
      assert.match(String(failure?.message), reason);
      assert.deepEqual(await node.ask("clusterAddresses"), [`http://localhost:${node.broker.port}`]);
      assert.equal(await node.metric("conat_links_up"), 0);
      await other.stop?.();
    });
  }

  it("without an address, or with one that is no text", async () => {
    for (const args of [[], [5], [null], [""], [{}]]) await assert.rejects(node.ask("join", ...args), /join takes a broker's address/);
  });
});
