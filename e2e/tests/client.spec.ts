// The client package in real Chromium: it wakes up with the network and with its page.
import { connect, type Client } from "conat-client";
import { expect, test, type Browser, type BrowserContext, type Page } from "@playwright/test";
import { Broker } from "../../tests/integration/src/broker.js";

let broker: Broker;
test.beforeEach(async () => {
  broker = await Broker.start();
});
test.afterEach(async () => {
  await broker.stop();
});

declare global {
  interface Window {
    client: Client;
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
