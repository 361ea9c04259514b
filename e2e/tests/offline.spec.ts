// Local first: stores that are kept in the browser, in real Chromium with its IndexedDB.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, test, type Browser, type BrowserContext, type Page } from "@playwright/test";
import { connect, type Client, type DKV, type DStream } from "conat-client";
import { Broker } from "../../tests/integration/src/broker.js";

const packageDir = fileURLToPath(new URL("../../web/client/dist/", import.meta.url));
const edits = 50; // in each tab, of each store: 200 in all

let broker: Broker;
test.beforeEach(async () => {
  broker = await Broker.start();
});
test.afterEach(async () => {
  await broker.stop();
});

interface Offline {
  client: Client;
  counters: DKV<number>;
  stream: DStream<string>;
}

/** A browser in which the program of the page is there without a network, as a service worker would have it. */
async function browserWithProgram(browser: Browser): Promise<BrowserContext> {
  // A page that comes from no address counts as one from outside.
  const context = await browser.newContext({ permissions: ["local-network-access"] });
  await context.route(`${broker.address}/program/**`, async (route) => {
    const name = new URL(route.request().url()).pathname.slice("/program/".length);
    if (name === "") return route.fulfill({ contentType: "text/html", body: "<!doctype html><title>offline</title>" });
    const contentType = name.endsWith(".js") ? "text/javascript" : "application/wasm";
    return route.fulfill({ contentType, body: await readFile(packageDir + name) });
  });
  return context;
}

async function open(page: Page): Promise<void> {
  await page.goto(`${broker.address}/program/`);
  await start(page);
}

async function start(page: Page): Promise<void> {
  await page.evaluate(async (address) => {
    const { connect: open } = (await import(`${address}/program/browser.js`)) as { connect: typeof connect };
    const client = open({ address, noCache: true, reconnectionDelay: 100, reconnectionDelayMax: 500 });
    const counters = await client.dkv<number>({ name: "counters", merge: "counter", offline: true });
    const stream = await client.dstream<string>({ name: "log", offline: true });
    (window as unknown as { offline: Offline }).offline = { client, counters, stream };
  }, broker.address);
}

/** Adds 1 to the counters that all share, sets some of its own, and publishes. */
async function edit(page: Page, tab: string, count: number): Promise<void> {
  await page.evaluate(
    async ([who, n]) => {
      const { counters, stream } = (window as unknown as { offline: Offline }).offline;
      for (let i = 0; i < n; i++) {
        if (i % 2 === 0) counters.set("shared", (counters.get("shared") ?? 0) + 1);
        else counters.set(`${who}-${i}`, i);
        stream.publish(`${who}-${i}`);
      }
      await counters.kept();
      await stream.kept();
    },
    [tab, count] as const,
  );
}

const values = (page: Page): Promise<{ shared: number | undefined; keys: number; messages: string[] }> =>
  page.evaluate(() => {
    const { counters, stream } = (window as unknown as { offline: Offline }).offline;
    return { shared: counters.get("shared"), keys: counters.length, messages: stream.getAll() };
  });

async function crash(page: Page): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const crashed = page.waitForEvent("crash");
  session.send("Page.crash").catch(() => undefined);
  await crashed;
}

const messagesOf = (tab: string): string[] => Array.from({ length: edits }, (_, i) => `${tab}-${i}`);

