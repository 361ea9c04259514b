// What is particular to the native client as a peer; all that the others do it does in their tests.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { it } from "node:test";
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
