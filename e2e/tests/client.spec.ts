// The client package in real Chromium: waking up with the network, and messages far larger than one WebSocket message.
import { createHash } from "node:crypto";
import { connect, type Client } from "conat-client";
import { expect, test, type Browser, type BrowserContext, type Page } from "@playwright/test";
import { Broker } from "../../tests/integration/src/broker.js";

let broker: Broker;
test.beforeEach(async () => {
  // How long a reader may fall behind is not what these tests are about.
  broker = await Broker.start("--max-queue", String(512 << 20));
});
test.afterEach(async () => {
  await broker.stop();
});

declare global {
  interface Window {
    client: Client;
    digest(bytes: Uint8Array): Promise<string>;
  }
}

/** A page with a client of its own, made of the package that conatd serves. */
async function visit(browser: Browser, options: Record<string, unknown> = {}): Promise<{ context: BrowserContext; page: Page }> {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${broker.address}/healthz`);
  await page.evaluate(
    async ([address, more]) => {
      const { connect: open } = (await import(`${address}/conat-client/browser.js`)) as { connect: typeof connect };
      window.client = open({ noCache: true, ...more });
      window.digest = async (bytes) =>
        [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      await window.client.waitUntilReady();
    },
    [broker.address, options] as const,
  );
  return { context, page };
}

test("a page notices at once when its network goes, and is back at once when it comes", async ({ browser }) => {
  // Without the browser's events it would come back after ten minutes.
  const patient = { reconnectionDelay: 600_000, reconnectionDelayMax: 600_000, randomizationFactor: 0 };
  const { context, page } = await visit(browser, patient);
  await page.evaluate(async () => {
    const subscription = await window.client.subscribe("after.sleep");
    void (async () => {
      for await (const { data } of subscription) (window as unknown as { got: unknown }).got = data;
    })();
  });
  const state = () => page.evaluate(() => window.client.state);
  await context.setOffline(true);
  await expect.poll(state).toBe("disconnected");
  await context.setOffline(false);
  await expect.poll(state).toBe("connected");
  const outside = connect({ address: broker.address, noCache: true });
  expect((await outside.publish("after.sleep", "awake", { waitForInterest: true })).count).toBe(1);
  await expect.poll(() => page.evaluate(() => (window as unknown as { got: unknown }).got)).toBe("awake");
  outside.close();
});

test("a page that was in the background tries at once when it is shown", async ({ browser }) => {
  const { page } = await visit(browser, { reconnectionDelay: 600_000, reconnectionDelayMax: 600_000, randomizationFactor: 0 });
  await broker.end("SIGKILL");
  await expect.poll(() => page.evaluate(() => window.client.state)).toBe("disconnected");
  await broker.start();
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await expect.poll(() => page.evaluate(() => window.client.state)).toBe("connected");
});

test("200 MB travel from Node to a page and back", async ({ browser }) => {
  test.setTimeout(300_000);
  const { page } = await visit(browser);
  const outside = connect({ address: broker.address, noCache: true });
  await page.evaluate(async () => {
    const subscription = await window.client.subscribe("to.page");
    (window as unknown as { message: unknown }).message = subscription.next().then(({ value }) => value);
  });
  const raw = Buffer.alloc(200_000_000);
  for (let i = 0; i < raw.length; i += 997) raw[i] = i % 251;
  const digest = createHash("sha256").update(raw).digest("hex");
  const returned = await outside.subscribe("from.page");
  expect(await outside.publish("to.page", null, { raw, timeout: 120_000 })).toEqual({ bytes: raw.length, count: 1 });
  const seen = await page.evaluate(async () => {
    const message = await (window as unknown as { message: Promise<{ raw: Uint8Array; length: number }> }).message;
    const result = { length: message.length, digest: await window.digest(message.raw), buffer: message.raw.constructor.name };
    await window.client.publish("from.page", null, { raw: message.raw, headers: { end: true }, timeout: 120_000 });
    return result;
  });
  expect(seen).toEqual({ length: raw.length, digest, buffer: "Uint8Array" });
  const { value: message } = await returned.next();
  expect(message?.length).toBe(raw.length);
  expect(createHash("sha256").update(message!.raw).digest("hex")).toBe(digest);
  expect(message?.headers).toEqual({ end: true });
  outside.close();
});
