// Every event of the protocol, single and in arrays, with and without an acknowledgement, as it should be and malformed:
// the real socket.io-client in two versions with two parsers.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Broker } from "../broker.js";
import { SocketIoClient, variants, type Delivery } from "./socketio.js";
import type { Queue } from "./queue.js";

const raw = Buffer.from([0x81, 0xa1, 0x61, 0x01]); // {a: 1}
const invalid = { error: "Error: invalid subject" };
const noQueue = { error: "Error: queue must be defined" };
const added = { status: "added" };

let broker: Broker;
before(async () => {
  broker = await Broker.start("--shards", "2", "--id", "wire-test", "--no-persist");
});
after(() => broker.stop());

for (const [number, variant] of variants.entries()) {
  describe(variant.name, () => {
    let client: SocketIoClient;
    const own = `v${number}`; // what this variant's subjects begin with
    before(async () => {
      client = await SocketIoClient.open(variant, broker.address);
    });
    after(() => client.close());
    const publish = (subject: string, ...rest: unknown[]): Promise<unknown> => client.ask("publish", [subject, ...rest]);

    it("info: exactly the fields of a broker without authentication, in order", { timeout: 180_000 }, async () => {
      const fresh = SocketIoClient.prepare(variant, broker.address);
      fresh.socket.connect();
      const info = await fresh.infos.next();
      assert.equal(JSON.stringify(info), '{"max_payload":8000000,"id":"wire-test","user":null}');
      assert.match(fresh.socket.id!, /^[A-Za-z0-9_-]{20}$/);
      fresh.close();
    });

    it("subscribe: added, and already-added whatever the queue", { timeout: 180_000 }, async () => {
      assert.deepEqual(await client.ask("subscribe", { subject: `${own}.s`, queue: "q" }), added);
      assert.deepEqual(await client.ask("subscribe", { subject: `${own}.s`, queue: "q" }), { status: "already-added" });
      assert.deepEqual(await client.ask("subscribe", { subject: `${own}.s`, queue: "other" }), { status: "already-added" });
      assert.equal(await client.ask("unsubscribe", { subject: `${own}.s` }), null);
    });

    it("subscribe: errors, and an array's answers in order", { timeout: 180_000 }, async () => {
      for (const subject of ["", ".", "a.", ".a", "a..b", "a b", ">.a", "a.>.b"]) {
        assert.deepEqual(await client.ask("subscribe", { subject, queue: "0" }), invalid, subject);
      }
      for (const queue of [undefined, null, 5, {}, ["q"], true]) {
        assert.deepEqual(await client.ask("subscribe", { subject: `${own}.q`, queue }), noQueue, JSON.stringify(queue));
      }
      const requests = [
        { subject: `${own}.x.1`, queue: "0" }, { subject: `${own}.x.2`, queue: "0" }, { subject: "bad..subject", queue: "0" },
        { subject: `${own}.noqueue` }, { subject: `${own}.x.1`, queue: "1" },
      ];
      assert.deepEqual(await client.ask("subscribe", requests), [added, added, invalid, noQueue, { status: "already-added" }]);
      assert.deepEqual(await client.ask("subscribe", []), []);
      assert.deepEqual(await client.ask("unsubscribe", [{ subject: `${own}.x.1` }, { subject: "unknown" }, { subject: `${own}.x.2` }]), [null, null, null]);
      assert.deepEqual(await client.ask("unsubscribe", { subject: "unknown" }), null);
    });

    it("subscribe, unsubscribe and publish work without an acknowledgement, in the order sent", { timeout: 180_000 }, async () => {
      const deliveries = client.deliveries(`${own}.silent`);
      client.emit("subscribe", { subject: `${own}.silent`, queue: "q" });
      client.emit("publish", [`${own}.silent`, "0000000001", 0, 1, 0, raw]);
      client.emit("unsubscribe", { subject: `${own}.silent` });
      client.emit("publish", [`${own}.silent`, "0000000002", 0, 1, 0, raw]);
      client.emit("subscribe", [{ subject: `${own}.silent`, queue: "q" }]);
      client.emit("publish", [`${own}.silent`, "0000000003", 0, 1, 0, raw]);
      client.emit("unsubscribe", [{ subject: `${own}.silent` }]);
      await client.flush();
      assert.deepEqual(deliveries.rest().map((delivery) => delivery.data[0]), ["0000000001", "0000000003"]);
    });

    it("subscriptions: in the order of subscribing", { timeout: 180_000 }, async () => {
      const fresh = await SocketIoClient.open(variant, broker.address);
      assert.deepEqual(await fresh.ask("subscriptions", null), []);
      const patterns = ["z", "a.*", "m.>", "b", "c", "__proto__", "a"].map((name) => `${own}.list.${name}`);
      await fresh.ask("subscribe", patterns.map((subject) => ({ subject, queue: "0" })));
      assert.deepEqual(await fresh.ask("subscriptions", null), patterns);
      await fresh.ask("unsubscribe", [{ subject: patterns[0] }, { subject: patterns[3] }]);
      const left = patterns.filter((_, i) => i !== 0 && i !== 3);
      assert.deepEqual(await fresh.ask("subscriptions", null), left);
      await fresh.ask("subscribe", { subject: patterns[0], queue: "0" });
      assert.deepEqual(await fresh.ask("subscriptions", null), [...left, patterns[0]]);
      fresh.close();
    });

    it("wait-for-interest: now, later, and errors in words of its own", { timeout: 180_000 }, async () => {
      const later = `${own}.interest`;
      assert.equal(await client.ask("wait-for-interest", { subject: later, timeout: 0 }), false);
      for (const timeout of [-1, "soon", null, Number.MIN_VALUE * 0]) {
        if (typeof timeout === "number") assert.equal(await client.ask("wait-for-interest", { subject: later, timeout }), false, String(timeout));
      }
      const waits = [{ subject: later }, { subject: later, timeout: 60_000 }, { subject: later, timeout: 1e9 }].map((argument) =>
        client.ask("wait-for-interest", argument),
      );
      await client.flush();
      await client.ask("subscribe", { subject: `${own}.*`, queue: "q" });
      assert.deepEqual(await Promise.all(waits), [true, true, true]);
      assert.equal(await client.ask("wait-for-interest", { subject: later, timeout: 0 }), true);
      await client.ask("unsubscribe", { subject: `${own}.*` });
      assert.equal(await client.ask("wait-for-interest", { subject: later, timeout: 0 }), false);
      for (const subject of ["a..b", "a.*", "a.>", "", " ", 5, null, undefined, ["a"]]) {
        assert.deepEqual(await client.ask("wait-for-interest", { subject, timeout: 0 }), { error: "invalid subject" }, String(subject));
      }
      assert.deepEqual(client.permissions.rest(), []);
    });

    it("stats: taken without an answer; cluster: this broker's address", { timeout: 180_000 }, async () => {
      client.emit("stats", { recv0: { messages: 17, bytes: 4000 } });
      assert.deepEqual(await client.ask("cluster"), [`http://localhost:${broker.port}`]);
    });

    it("publish: count, and errors", { timeout: 180_000 }, async () => {
      assert.deepEqual(await publish(`${own}.nobody`, "0123456789", 0, 1, 0, raw), { count: 0 });
      for (const subject of ["", "a..b", "a.*", "*", "a.>", ">", "a*b", "a.b>", "a b", "a.\u00a0"]) {
        assert.deepEqual(await publish(subject, "0123456789", 0, 1, 0, raw), invalid, subject);
      }
    });

    describe("what a publish carries", () => {
      let deliveries: Queue<Delivery>;
      before(async () => {
        deliveries = await client.subscribe(`${own}.p.*`, "q");
      });
      const through = async (...data: unknown[]): Promise<Delivery> => {
        assert.deepEqual(await publish(`${own}.p.x`, ...data), { count: 1 });
        const delivery = await deliveries.next();
        assert.deepEqual(Object.keys(delivery), ["subject", "data"]);
        assert.equal(delivery.subject, `${own}.p.x`);
        return delivery;
      };

      it("comes out under the pattern, the payload and the headers untouched", { timeout: 180_000 }, async () => {
        const headers = { "CN-Reply": "_INBOX.a.b", n: 1, nested: { list: [1, null, true, 1.5, "é\u{1f600}"], "": {} }, big: 2 ** 53 - 1, "__proto__x": 1 };
        assert.deepEqual((await through("abcdefghij", 0, 1, 0, raw, headers)).data, ["abcdefghij", 0, 1, 0, raw, headers]);
        for (const headers of ["text", 7, [1, [2]], true, { a: { b: { c: {} } } }]) {
          assert.deepEqual((await through("abcdefghij", 0, 1, 1, raw, headers)).data, ["abcdefghij", 0, 1, 1, raw, headers]);
        }
        assert.deepEqual((await through("abcdefghij", 0, 1, 0, raw)).data, ["abcdefghij", 0, 1, 0, raw]);
      });

      it("takes any bytes", { timeout: 180_000 }, async () => {
        for (const bytes of [Buffer.alloc(0), Buffer.from(Array.from({ length: 256 }, (_, i) => i)), Buffer.alloc(300_000, "x\xff\0")]) {
          const { data } = await through("abcdefghij", 0, 1, 0, bytes);
          assert.ok(Buffer.isBuffer(data[4]) && bytes.equals(data[4]), `${bytes.length} bytes`);
        }
      });

      it("is passed on as it is when it is shorter, or text instead of bytes", { timeout: 180_000 }, async () => {
        for (const data of [[], ["id"], ["id", 0, 1], ["id", 0, 1, 1, '"text"'], ["id", 0, 1, 1, "é\n\u2028\"\\"]]) {
          assert.deepEqual((await through(...data)).data, data);
        }
      });

      it("never carries what stands at the reserved position", { timeout: 180_000 }, async () => {
        for (const target of [{ targets: ["x"] }, ["x"], raw, 1]) {
          assert.deepEqual((await through("abcdefghij", 0, 1, 0, raw, { h: 1 }, target, target)).data, ["abcdefghij", 0, 1, 0, raw, { h: 1 }]);
        }
      });

      it("takes names that objects in JavaScript have by themselves", { timeout: 180_000 }, async () => {
        for (const name of ["__proto__", "constructor", "hasOwnProperty", "toString", "length"]) {
          const named = await client.subscribe(`${own}.names.${name}`);
          const bare = await client.subscribe(name);
          assert.deepEqual(await publish(`${own}.names.${name}`, "0123456789", 0, 1, 0, raw, name === "hasOwnProperty" ? {} : { [name]: 1 }), { count: 1 });
          assert.deepEqual(await publish(name, "0123456789", 0, 1, 0, raw), { count: 1 });
          assert.equal((await named.next()).subject, `${own}.names.${name}`);
          assert.equal((await bare.next()).subject, name);
          assert.equal(await client.ask("wait-for-interest", { subject: name, timeout: 0 }), true);
          await client.ask("unsubscribe", [{ subject: name }, { subject: `${own}.names.${name}` }]);
          assert.equal(await client.ask("wait-for-interest", { subject: name, timeout: 0 }), false);
        }
      });
    });

    it("malformed events: an error for who asked, nothing else; the connection stays", { timeout: 180_000 }, async () => {
      const events: [string, ...unknown[]][] = [
        ["subscribe"], ["subscribe", null], ["subscribe", 5], ["subscribe", "a"], ["subscribe", true],
        ["unsubscribe"], ["unsubscribe", null], ["unsubscribe", 5], ["unsubscribe", {}], ["unsubscribe", { subject: 5 }],
        ["subscribe", {}], ["subscribe", { queue: "q" }], ["subscribe", { subject: 5, queue: "q" }], ["subscribe", { subject: null, queue: "q" }],
        ["wait-for-interest"], ["wait-for-interest", null], ["wait-for-interest", 5], ["wait-for-interest", [null]],
        ["stats"], ["stats", null], ["stats", 5], ["stats", { recv0: null }], ["stats", { recv0: 5 }],
        ["publish"], ["publish", null], ["publish", 5], ["publish", "a"], ["publish", {}], ["publish", []], ["publish", [null]],
        ["publish", [5]], ["publish", [{}]], ["publish", [["a"]]], ["publish", ["a"], ["b"]],
        ["cluster", 1], ["cluster", null], ["cluster", {}],
      ];
      const id = client.socket.id;
      for (const [event, ...args] of events) {
        const what = JSON.stringify([event, ...args]);
        client.emit(event, ...args); // the broker has nobody to tell
        const answer = await client.ask<{ error?: unknown }>(event, ...args);
        assert.equal(typeof answer.error, "string", `${what}: ${JSON.stringify(answer)}`);
      }
      for (const event of ["subscribe", "unsubscribe"]) {
        const answers = await client.ask<unknown[]>(event, [null, { subject: `${own}.among`, queue: "q" }, 5, {}]);
        assert.equal(answers.length, 4);
        assert.deepEqual(answers[1], event === "subscribe" ? added : null);
        for (const i of [0, 2, 3]) assert.equal(typeof (answers[i] as { error?: unknown }).error, "string", `${event} ${i}`);
      }
      client.emit("subscriptions", null);
      client.emit("no-such-event", { a: 1 });
      client.emit("cluster", "no acknowledgement");
      await client.flush();
      assert.equal(client.socket.id, id, "the connection is still the same");
      assert.equal(client.socket.connected, true);
      assert.deepEqual(client.permissions.rest(), []);
    });
  });
}
