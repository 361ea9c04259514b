// The main job: two browsers, one broker, one key-value store that survives.
import { expect, test, type Browser, type Page } from "@playwright/test";
import { Broker } from "../../tests/integration/src/broker.js";

const shots = "../test-results/screenshots"; // relative to this package, from where the tests run

let broker: Broker;
test.beforeEach(async () => {
  broker = await Broker.start("--shards", "2");
});
test.afterEach(async () => {
  await broker.stop();
});

/** Opens the broker's page in a browser context of its own, as another person would. */
async function visit(browser: Browser, name: string): Promise<Page> {
  const context = await browser.newContext();
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.addInitScript((me) => sessionStorage.setItem("name", me), name);
  await page.goto(broker.address);
  await expect(page.getByTestId("status")).toHaveAttribute("data-state", "connected");
  await page.waitForFunction(() => window.conat?.board !== undefined);
  expect(problems).toEqual([]);
  return page;
}

test("two people share a board, see each other, and talk", async ({ browser }) => {
  const ada = await visit(browser, "Ada Lovelace");
  const max = await visit(browser, "Max Planck");
  await expect(ada.getByTestId("people").locator(".badge")).toHaveCount(2);
  await expect(max.getByTestId("people").locator(".badge")).toHaveCount(2);

  await ada.getByTestId("board").dblclick({ position: { x: 200, y: 160 } });
  await ada.keyboard.type("Ship the broker");
  const seen = max.getByTestId("note").locator("textarea");
  await expect(seen).toHaveValue("Ship the broker");

  // Both change the same note: one its text, the other its colour. The merge keeps both.
  await max.getByTestId("note").locator(".paint").click();
  await ada.keyboard.type(" today");
  await expect(seen).toHaveValue("Ship the broker today");
  const color = await max.getByTestId("note").getAttribute("data-color");
  await expect(ada.getByTestId("note")).toHaveAttribute("data-color", color ?? "");

  await max.getByTestId("chat-input").fill("looks good!");
  await max.getByTestId("chat-send").click();
  await expect(ada.getByTestId("chat")).toContainText("looks good!");
  await ada.getByTestId("chat-input").fill("thanks :)");
  await ada.keyboard.press("Enter");
  await expect(max.getByTestId("chat")).toContainText("thanks :)");

  await ada.mouse.move(500, 420);
  await expect(max.locator(".cursor span", { hasText: "Ada Lovelace" })).toBeVisible();
  await expect(max.getByTestId("feed")).toContainText("demo.cursor.");
  await expect(ada.getByTestId("saved")).toHaveText("saved");
  await ada.screenshot({ path: `${shots}/two-people-ada.png` });
  await max.screenshot({ path: `${shots}/two-people-max.png` });

  // Somebody who comes later, in another window size, finds the same board.
  const late = await visit(browser, "Late Comer");
  await late.setViewportSize({ width: 720, height: 900 });
  await expect(late.getByTestId("note").locator("textarea")).toHaveValue("Ship the broker today");
  await late.screenshot({ path: `${shots}/narrow-window.png` });
  await late.getByTestId("note").locator(".remove").click();
  await expect(ada.getByTestId("note")).toHaveCount(0);
});

test("both see each other's published messages, all and in order", async ({ browser }) => {
  const [a, b] = [await visit(browser, "A"), await visit(browser, "B")];
  const count = 1000;
  const collect = (page: Page) =>
    page.evaluate(async (total) => {
      const subscription = await window.conat.client.subscribe("order.*");
      const bySender: Record<string, number[]> = {};
      const reading = (async () => {
        for (let n = 0; n < total; n++) {
          const { value: message } = await subscription.next();
          if (message === undefined) throw new Error("the subscription ended");
          (bySender[message.subject] ??= []).push(message.data as number);
        }
        return bySender;
      })();
      (window as unknown as { reading: typeof reading }).reading = reading;
    }, 2 * count);
  await Promise.all([collect(a), collect(b)]);
  const send = (page: Page, subject: string) =>
    page.evaluate(
      async ([to, total]) => {
        for (let i = 0; i < total; i++) window.conat.client.publishSync(to, i);
      },
      [subject, count] as const,
    );
  await Promise.all([send(a, "order.a"), send(b, "order.b")]);
  const expected = Array.from({ length: count }, (_, i) => i);
  for (const page of [a, b]) {
    const got = await page.evaluate(() => (window as unknown as { reading: Promise<Record<string, number[]>> }).reading);
    expect(got["order.a"]).toEqual(expected);
    expect(got["order.b"]).toEqual(expected);
  }
});

