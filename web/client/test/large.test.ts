// 200 MB in chunks from one Node client to another, whole and once.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { it } from "node:test";
import { connect } from "conat-client";
import { Broker } from "./broker.js";

it("carries 200 MB, and small messages after it", { timeout: 300_000 }, async () => {
  // How long a reader may fall behind is not what this is about, and both share one busy thread here.
  const broker = await Broker.start("--max-queue", String(512 << 20));
  const [sender, receiver] = [0, 1].map(() => connect({ address: broker.address, noCache: true }));
  assert.ok(sender && receiver);
  try {
    const subscription = await receiver.subscribe("huge", { queue: "takers" });
    const raw = Buffer.alloc(200_000_000);
    for (let i = 0; i < raw.length; i += 997) raw[i] = i % 251;
    const digest = createHash("sha256").update(raw).digest("hex");
    const published = sender.publish("huge", null, { raw, headers: { digest }, timeout: 120_000 });
    const after = sender.publish("huge", "after");
    assert.deepEqual(await published, { bytes: raw.length, count: 1 });
    assert.equal((await after).count, 1);
    const { value: message } = await subscription.next();
    assert.ok(message);
    assert.equal(message.length, raw.length);
    assert.equal(createHash("sha256").update(message.raw).digest("hex"), digest);
    assert.deepEqual(message.headers, { digest });
    assert.equal((await subscription.next()).value?.data, "after");
    assert.equal(subscription.buffered, 0);
  } finally {
    sender.close();
    receiver.close();
    await broker.stop();
  }
});