test("200 edits in two tabs without a network, a reload and a crash: each arrives exactly once", async ({ browser }) => {
  test.setTimeout(180_000);
  const context = await browserWithProgram(browser);
  const [a, b] = [await context.newPage(), await context.newPage()];
  await open(a);
  await a.evaluate(async () => {
    const { counters, stream } = (window as unknown as { offline: Offline }).offline;
    counters.set("shared", 1000);
    stream.publish("before");
    await counters.save();
    await stream.save();
  });
  await open(b);
  await expect.poll(async () => (await values(b)).shared).toBe(1000);
  await expect.poll(async () => (await values(b)).messages).toEqual(["before"]);
  await b.evaluate(async () => {
    const { counters, stream } = (window as unknown as { offline: Offline }).offline;
    await counters.kept();
    await stream.kept();
  });

  await broker.end("SIGKILL");
  await edit(a, "a", edits);
  await edit(b, "b", edits);

  // It opens without a network, with all that it had.
  await a.reload();
  await start(a);
  await expect.poll(async () => (await values(a)).messages).toEqual(["before", ...messagesOf("a")]);
  expect(await values(a)).toMatchObject({ shared: 1000 + edits / 2, keys: 1 + edits / 2 });
  await crash(b);

  // The tab that stays goes on with what was unsaved in the one that crashed.
  await broker.start();
  const third = connect({ address: broker.address, noCache: true });
  const counters = await third.dkv<number>({ name: "counters", merge: "counter" });
  const stream = await third.dstream<string>({ name: "log" });
  const patient = { timeout: 60_000 };
  await expect.poll(() => stream.length, patient).toBe(1 + 2 * edits);
  await expect.poll(() => counters.length, patient).toBe(1 + edits);
  await expect.poll(() => counters.get("shared"), patient).toBe(1000 + edits);
  await a.evaluate(async () => {
    const { counters, stream } = (window as unknown as { offline: Offline }).offline;
    await counters.save();
    await stream.save();
  });
  expect(counters.get("shared")).toBe(1000 + edits);
  expect(stream.length).toBe(1 + 2 * edits);
  expect(stream.getAll().filter((message) => message.startsWith("a-"))).toEqual(messagesOf("a"));
  expect(stream.getAll().filter((message) => message.startsWith("b-"))).toEqual(messagesOf("b"));
  third.close();
  await context.close();
});

test("what is damaged in IndexedDB is told, and the store works without it", async ({ browser }) => {
  const context = await browserWithProgram(browser);
  const page = await context.newPage();
  await open(page);
  await page.evaluate(async () => {
    const { counters, stream } = (window as unknown as { offline: Offline }).offline;
    counters.set("a", 1);
    await counters.save();
    await counters.kept();
    counters.close();
    stream.close();
  });
  await page.evaluate(async () => {
    const database = await new Promise<IDBDatabase>((resolve) => {
      const request = indexedDB.open("conat-client-offline");
      request.onsuccess = () => resolve(request.result);
    });
    const transaction = database.transaction("states", "readwrite");
    const keys = await new Promise<IDBValidKey[]>((resolve) => {
      const request = transaction.objectStore("states").getAllKeys();
      request.onsuccess = () => resolve(request.result);
    });
    for (const key of keys) transaction.objectStore("states").put(new Uint8Array([1, 2, 3]), key);
    await new Promise((resolve) => (transaction.oncomplete = resolve));
    database.close();
  });
  const told: string[] = [];
  page.on("console", (message) => told.push(message.text()));
  await page.reload();
  await start(page);
  expect(told.some((text) => text.includes("what was kept of 'counters' cannot be used"))).toBe(true);
  await expect.poll(async () => (await values(page)).keys).toBe(1);
  await context.close();
});

test("without IndexedDB a store works, and says that it is not kept", async ({ browser }) => {
  const context = await browserWithProgram(browser);
  await context.addInitScript(() => Object.defineProperty(globalThis, "indexedDB", { value: undefined }));
  const page = await context.newPage();
  const told: string[] = [];
  page.on("console", (message) => told.push(message.text()));
  await open(page);
  await edit(page, "a", 2);
  await page.evaluate(() => (window as unknown as { offline: Offline }).offline.counters.save());
  expect(told.some((text) => text.includes("'counters' is not kept in this browser"))).toBe(true);
  await context.close();
});

test("outside of browsers offline is an error", async () => {
  const client = connect({ address: broker.address, noCache: true });
  await expect(client.dkv({ name: "x", offline: true })).rejects.toMatchObject({ code: 400 });
  await expect(client.dstream({ name: "x", offline: true })).rejects.toMatchObject({ code: 400 });
  client.close();
});
