// Messages far beyond max_payload between a real browser and the other kinds of clients, in chunks, both ways.
import { createHash } from "node:crypto";
import { expect, test, type Page } from "@playwright/test";
import { Broker } from "../../tests/integration/src/broker.js";
import { peerKinds, type Peer } from "../../tests/integration/src/wire/peers.js";

const size = 20_000_000;
const kinds = [peerKinds[0]!, peerKinds[3]!, peerKinds[4]!]; // socket.io-client with either parser, conat-client in Node

let broker: Broker;
let peers: Peer[];
test.beforeEach(async () => {
  broker = await Broker.start("--shards", "2", "--no-persist");
  peers = await Promise.all(kinds.map((kind) => kind.open(broker.address)));
});
test.afterEach(async () => {
  for (const peer of peers) peer.close();
  await broker.stop();
});

/** Bytes that no shift of themselves equals, the same here and in the page. */
function pattern(length: number): Uint8Array {
  const words = new Uint32Array(length / 4);
  let state = 1;
  for (let i = 0; i < words.length; i++) words[i] = state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return new Uint8Array(words.buffer);
}
const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

async function listen(page: Page, subject: string): Promise<void> {
  await page.evaluate(async (at) => {
    const subscription = await window.conat.client.subscribe(at);
    const target = window as unknown as { arrived: Promise<{ digest: string; headers: unknown }[]> };
    target.arrived = (async () => {
      const got = [];
      for await (const { raw, headers } of subscription) {
        const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", raw as Uint8Array<ArrayBuffer>));
        got.push({ digest: [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join(""), headers });
        if (got.length === 3) break;
      }
      return got;
    })();
  }, subject);
}

test("20 MB from the browser to every kind of client, and from each to the browser", async ({ page }) => {
  await page.goto(broker.address);
  await page.waitForFunction(() => window.conat.client.state === "connected");
  const inboxes = await Promise.all(peers.map((peer) => peer.subscribe("from.browser")));
  const expected = digest(pattern(size));
  const count = await page.evaluate(
    async ({ make, length }) => {
      const bytes = (0, eval)(`(${make})`)(length) as Uint8Array;
      return (await window.conat.client.publish("from.browser", undefined, { raw: bytes, headers: { from: "browser" } })).count;
    },
    { make: pattern.toString(), length: size },
  );
  expect(count).toBe(peers.length);
  for (const inbox of inboxes) {
    const { raw, headers } = await inbox.next();
    expect(raw.length).toBe(size);
    expect(digest(raw)).toBe(expected);
    expect(headers).toEqual({ from: "browser" });
    expect(inbox.rest()).toEqual([]);
  }

  await listen(page, "to.browser");
  const raw = pattern(size);
  for (const [n, peer] of peers.entries()) expect(await peer.publish("to.browser", { raw, headers: { n } })).toBe(1);
  const arrived = await page.evaluate(() => (window as unknown as { arrived: Promise<unknown> }).arrived);
  expect(arrived).toEqual(peers.map((_, n) => ({ digest: expected, headers: { n } })));
});