test("concurrent edits of a store converge, also with a merge function", async ({ browser }) => {
  const pages = [await visit(browser, "A"), await visit(browser, "B")];
  const edits = 60;
  // "counter" adds up; the function keeps every element that either side added; without one the last wins.
  const results = await Promise.all(
    pages.map((page, who) =>
      page.evaluate(
        async ([me, total]) => {
          const { client } = window.conat;
          const sum = await client.dkv<number>({ name: "sum", merge: "counter" });
          const union = await client.dkv<string[]>({
            name: "union",
            merge: ({ local, remote }) => [...new Set([...(local ?? []), ...(remote ?? [])])].sort(),
          });
          const last = await client.dkv<string>({ name: "last" });
          for (let i = 0; i < total; i++) {
            sum.set("n", (sum.get("n") ?? 0) + 1);
            union.set("all", [...(union.get("all") ?? []), `${me}-${i}`]);
            last.set(`k${i % 7}`, `${me}-${i}`);
            if (i % 10 === 0) await Promise.all([sum.save(), union.save(), last.save()]);
          }
          await Promise.all([sum.save(), union.save(), last.save()]);
          return true;
        },
        [who, edits] as const,
      ),
    ),
  );
  expect(results).toEqual([true, true]);
  const read = (page: Page) =>
    page.evaluate(async () => {
      const { client } = window.conat;
      const [sum, union, last] = await Promise.all([
        client.dkv<number>({ name: "sum", merge: "counter" }),
        client.dkv<string[]>({ name: "union" , merge: ({ local, remote }) => [...new Set([...(local ?? []), ...(remote ?? [])])].sort() }),
        client.dkv<string>({ name: "last" }),
      ]);
      return { sum: sum.get("n"), union: [...(union.get("all") ?? [])].sort(), last: JSON.stringify(Object.entries(last.getAll()).sort()) };
    });
  // What one has saved is on its way to the other.
  const both = () => Promise.all(pages.map((page) => read(page)));
  await expect.poll(async () => (await both()).map(({ sum }) => sum)).toEqual([2 * edits, 2 * edits]);
  await expect.poll(async () => new Set((await both()).map((all) => JSON.stringify(all))).size).toBe(1);
  const final = await read(pages[0]!);
  expect(final.sum).toBe(2 * edits);
  expect(final.union.length).toBe(2 * edits);
});

test("the broker is killed while a page writes: nothing saved is lost, everything comes back", async ({ browser }) => {
  const [writer, reader] = [await visit(browser, "Writer"), await visit(browser, "Reader")];
  await writer.evaluate(async () => {
    const store = await window.conat.client.dkv<number>({ name: "survives" });
    const state = { saved: {} as Record<string, number>, stop: false, count: 0 };
    (window as unknown as { state: typeof state }).state = state;
    void (async () => {
      for (let i = 0; !state.stop; i++) {
        const key = `k${i % 100}`;
        store.set(key, i);
        await store.save();
        state.saved[key] = i;
        state.count = i;
      }
    })();
  });
  await reader.evaluate(async () => {
    const subscription = await window.conat.client.subscribe("after.restart");
    void (async () => {
      for await (const message of subscription) (window as unknown as { got: unknown }).got = message.data;
    })();
  });
  const saves = () => writer.evaluate(() => (window as unknown as { state: { count: number } }).state.count);
  for (let round = 0; round < 3; round++) {
    const target = (await saves()) + 30;
    await expect.poll(saves).toBeGreaterThan(target);
    await broker.end("SIGKILL");
    const saved = await writer.evaluate(() => ({ ...(window as unknown as { state: { saved: Record<string, number> } }).state.saved }));
    if (round === 0) {
      await expect(writer.getByTestId("status")).toHaveAttribute("data-state", "disconnected");
      await writer.screenshot({ path: `${shots}/broker-down.png` });
    }
    await broker.start();
    await expect(reader.getByTestId("status")).toHaveAttribute("data-state", "connected", { timeout: 30_000 });
    const stored = await reader.evaluate(async () => {
      const store = await window.conat.client.dkv<number>({ name: "survives", noCache: true });
      const all = store.getAll();
      await store.close();
      return all;
    });
    expect(Object.keys(saved).length).toBeGreaterThan(20);
    for (const [key, value] of Object.entries(saved)) expect(stored[key], key).toBeGreaterThanOrEqual(value);
  }
  await writer.evaluate(() => ((window as unknown as { state: { stop: boolean } }).state.stop = true));
  await expect(writer.getByTestId("status")).toHaveAttribute("data-state", "connected", { timeout: 30_000 });

  // The subscription made before the first kill still delivers.
  const count = await writer.evaluate(async () =>
    (await window.conat.client.publish("after.restart", "hello again", { waitForInterest: true })).count);
  expect(count).toBe(1);
  await expect.poll(() => reader.evaluate(() => (window as unknown as { got: unknown }).got)).toBe("hello again");
  await writer.screenshot({ path: `${shots}/broker-back.png` });
});

test("the client works in a web worker", async ({ browser }) => {
  const page = await visit(browser, "Worker");
  // The page's own bundle is not importable by name, so the worker loads the package that conatd serves
  // beside it.
  const answer = await page.evaluate(async (address) => {
    const source = `
      const { connect } = await import("${address}/conat-client/browser.js");
      const client = connect({ address: "${address}" });
      const subscription = await client.subscribe("from.page");
      postMessage("ready");
      const { value: message } = await subscription.next();
      const store = await client.dkv({ name: "worker" });
      store.set("seen", message.data);
      await store.save();
      postMessage(store.get("seen"));
    `;
    const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })), { type: "module" });
    return new Promise<unknown>((done, failed) => {
      worker.onerror = (event) => failed(new Error(event.message));
      worker.onmessage = ({ data }) => {
        if (data === "ready") void window.conat.client.publish("from.page", { n: 7 });
        else done(data);
      };
    });
  }, broker.address);
  expect(answer).toEqual({ n: 7 });
});
