// Which subjects and patterns there are, which pattern matches what, and what counts as white space: asked of the broker by
// the real clients.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Broker } from "../broker.js";
import { SocketIoClient, variants } from "./socketio.js";

const raw = Buffer.from([1]);
const invalid = { error: "Error: invalid subject" };

// JavaScript's \s, as this very engine has it: the broker must agree with its clients.
const spaces: number[] = [];
for (let point = 0; point <= 0xffff; point++) if (/\s/.test(String.fromCharCode(point))) spaces.push(point);
const notSpaces = [0x85, 0x180e, 0x200b, 0x2060, 0, 0x7f, 0x1f, 0x1f600];
const hex = (point: number): string => `U+${point.toString(16).padStart(4, "0")}`;

const valid = ["a", "a.b.c", "é.\u{1f600}", "a-b_c:d/e", '"quoted"', "back\\slash", "a,b", "{}", "a>b", "a>b.c", ">a", "0", "null", "_INBOX.x", "x".repeat(16_384)];
const invalidSubjects = ["", ".", "a.", ".a", "a..b", "*", "a.*", "a*b", "a*", ">", "a.>", "a>", "a b", " a", "a\n", "x".repeat(16_385)];
const onlyPatterns = ["*", "a.*", "*.a", "*.*", ">", "a.>", "*.>", "a*b", "a*.b", "**", ">>", "a>", "*>", "a.>>"];
const invalidPatterns = ["", ".", "a.", ".a", "a..b", ">.a", "a.>.b", ">.>", "a b", " ", "a.\t", "x".repeat(16_385)];

// pattern, what it matches, what it does not match
const matches: [pattern: string, yes: string[], no: string[]][] = [
  ["m.a", ["m.a"], ["m", "m.b", "m.a.b", "m.A"]],
  ["m.*", ["m.a", "m.b", "m.é"], ["m", "m.a.b", "n.a"]],
  ["m.*.c", ["m.a.c"], ["m.c", "m.a", "m.a.b.c", "m.a.d"]],
  ["m.>", ["m.a", "m.a.b.c"], ["m", "n.a"]],
  ["m.*.>", ["m.a.b", "m.a.b.c"], ["m.a", "m"]],
  ["*.x>y", ["m.x>y"], ["m.x", "m.xzy"]],
  ["m.x*y", [], ["m.xay", "m.xy"]],
  ["m.y>", [], ["m.y", "m.ya", "m.y.a"]],
  ["m.**", [], ["m.a", "m.a.b"]],
];

let broker: Broker;
before(async () => (broker = await Broker.start("--shards", "2", "--max-subscriptions-per-client", "5000", "--no-persist")));
after(() => broker.stop());

for (const variant of variants) {
  describe(variant.name, () => {
    let client: SocketIoClient;
    before(async () => (client = await SocketIoClient.open(variant, broker.address)));
    after(() => client.close());
    const publish = (subject: string): Promise<unknown> => client.ask("publish", [subject, "0123456789", 0, 1, 0, raw]);
    const subscribe = (patterns: readonly string[]): Promise<unknown[]> => client.ask("subscribe", patterns.map((subject) => ({ subject, queue: "q" })));
    const unsubscribe = (patterns: readonly string[]): Promise<unknown> => client.ask("unsubscribe", patterns.map((subject) => ({ subject })));
    const all = <T>(count: number, answer: T): T[] => Array.from({ length: count }, () => answer);

    it("subjects", { timeout: 180_000 }, async () => {
      for (const subject of valid) assert.deepEqual(await publish(subject), { count: 0 }, subject.slice(0, 50));
      for (const subject of invalidSubjects) {
        assert.deepEqual(await publish(subject), invalid, subject.slice(0, 50));
        assert.deepEqual(await client.ask("wait-for-interest", { subject, timeout: 0 }), { error: "invalid subject" }, subject.slice(0, 50));
      }
    });

    it("patterns", { timeout: 180_000 }, async () => {
      const patterns = [...valid, ...onlyPatterns];
      assert.deepEqual(await subscribe(patterns), all(patterns.length, { status: "added" }));
      assert.deepEqual(await subscribe(invalidPatterns), all(invalidPatterns.length, invalid));
      assert.deepEqual(await client.ask("subscriptions", null), patterns);
      await unsubscribe(patterns);
    });

    it("white space is what JavaScript's \\s is", { timeout: 180_000 }, async () => {
      const around = (points: readonly number[]): string[] =>
        points.flatMap((point) => ["a$", "$", "a.$b", "$.a"].map((text) => text.replace("$", String.fromCodePoint(point))));
      assert.ok(spaces.length === 25 && !spaces.includes(0x85), "an engine of today");
      const [spaced, fine] = [around(spaces), around(notSpaces)];
      assert.deepEqual(await subscribe(spaced), all(spaced.length, invalid));
      assert.deepEqual(await subscribe(fine), all(fine.length, { status: "added" }));
      for (const point of spaces) assert.deepEqual(await publish(`a${String.fromCodePoint(point)}`), invalid, hex(point));
      for (const point of notSpaces) assert.deepEqual(await publish(`a${String.fromCodePoint(point)}`), { count: 1 }, hex(point));
      await unsubscribe(fine);
    });

    it("matching", { timeout: 180_000 }, async () => {
      for (const [pattern, yes, no] of matches) {
        const deliveries = client.deliveries(pattern);
        assert.deepEqual(await subscribe([pattern]), [{ status: "added" }]);
        for (const subject of yes) assert.deepEqual(await publish(subject), { count: 1 }, `${pattern} matches ${subject}`);
        for (const subject of no) assert.deepEqual(await publish(subject), { count: 0 }, `${pattern} does not match ${subject}`);
        for (const subject of yes) assert.equal((await deliveries.next()).subject, subject);
        assert.deepEqual(deliveries.rest(), []);
        await unsubscribe([pattern]);
      }
    });
  });
}
