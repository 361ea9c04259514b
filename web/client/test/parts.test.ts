// Emitter, subscriptions, patterns and options by themselves.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Emitter } from "../src/emitter.js";
import type { Message } from "../src/message.js";
import { webSocketUrl } from "../src/options.js";
import { Patterns } from "../src/patterns.js";
import { Subscription } from "../src/subscription.js";
import { defaults, setDefaultTimeouts, timeoutOf } from "../src/timeouts.js";
import { wellFormed } from "../src/wasm/driver.js";

const now = (event: () => void): void => event();
const numbered = (n: number): Message => ({ data: n }) as unknown as Message;
const open = (options: ConstructorParameters<typeof Subscription>[1] = {}, onEnd = () => undefined as void): Subscription =>
  new Subscription("s", options, onEnd);
const push = (subscription: Subscription, ...values: number[]): void => values.forEach((n) => subscription.push(numbered(n), now));
const datas = (messages: (Message | undefined)[]): unknown[] => messages.map((message) => message?.data);

describe("Emitter", () => {
  it("calls listeners in order, once or always, and stops when told", () => {
    const emitter = new Emitter<{ a: [n: number]; b: [] }>();
    const calls: string[] = [];
    const always = (n: number): void => void calls.push(`always ${n}`);
    emitter.on("a", always).once("a", (n) => calls.push(`once ${n}`));
    assert.equal(emitter.emit("a", 1), true);
    assert.equal(emitter.emit("a", 2), true);
    emitter.off("a", always);
    assert.equal(emitter.emit("a", 3), false);
    assert.equal(emitter.emit("b"), false);
    assert.deepEqual(calls, ["always 1", "once 1", "always 2"]);
    assert.equal(emitter.listenerCount("a"), 0);
  });

  it("removes a once listener by the function that was given", () => {
    const emitter = new Emitter<{ a: [] }>();
    const listener = (): void => assert.fail("called");
    emitter.once("a", listener).off("a", listener);
    assert.equal(emitter.emit("a"), false);
  });
});

describe("Subscription", () => {
  it("delivers in order, to readers that came before and after", async () => {
    const subscription = open();
    const early = [subscription.next(), subscription.next()];
    push(subscription, 1, 2, 3, 4);
    const results = await Promise.all([...early, subscription.next(), subscription.next()]);
    assert.deepEqual(datas(results.map(({ value }) => value)), [1, 2, 3, 4]);
  });

  it("ends every reader on close, and stays ended", async () => {
    let ends = 0;
    const subscription = open({}, () => void (ends += 1));
    const waiting = subscription.next();
    subscription.close();
    subscription.close();
    subscription.stop();
    assert.deepEqual(await waiting, { value: undefined, done: true });
    push(subscription, 1);
    assert.deepEqual(await subscription.next(), { value: undefined, done: true });
    assert.equal(ends, 1);
    assert.equal(subscription.ended, true);
  });

  it("ends when the loop is left", async () => {
    const subscription = open();
    push(subscription, 1, 2);
    for await (const message of subscription) {
      assert.equal(message.data, 1);
      break;
    }
    assert.equal(subscription.ended, true);
  });

  it("drains what nobody has read", () => {
    const subscription = open();
    push(subscription, 1, 2, 3);
    assert.deepEqual(datas(subscription.drain()), [1, 2, 3]);
    assert.equal(subscription.ended, true);
  });

  it("ends after mesgLimit messages, which can still be read", async () => {
    const subscription = open({ mesgLimit: 2 });
    push(subscription, 1, 2, 3);
    assert.equal(subscription.ended, true);
    const read: unknown[] = [];
    for await (const message of subscription) read.push(message.data);
    assert.deepEqual(read, [1, 2]);
  });

  it("ends maxWait ms after the last message", async () => {
    const maxWait = 400;
    const subscription = open({ maxWait });
    let last = 0;
    for (const delay of [0, 150, 300]) {
      setTimeout(() => {
        last = performance.now();
        push(subscription, delay);
      }, delay);
    }
    let count = 0;
    for await (const _ of subscription) count += 1;
    assert.equal(count, 3);
    assert.ok(performance.now() - last >= maxWait - 1);
  });

  it("bounds its buffer as it is told", async () => {
    const dropping = open({ maxBuffered: 2, policy: "drop-oldest" });
    push(dropping, 1, 2, 3, 4);
    assert.deepEqual(datas(dropping.drain()), [3, 4]);
    const strict = open({ maxBuffered: 2, policy: "error" });
    push(strict, 1, 2, 3, 4);
    assert.deepEqual(datas([(await strict.next()).value, (await strict.next()).value]), [1, 2]);
    await assert.rejects(strict.next(), { code: "ENOBUFS" });
    assert.equal((await strict.next()).done, true);
  });

  it("keeps order through a long queue", async () => {
    const subscription = open();
    const total = 5000;
    for (let i = 0; i < total; i++) push(subscription, i);
    for (let i = 0; i < total; i++) {
      if (i % 3 === 0) push(subscription, total + i / 3);
      assert.equal((await subscription.next()).value?.data, i);
    }
    assert.equal(subscription.buffered, Math.ceil(total / 3));
  });

  it("emits every message, with or without a reader", () => {
    const subscription = open();
    const seen: unknown[] = [];
    subscription.emitter.on("message", ({ data }) => seen.push(data));
    push(subscription, 1, 2);
    assert.deepEqual(seen, [1, 2]);
    assert.equal(subscription.buffered, 2);
  });
});

