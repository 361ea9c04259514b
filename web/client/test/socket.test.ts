// Sockets against the real broker.
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { SOCKET_HEADER_CMD, type Client, type ServerSocket, type SocketServer } from "conat-client";
import { type Broker, nextEvent, until, startWithClients, stopWithClients } from "./broker.js";

let broker: Broker;
let serverSide: Client;
let clientSide: Client;
before(async () => {
  [broker, serverSide, clientSide] = await startWithClients();
});
after(() => stopWithClients(broker, serverSide, clientSide));

function listen(subject: string, onConnection: (socket: ServerSocket) => void = () => undefined): SocketServer {
  return serverSide.socket.listen(subject).on("connection", onConnection);
}

it("carries data both ways, in order, with headers", async () => {
  const server = listen("s.echo", (socket) => socket.on("data", (data, headers) => socket.write({ echo: data }, { headers })));
  const socket = clientSide.socket.connect("s.echo");
  assert.equal(socket.state, "connecting");
  const got: unknown[] = [];
  socket.on("data", (data, headers) => got.push([data, headers]));
  socket.write("early", { headers: { n: 0 } });
  assert.equal(socket.queuedWrites, 1);
  await socket.waitUntilReady();
  for (let i = 1; i < 500; i++) socket.write(i, { headers: { n: i } });
  await until("all came back", () => got.length === 500);
  assert.deepEqual(got[0], [{ echo: "early" }, { n: 0 }]);
  assert.deepEqual(got.slice(1), Array.from({ length: 499 }, (_, i) => [{ echo: i + 1 }, { n: i + 1 }]));
  await socket.waitUntilDrain();
  assert.equal(socket.tcp.send.unsent, 0);
  const other = Object.values(server.sockets)[0];
  assert.equal(other?.id, socket.id);
  assert.equal(other?.subject, `s.echo.server.${server.id}.${socket.id}`);
  assert.equal(server.id, serverSide.id);
  assert.ok(Date.now() - socket.alive.last < 60_000);
  const closed = nextEvent(other, "closed");
  socket.close();
  assert.equal(socket.state, "closed");
  await closed;
  assert.deepEqual(Object.keys(server.sockets), []);
  assert.throws(() => socket.write(1), { code: "EPIPE", message: "closed" });
  server.close();
});

it("asks and answers in both directions", async () => {
  const server = listen("s.ask", (socket) => socket.on("request", (request) => void request.respond(Number(request.data) + 1)));
  const socket = clientSide.socket.connect("s.ask");
  socket.on("request", (request) => request.respondSync(`client got ${String(request.data)}`));
  assert.equal((await socket.request(1)).data, 2);
  const answers = await server.request("x");
  assert.deepEqual(answers.map((answer) => (answer instanceof Error ? answer : answer.data)), ["client got x"]);
  assert.equal((await server.request("y", { race: true })).data, "client got y");
  const silent = listen("s.silent");
  const unheard = clientSide.socket.connect("s.silent");
  await assert.rejects(unheard.request(1, { timeout: 80 }), { code: 408 });
  for (const each of [server, silent]) each.close();
});

it("streams answers", async () => {
  const server = listen("s.many", (socket) =>
    socket.on("request", (request) => {
      for (let i = 0; i < 3; i++) request.respondSync(i);
      request.respondSync(null);
    }),
  );
  const socket = clientSide.socket.connect("s.many");
  const got: unknown[] = [];
  for await (const { data } of await socket.requestMany("go")) got.push(data);
  assert.deepEqual(got, [0, 1, 2, null]);
  server.close();
});

it("iterates, to the end", async () => {
  const server = listen("s.iter", (socket) => {
    for (let i = 0; i < 3; i++) socket.write(i);
    void socket.waitUntilDrain().then(() => socket.end());
  });
  const socket = clientSide.socket.connect("s.iter");
  const got: unknown[] = [];
  for await (const [data, headers] of socket.iter()) got.push([data, headers]);
  assert.deepEqual(got, [[0, {}], [1, {}], [2, {}]]);
  assert.equal(socket.state, "closed");
  server.close();
});

