// Every synchronized structure with three clients of different kinds at once on one store: conat-client in Chromium,
// conat-client in Node, and the native C++ client. All write at the same time; in the end all see the same.
import { expect, test, type Page } from "@playwright/test";
import { connect, PubSub, type Client } from "conat-client";
import { Broker } from "../../tests/integration/src/broker.js";
import { NativePeer } from "../../tests/integration/src/wire/native.js";

interface Command {
  action: "open" | "close" | "set" | "delete" | "edit" | "claim" | "publish" | "erase" | "save" | "show" | "keyed";
  kind: "dkv" | "dko" | "cstream" | "dstream" | "akv" | "astream" | "pubsub";
  name: string;
  merge?: string;
  project_id?: string;
  key?: string;
  value?: unknown;
  seq?: number;
  edits?: Edit[];
  values?: unknown[];
  up_to?: number;
}
interface Edit {
  assign?: Record<string, unknown>;
  add?: number;
  include?: unknown;
  exclude?: unknown;
  replace?: [string, string];
}
type Run = (command: Command) => Promise<unknown>;

/** What tests/native/peer/stores.hpp does, for conat-client. It runs in the page as well, so it uses nothing from outside. */
async function carryOut(conat: { client: Client; PubSub: typeof PubSub }, stores: Map<string, unknown>, command: Command): Promise<unknown> {
  const { client } = conat;
  const { action, kind, name, key = "", value, values = [] } = command;
  const id = `${kind} ${name}`;
  /* eslint-disable-next-line @typescript-eslint/no-explicit-any -- one variable for seven kinds */
  const store = stores.get(id) as any;
  if (action === "open") {
    if (kind === "dkv") stores.set(id, await client.dkv({ name, merge: command.merge as "lww" }));
    if (kind === "dko") stores.set(id, await client.dko({ name }));
    if (kind === "cstream") stores.set(id, await client.cstream({ name }));
    if (kind === "dstream") stores.set(id, await client.dstream({ name }));
    if (kind === "akv") stores.set(id, client.akv({ name }));
    if (kind === "astream") stores.set(id, client.astream({ name }));
    if (kind === "pubsub") {
      const pubsub = new conat.PubSub({ client, project_id: command.project_id ?? "", name });
      const received: unknown[] = [];
      pubsub.on("change", (each: unknown) => received.push(each));
      stores.set(id, { received, publish: (each: unknown) => pubsub.set(each), close: () => pubsub.close() });
      await new Promise<void>((done) => pubsub.once("connected", done));
    }
    return null;
  }
  if (action === "close") return store.close();
  if (action === "save") return store.save();
  if (action === "erase") return store.delete({ last_seq: command.up_to });
  if (action === "set") return kind === "cstream" ? store.setKv(key, value) : store.set(key, value);
  if (action === "claim") return store.set(key, value, { previousSeq: command.seq });
  if (action === "delete") return kind === "cstream" ? store.deleteKv(key) : store.delete(key);
  if (action === "publish") {
    for (const each of values) await store.publish(each);
    return null;
  }
  if (action === "edit") {
    for (const { assign, add, include, exclude, replace } of command.edits ?? []) {
      let now = store.get(key);
      if (assign) now = { ...now, ...assign };
      if (add !== undefined) now += add;
      if (include !== undefined) now = [...now, include];
      if (exclude !== undefined) now = now.filter((each: unknown) => each !== exclude);
      if (replace) now = now.replace(...replace);
      store.set(key, now);
    }
    return null;
  }
  if (action === "keyed") return store.getAllKv();
  if (kind === "pubsub") return store.received;
  if (kind === "akv") return store.getMany(await store.keys());
  if (kind !== "astream") return store.getAll();
  const all = [];
  for await (const { mesg } of store.getAll()) all.push(mesg);
  return all;
}

const plain = (answer: unknown): unknown => JSON.parse(JSON.stringify(answer ?? null)) as unknown;

