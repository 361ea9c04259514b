// What is particular to the native client as a peer; all that the others do it does in their tests.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { it } from "node:test";
import { connect, type ServerSocket } from "conat-client";
import { Broker } from "../broker.js";
import { NativePeer, nativePeer } from "./native.js";
import { peerKinds } from "./peers.js";

it("the native client takes part in the suite", () => {
  assert.ok(existsSync(nativePeer), `${nativePeer} is not built: cmake --build --preset native-release --target native_peer`);
  assert.equal(peerKinds.filter(({ name }) => name.startsWith("native client")).length, 2);
});

for (const packets of ["msgpack", "text"] as const) {
  it(`native client, ${packets} packets: errors as the broker words them`, { timeout: 120_000 }, async () => {
    const broker = await Broker.start("--no-persist", "--max-subscriptions-per-client", "3");
    const peer = await NativePeer.open("native client", broker.address, packets);
    await assert.rejects(peer.subscribe("a..b"), /invalid subscribe subject 'a\.\.b'/);
    await assert.rejects(peer.publish("a.*", { raw: Buffer.from([0xc0]) }), /must be a valid subject without wildcards|invalid/);
    await peer.subscribe("a");
    await peer.subscribe("b"); // with the inbox that is three
    await assert.rejects(peer.subscribe("c"), (error: Error & { code?: number }) => {
      assert.match(error.message, /^Error: there is a limit of at most 3 subscriptions and you currently have 3 subscriptions -- /);
      assert.equal(error.code, 429);
      return true;
    });
    assert.deepEqual(await peer.subscriptions(), new Set(["a", "b"]));
    await assert.rejects(peer.interest("nobody", 30), (error: Error & { code?: number }) => error.code === 408);
    peer.close();
    await broker.stop();
  });
}

it("sockets between the native client and conat-client, either of them listening", { timeout: 120_000 }, async () => {
  const broker = await Broker.start("--no-persist", "--shards", "2");
  const native = await NativePeer.open("native client", broker.address, "msgpack");
  const client = connect({ address: broker.address, noCache: true });
  const count = 400;
  const expected = Array.from({ length: count }, (_, n) => [n, { n }]);

  await native.socketListen("sockets.native");
  const socket = client.socket.connect("sockets.native");
  const echoes: unknown[] = [];
  const all = new Promise<void>((done) => socket.on("data", (data, headers) => echoes.push([data, headers]) === count && done()));
  for (let n = 0; n < count; n++) socket.write(n, { headers: { n } });
  await all;
  assert.deepEqual(echoes, expected);
  assert.deepEqual((await socket.request("question")).data, ["question"]);
  await socket.waitUntilDrain();

  const closed: Promise<void>[] = [];
  client.socket.listen("sockets.here").on("connection", (other: ServerSocket) => {
    other.on("data", (data, headers) => other.write(data, { headers }));
    other.on("request", (request) => void request.respond([request.data]));
    closed.push(new Promise((done) => other.once("closed", done)));
  });
  assert.deepEqual(await native.socketTalk("sockets.here", count), { echoes: expected, answer: ["question"] });
  await Promise.all(closed);
  assert.equal(closed.length, 1);
  client.close();
  native.close();
  await broker.stop();
});