it("loses and doubles nothing when connections break", async () => {
  const got: number[] = [];
  const server = listen("s.break", (socket) => socket.on("data", (n) => got.push(n as number)));
  const socket = clientSide.socket.connect("s.break");
  await socket.waitUntilReady();
  for (let i = 0; i < 300; i++) {
    socket.write(i);
    if (i === 100) clientSide.conn.io.engine.close();
    if (i === 200) socket.disconnect();
    if (i === 250) serverSide.conn.io.engine.close();
    if (i % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await until("all arrived", () => got.length >= 300, 30_000);
  assert.deepEqual(got, Array.from({ length: 300 }, (_, i) => i));
  server.close();
});

it("closes its clients when the server closes, and refuses a second server", async () => {
  const server = listen("s.close");
  assert.throws(() => serverSide.socket.listen("s.close"), /at most one socket server per client listening on a subject \(subject='s.close'\)/);
  const socket = clientSide.socket.connect("s.close", { reconnection: false });
  await socket.waitUntilReady();
  const closed = nextEvent(socket, "closed");
  await server.end();
  await closed;
  assert.equal(server.state, "closed");
  listen("s.close").close();
  await assert.rejects(socket.waitUntilReady(), { code: "EPIPE" });
});

it("has channels, chosen servers and watched commands", async () => {
  const server = serverSide.socket.listen("s.more", { id: "first" });
  const commands: string[] = [];
  const original = server.handleCommandFromClient;
  server.handleCommandFromClient = (command) => {
    commands.push(command.cmd);
    assert.equal(command.mesg.headers?.[SOCKET_HEADER_CMD], command.cmd);
    original(command);
  };
  const asked: string[] = [];
  const socket = clientSide.socket.connect("s.more", {
    loadBalancer: (subject) => {
      asked.push(subject);
      return "first";
    },
  });
  await socket.waitUntilReady();
  assert.deepEqual(asked, ["s.more"]);
  assert.ok(commands.includes("connect"));
  const channel = server.channel("side");
  const heard = nextEvent<[ServerSocket]>(channel, "connection").then(([other]) => nextEvent<[unknown]>(other, "data"));
  const side = clientSide.socket.connect("s.more.side");
  side.write("over here");
  assert.equal((await heard)[0], "over here");
  server.close();
  channel.close();
});

it("refuses to buffer without bound", async () => {
  const socket = clientSide.socket.connect("s.nobody", { maxQueueSize: 3 });
  for (let i = 0; i < 3; i++) socket.write(i);
  assert.throws(() => socket.write(3), { code: "ENOBUFS", message: "WRITE FAILED: socket buffer size 3 exceeded" });
  socket.destroy();
});

it("has the members that programs look at", async () => {
  const server = serverSide.socket.listen("s.members", { keepAlive: 7000, keepAliveTimeout: 3000, maxQueueSize: 5, desc: "test" });
  assert.deepEqual([server.keepAlive, server.keepAliveTimeout, server.maxQueueSize, server.desc], [7000, 3000, 5, "test"]);
  assert.equal(server.sub?.subject, `s.members.server.${server.id}.*`);
  const connection = nextEvent<[ServerSocket]>(server, "connection");
  const socket = clientSide.socket.connect("s.members", { reconnection: false });
  const [other] = await connection;
  await socket.waitUntilReady();
  assert.deepEqual([other.keepAlive, other.keepAliveTimeout, other.maxQueueSize, other.queuedWrites], [7000, 3000, 5, 0]);
  assert.deepEqual([other.state, other.conn.id, other.id], ["ready", socket.id, socket.id]);
  assert.deepEqual([socket.keepAlive, socket.keepAliveTimeout, socket.maxQueueSize, socket.reconnection], [45_000, 30_000, 1000, false]);
  assert.equal(socket.sub?.subject, `s.members.client.${socket.id}`);
  assert.equal(other.sub?.subject, server.sub?.subject);
  // The server's bound holds for its sockets.
  other.disconnect();
  for (let i = 0; i < 5; i++) other.write(i);
  assert.throws(() => other.write(5), { code: "ENOBUFS", message: "WRITE FAILED: socket buffer size 5 exceeded" });
  const states: string[] = [];
  for (const state of ["disconnected", "closed"] as const) socket.on(state, () => states.push(state));
  socket.disconnect();
  assert.deepEqual(states, ["disconnected"]);
  assert.equal(socket.sub, undefined);
  socket.reconnection = true;
  socket.connect();
  await socket.waitUntilReady();
  const channel = other.channel("beside");
  assert.equal(channel.subject, "s.members.beside");
  const beside = clientSide.socket.connect("s.members").channel("beside");
  await beside.waitUntilReady();
  server.destroy();
  assert.equal(server.sub, undefined);
  assert.throws(() => serverSide.socket.listen("x", { keepAlive: -1 }), { message: "keepAlive must be positive" });
  channel.destroy();
});

it("resolves to many answers before the first comes", async () => {
  let request: { respond(value: unknown): unknown } | undefined;
  const server = listen("s.many.later", (socket) => socket.on("request", (asked) => (request = asked)));
  const socket = clientSide.socket.connect("s.many.later");
  const replies = await socket.requestMany("go", { maxWait: 20_000 });
  await until("asked", () => request !== undefined);
  void request?.respond("late");
  assert.equal((await replies.next()).value?.data, "late");
  replies.close();
  server.close();
});