let broker: Broker;
let client: Client;
let native: NativePeer;
let clients: Run[]; // in Chromium, in Node, native

async function inPage(page: Page): Promise<Run> {
  await page.goto(`${broker.address}/healthz`);
  await page.evaluate(
    async ([address, source]) => {
      const conat = (await import(`${address}/conat-client/browser.js`)) as { connect: typeof connect; PubSub: typeof PubSub };
      const run = (0, eval)(`(${source})`) as (...all: unknown[]) => Promise<unknown>;
      const client = conat.connect({ address, noCache: true });
      const stores = new Map<string, unknown>();
      Object.assign(window, { carryOut: (command: unknown) => run({ client, PubSub: conat.PubSub }, stores, command) });
      await client.waitUntilReady();
    },
    [broker.address, carryOut.toString()] as const,
  );
  return async (command) =>
    plain(await page.evaluate((it) => (window as unknown as { carryOut: (it: unknown) => Promise<unknown> }).carryOut(it).then((answer) => JSON.parse(JSON.stringify(answer ?? null))), command));
}

test.beforeEach(async ({ page }) => {
  broker = await Broker.start("--shards", "2");
  client = connect({ address: broker.address });
  native = await NativePeer.open("native", broker.address, "msgpack");
  const stores = new Map<string, unknown>();
  clients = [await inPage(page), async (command) => plain(await carryOut({ client, PubSub }, stores, command)), (command) => native.store(command as unknown as Record<string, unknown>)];
});
test.afterEach(async () => {
  client.close();
  native.close();
  await broker.stop();
});

/** The same on all three at once; `make` gets 0, 1, 2. */
const all = (make: (n: number) => Command): Promise<unknown[]> => Promise.all(clients.map((run, n) => run(make(n))));

/** Waits until all three show the same and `good` says that it is what it should be; returns it. */
async function agreed(command: Command, good: (state: unknown) => boolean): Promise<unknown> {
  let states: unknown[] = [];
  await expect
    .poll(
      async () => {
        states = await all(() => command);
        const texts = states.map(sorted);
        return texts[0] === texts[1] && texts[1] === texts[2] && good(states[0]) ? "agreed" : JSON.stringify(states);
      },
      { timeout: 60_000, intervals: [20, 50, 100] },
    )
    .toBe("agreed");
  return states[0];
}
// The order of an object's keys is each client's own.
const sorted = (state: unknown): string =>
  JSON.stringify(state, (_, value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value,
  );
const is = (expected: unknown) => (state: unknown): boolean => sorted(state) === sorted(expected);
const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);
const lists = (count: number): number[][] => [range(1000, count), range(2000, count), range(3000, count)];
/** Everything of every list once, each list in its order. */
const interleaves = (parts: number[][]) => (state: unknown): boolean => {
  const found = state as number[];
  return found.length === parts.flat().length && parts.every((part) => is(part)(found.filter((each) => part.includes(each))));
};

const merges: { merge: string; start: unknown; edits: Edit[][]; good: (value: unknown) => boolean }[] = [
  { merge: "lww", start: "", edits: [0, 1, 2].map((n) => range(0, 5).map((i) => ({ assign: { [`by${n}`]: i } }))), good: (value) => typeof value === "object" },
  {
    merge: "fields",
    start: { shared: true },
    edits: [0, 1, 2].map((n) => range(0, 5).map((i) => ({ assign: { [`by${n}`]: i } }))),
    good: is({ shared: true, by0: 4, by1: 4, by2: 4 }),
  },
  { merge: "counter", start: 7, edits: [1, 10, 100].map((add) => range(0, 5).map(() => ({ add }))), good: is(7 + 5 * 111) },
  {
    merge: "set",
    start: ["x", "y", "z"],
    edits: ["x", "y", "z"].map((exclude, n) => [{ exclude }, ...range(0, 3).map((i) => ({ include: `${n}-${i}` }))]),
    good: (value) => is([0, 1, 2].flatMap((n) => range(0, 3).map((i) => `${n}-${i}`)))([...(value as string[])].sort()),
  },
  {
    merge: "text",
    start: "the first line\n\nthe second line\n\nthe third line\n",
    edits: ["first", "second", "third"].map((word) => [{ replace: [word, `${word} changed`] as [string, string] }]),
    good: is("the first changed line\n\nthe second changed line\n\nthe third changed line\n"),
  },
];

