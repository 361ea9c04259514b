// Messages far beyond max_payload between a real browser and the other kinds of clients, in chunks, both ways.
import { createHash } from "node:crypto";
import { expect, test, type Page } from "@playwright/test";
import { Broker } from "../../tests/integration/src/broker.js";
import { peerKinds, type Peer } from "../../tests/integration/src/wire/peers.js";

const maxPayload = 8_000_000; // the broker's default
// socket.io-client with either parser, conat-client in Node, the native client.
const kinds = [peerKinds[0]!, peerKinds[3]!, peerKinds[4]!, peerKinds.at(-1)!];

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

/** The page tells of `count` messages to the subject, in `arrived`. */
async function listen(page: Page, subject: string, count: number): Promise<void> {
  await page.evaluate(async ({ at, expected }) => {
    const subscription = await window.conat.client.subscribe(at);
    const target = window as unknown as { arrived: Promise<{ digest: string; headers: unknown }[]> };
    target.arrived = (async () => {
      const got = [];
      for await (const { raw, headers } of subscription) {
        const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", raw as Uint8Array<ArrayBuffer>));
        got.push({ digest: [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join(""), headers });
        if (got.length === expected) break;
      }
      return got;
    })();
  }, { at: subject, expected: count });
}

/** The page publishes pattern(length) and returns the count. */
const publish = (page: Page, subject: string, length: number): Promise<number> =>
  page.evaluate(
    async ({ make, at, bytes }) => {
      const raw = (0, eval)(`(${make})`)(bytes) as Uint8Array;
      return (await window.conat.client.publish(at, undefined, { raw, headers: { from: "browser" }, timeout: 120_000 })).count;
    },
    { make: pattern.toString(), at: subject, bytes: length },
  );
const arrived = (page: Page): Promise<unknown> =>
  page.evaluate(() => (window as unknown as { arrived: Promise<unknown> }).arrived);

test("20 MB from the browser to every kind of client, and from each to the browser", async ({ page }) => {
  const size = 20_000_000;
  await page.goto(broker.address);
  await page.waitForFunction(() => window.conat?.client.state === "connected");
  const inboxes = await Promise.all(peers.map((peer) => peer.subscribe("from.browser")));
  const expected = digest(pattern(size));
  expect(await publish(page, "from.browser", size)).toBe(peers.length);
  for (const inbox of inboxes) {
    const { raw, headers } = await inbox.next();
    expect(raw.length).toBe(size);
    expect(digest(raw)).toBe(expected);
    expect(headers).toEqual({ from: "browser" });
    expect(inbox.rest()).toEqual([]);
  }

  await listen(page, "to.browser", peers.length);
  const raw = pattern(size);
  for (const [n, peer] of peers.entries()) expect(await peer.publish("to.browser", { raw, headers: { n } })).toBe(1);
  expect(await arrived(page)).toEqual(peers.map((_, n) => ({ digest: expected, headers: { n } })));
});

test("200 MB from the browser and to it, in less than three payloads of the broker's memory", async ({ page }) => {
  test.setTimeout(240_000);
  const size = 200_000_000;
  await page.goto(broker.address);
  await page.waitForFunction(() => window.conat?.client.state === "connected");
  const raw = pattern(size);
  const expected = digest(raw);
  const peer = peers.at(-1)!;

  const inbox = await peer.subscribe("from.browser");
  const up = await broker.growth(async () => {
    expect(await publish(page, "from.browser", size)).toBe(1);
    expect(digest((await inbox.next(120_000)).raw)).toBe(expected);
  });
  expect(inbox.rest()).toEqual([]);
  expect(up).toBeLessThan(3 * maxPayload);

  await listen(page, "to.browser", 1);
  const down = await broker.growth(async () => {
    expect(await peer.publish("to.browser", { raw, headers: { n: 1 } })).toBe(1);
    expect(await arrived(page)).toEqual([{ digest: expected, headers: { n: 1 } }]);
  });
  expect(down).toBeLessThan(3 * maxPayload);
});
