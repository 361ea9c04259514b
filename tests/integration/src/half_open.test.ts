// Connections that are open and dead: one end is frozen (SIGSTOP), so that nothing closes and nothing moves. Keep-alive
// finds out on the other end, whichever that is.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { connect } from "conat-client";
import { binary, Broker, repository, until } from "./broker.js";
import { SocketIoClient, variants } from "./wire/socketio.js";

// Long enough that a busy machine does not look frozen, short enough to wait for.
const [interval, timeout] = [1000, 2000];
const options = ["--shards", "2", "--ping-interval", String(interval), "--ping-timeout", String(timeout), "--no-persist"];

describe("half-open connections", { concurrency: true }, () => {
  it("a frozen broker is found by its clients, which are there again when it is", { timeout: 180_000 }, async () => {
    const broker = await Broker.start(...options);
    const clients = (["msgpack", "text"] as const).map((packetEncoding) =>
      connect({ address: broker.address, noCache: true, reconnectionDelay: 50, reconnectionDelayMax: 500, packetEncoding }),
    );
    const sockets = await Promise.all(variants.map((variant) => SocketIoClient.open(variant, broker.address)));
    const subscriptions = await Promise.all(clients.map((client) => client.subscribe("thawed")));
    try {
      const disconnected = clients.map((client) => new Promise<void>((done) => client.once("disconnected", () => done())));
      const reasons = sockets.map((socket) => socket.once<[reason: string]>("disconnect"));
      broker.freeze();
      const begin = performance.now();
      await Promise.all(disconnected);
      for (const [reason] of await Promise.all(reasons)) assert.equal(reason, "ping timeout");
      const found = performance.now() - begin;
      assert.ok(found > timeout - 100, `after ${found} ms: not a moment too early`);
      const published = clients[0]!.publish("thawed", "again", { timeout: 120_000 });
      broker.thaw();
      await published;
      await Promise.all(sockets.map((socket) => socket.infos.next()));
      await Promise.all(clients.map((client) => client.waitUntilReady({ timeout: 60_000 })));
      await until("both listen again", async () => (await clients[1]!.publish("thawed", "both")).count === 2, 60_000);
      for (const subscription of subscriptions) {
        for await (const message of subscription) if (message.data === "both") break;
      }
    } finally {
      for (const client of clients) client.close();
      for (const socket of sockets) socket.close();
      broker.thaw();
      await broker.stop();
    }
  });

  // Clients in processes of their own.
  const conatClient = `
    import { connect } from "conat-client";
    const client = connect({ address: process.argv[1], noCache: true, reconnectionDelay: 50, reconnectionDelayMax: 500 });
    for await (const _ of await client.subscribe("work.>", { queue: "workers" }));`;
  const socketIo = `
    import { io } from "socket.io-client";
    const socket = io(process.argv[1], { path: "/conat", transports: ["websocket"] });
    socket.on("info", (_, ack) => { ack(); socket.emit("subscribe", { subject: "work.>", queue: "workers" }); });`;
  const node = (script: string) => (address: string): ChildProcess =>
    spawn(process.execPath, ["--input-type=module", "-e", script, address], { cwd: join(repository, "tests/integration"), stdio: ["ignore", "ignore", "inherit"] });
  const native = (address: string): ChildProcess =>
    spawn(join(dirname(binary), "conat"), ["--server", address, "sub", "work.>", "--queue", "workers"], { stdio: ["ignore", "ignore", "inherit"] });

  const kinds = [["conat-client", node(conatClient)], ["socket.io-client", node(socketIo)], ["the native client", native]] as const;
  for (const [name, start] of kinds) {
    it(`${name}, frozen, is found by the broker, and comes back when it thaws`, { timeout: 180_000 }, async () => {
      const own = await Broker.start(...options);
      const frozen = start(own.address);
      const client = connect({ address: own.address, noCache: true });
      try {
        const count = async (): Promise<number> => (await client.publish("work.x", "1")).count;
        await until("it has subscribed", async () => (await count()) === 1, 60_000);
        process.kill(frozen.pid!, "SIGSTOP");
        const begin = performance.now();
        assert.equal(await count(), 1, "nobody knows yet");
        await until("the broker has found out", async () => (await count()) === 0, 60_000);
        const found = performance.now() - begin;
        assert.ok(found > timeout - 100, `after ${found} ms: not a moment too early`);
        process.kill(frozen.pid!, "SIGCONT");
        await until("it is there again", async () => (await count()) === 1, 60_000);
      } finally {
        client.close();
        const gone = once(frozen, "exit");
        frozen.kill("SIGKILL");
        await gone;
        await own.stop();
      }
    });
  }
});