for (const { merge, start, edits, good } of merges) {
  test(`DKV with the merge ${merge}`, async () => {
    const at = { kind: "dkv", name: `board-${merge}` } as const;
    await all(() => ({ action: "open", ...at, merge }));
    await clients[1]!({ action: "set", ...at, key: "k", value: merge === "lww" ? {} : start });
    await clients[2]!({ action: "set", ...at, key: "other", value: [1, "two", { three: null }] });
    await agreed({ action: "show", ...at }, (state) => "k" in (state as object) && "other" in (state as object));

    await all((n) => ({ action: "edit", ...at, key: "k", edits: edits[n]! }));
    await all(() => ({ action: "save", ...at }));
    const state = (await agreed({ action: "show", ...at }, (now) => good((now as { k: unknown }).k))) as { k: unknown };

    await clients[0]!({ action: "delete", ...at, key: "other" });
    await agreed({ action: "show", ...at }, is({ k: state.k }));
    await all(() => ({ action: "save", ...at }));
    await all(() => ({ action: "close", ...at }));
    await all(() => ({ action: "open", ...at, merge }));
    await agreed({ action: "show", ...at }, is({ k: state.k }));
  });
}

test("DKO", async () => {
  const at = { kind: "dko", name: "people" } as const;
  await all(() => ({ action: "open", ...at }));
  // Three objects, each written by one; and one that all three write, each a field of its own.
  await all((n) => ({ action: "set", ...at, key: `own ${n}`, value: { n, deep: { list: [n] } } }));
  await clients[0]!({ action: "set", ...at, key: '["odd', value: { a: 0, b: 0, c: 0 } });
  const own = { "own 0": { n: 0, deep: { list: [0] } }, "own 1": { n: 1, deep: { list: [1] } }, "own 2": { n: 2, deep: { list: [2] } } };
  await agreed({ action: "show", ...at }, is({ ...own, '["odd': { a: 0, b: 0, c: 0 } }));
  await all((n) => ({ action: "edit", ...at, key: '["odd', edits: range(1, 5).map((i) => ({ assign: { [["a", "b", "c"][n]!]: i } })) }));
  await all(() => ({ action: "save", ...at }));
  await agreed({ action: "show", ...at }, is({ ...own, '["odd': { a: 5, b: 5, c: 5 } }));
  await all((n) => ({ action: "delete", ...at, key: `own ${n}` }));
  await all(() => ({ action: "save", ...at }));
  await agreed({ action: "show", ...at }, is({ '["odd': { a: 5, b: 5, c: 5 } }));
  await all(() => ({ action: "close", ...at }));
  await all(() => ({ action: "open", ...at }));
  await agreed({ action: "show", ...at }, is({ '["odd': { a: 5, b: 5, c: 5 } }));
});

test("CoreStream", async () => {
  const at = { kind: "cstream", name: "log" } as const;
  await all(() => ({ action: "open", ...at }));
  const parts = lists(20);
  await all((n) => ({ action: "publish", ...at, values: parts[n]! }));
  const whole = (await agreed({ action: "show", ...at }, interleaves(parts))) as number[];
  await all((n) => ({ action: "set", ...at, key: `k${n}`, value: n }));
  await all((n) => ({ action: "set", ...at, key: "shared", value: { n } }));
  await agreed({ action: "keyed", ...at }, (state) => Object.keys(state as object).length === 4);
  await all((n) => (n === 2 ? { action: "delete", ...at, key: "k0" } : { action: "set", ...at, key: `k${n + 1}`, value: 10 + n }));
  await agreed({ action: "keyed", ...at }, (state) => is({ k1: 10, k2: 11 })({ ...(state as object), shared: undefined }));
  await clients[2]!({ action: "erase", ...at, up_to: 30 });
  const rest = (await agreed({ action: "show", ...at }, (state) => is(whole.slice(30))((state as unknown[]).filter((each) => (each as number) >= 1000)))) as unknown[];
  await all(() => ({ action: "close", ...at }));
  await all(() => ({ action: "open", ...at }));
  await agreed({ action: "show", ...at }, is(rest));
});