describe("Patterns", () => {
  it("finds what matches", () => {
    const patterns = new Patterns<number>();
    for (const [i, pattern] of ["a.b", "a.*", "*.b", "a.>", ">", "a.b.c", "a*.b"].entries()) patterns.set(pattern, i);
    assert.deepEqual(patterns.matches("a.b"), ["*.b", ">", "a.*", "a.>", "a.b"]);
    assert.deepEqual(patterns.matches("a"), [">"]);
    assert.deepEqual(patterns.matches("a*.b"), ["*.b", ">", "a*.b"]);
    assert.equal(patterns.get("a.*"), 1);
    assert.equal(patterns.get("a.x"), undefined);
    assert.equal(patterns.size, 7);
    patterns.delete(">");
    patterns.delete("nothing");
    patterns.delete("a");
    assert.equal(patterns.hasMatch("z"), false);
    assert.equal(patterns.hasMatch("a.b.c.d"), true);
    patterns.delete("a.>");
    assert.equal(patterns.hasMatch("a.b.c.d"), false);
    assert.equal(patterns.size, 5);
  });

  it("takes names of objects' members as subjects", () => {
    const patterns = new Patterns<string>();
    patterns.set("constructor.__proto__", "x");
    assert.deepEqual(patterns.matches("constructor.__proto__"), ["constructor.__proto__"]);
    assert.deepEqual(patterns.matches("toString"), []);
  });
});

describe("options", () => {
  it("makes the WebSocket's address", () => {
    assert.equal(webSocketUrl("http://localhost:8080"), "ws://localhost:8080/conat/?EIO=4&transport=websocket");
    assert.equal(webSocketUrl("https://host/base/"), "wss://host/base/conat/?EIO=4&transport=websocket");
    assert.throws(() => webSocketUrl("nonsense"), /invalid address/);
    assert.throws(() => webSocketUrl("ftp://x"), /invalid address/);
  });

  it("replaces text that UTF-8 cannot hold", () => {
    assert.equal(wellFormed("a\uD800b\uDC00c😀"), "a\uFFFDb\uFFFDc😀");
  });

  it("changes default timeouts", () => {
    setDefaultTimeouts({ request: 5000 });
    assert.equal(timeoutOf(undefined, defaults.request), 5000);
    setDefaultTimeouts({ request: 30_000 });
    assert.throws(() => timeoutOf(0, 1), /timeout must be positive/);
    assert.throws(() => setDefaultTimeouts({ publish: -1 }), /publish must be positive/);
  });
});