test("DStream", async () => {
  const at = { kind: "dstream", name: "chat" } as const;
  await all(() => ({ action: "open", ...at }));
  const parts = lists(50);
  await all((n) => ({ action: "publish", ...at, values: parts[n]! }));
  await all(() => ({ action: "save", ...at }));
  const whole = (await agreed({ action: "show", ...at }, interleaves(parts))) as number[];
  await clients[0]!({ action: "erase", ...at, up_to: 40 });
  await agreed({ action: "show", ...at }, is(whole.slice(40)));
  await all(() => ({ action: "close", ...at }));
  await all(() => ({ action: "open", ...at }));
  await agreed({ action: "show", ...at }, is(whole.slice(40)));
});

test("AKV", async () => {
  const at = { kind: "akv", name: "settings" } as const;
  await all(() => ({ action: "open", ...at }));
  await all((n) => ({ action: "set", ...at, key: `own ${n}`, value: { n } }));
  await clients[1]!({ action: "set", ...at, key: "shared", value: "first" }); // sequence number 4
  await agreed({ action: "show", ...at }, is({ "own 0": { n: 0 }, "own 1": { n: 1 }, "own 2": { n: 2 }, shared: "first" }));
  // All three replace the same message: one may.
  const claims = await Promise.allSettled(clients.map((run, n) => run({ action: "claim", ...at, key: "shared", value: n, seq: 4 })));
  const winners = claims.flatMap(({ status }, n) => (status === "fulfilled" ? [n] : []));
  expect(winners).toHaveLength(1);
  for (const claim of claims) if (claim.status === "rejected") expect(String(claim.reason)).toContain("wrong last sequence");
  await clients[2]!({ action: "delete", ...at, key: "own 0" });
  await clients[0]!({ action: "delete", ...at, key: "own 2" });
  await all(() => ({ action: "close", ...at }));
  await all(() => ({ action: "open", ...at }));
  await agreed({ action: "show", ...at }, is({ "own 1": { n: 1 }, shared: winners[0] }));
});

test("AStream", async () => {
  const at = { kind: "astream", name: "events" } as const;
  await all(() => ({ action: "open", ...at }));
  const parts = lists(20);
  await all((n) => ({ action: "publish", ...at, values: parts[n]! }));
  const whole = (await agreed({ action: "show", ...at }, interleaves(parts))) as number[];
  await clients[2]!({ action: "erase", ...at, up_to: 7 });
  await clients[0]!({ action: "erase", ...at, up_to: 20 });
  await all(() => ({ action: "close", ...at }));
  await all(() => ({ action: "open", ...at }));
  await agreed({ action: "show", ...at }, is(whole.slice(20)));
});

test("PubSub", async () => {
  const at = { kind: "pubsub", name: "cursors" } as const;
  const project_id = "00000000-0000-4000-8000-000000000000";
  await all(() => ({ action: "open", ...at, project_id }));
  const parts = lists(20);
  await all((n) => ({ action: "publish", ...at, values: parts[n]! }));
  // Each sender's values in their order, at everybody once; among senders there is no order.
  await expect
    .poll(async () => (await all(() => ({ action: "show", ...at }))).map(interleaves(parts)), { timeout: 60_000, intervals: [20, 50, 100] })
    .toEqual([true, true, true]);
});
