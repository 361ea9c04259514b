// What existing clients depend on without knowing it: buffered emits, keep-alive, closes that let clients come back, limits,
// and the times at which the broker speaks by itself. Tests that wait for time to pass do it side by side.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect } from "conat-client";
import { Broker, until } from "../broker.js";
import { failureOf, ownKinds, peerKinds } from "./peers.js";
import { RawConnection } from "./raw.js";
import { SocketIoClient, variants } from "./socketio.js";

const raw = Buffer.from([1]);
const publish = (subject: string, id: string): unknown[] => [subject, id, 0, 1, 0, raw];

describe("clients that emitted before they were connected", () => {
  let broker: Broker;
  let single: Broker; // one shard: no acknowledgement waits for other shards, so all that comes back comes in order
  before(async () => {
    [broker, single] = await Promise.all([Broker.start("--shards", "2", "--no-persist"), Broker.start("--shards", "1", "--no-persist")]);
  });
  after(() => Promise.all([broker.stop(), single.stop()]));

  for (const [number, variant] of variants.entries()) {
    it(`${variant.name}: what was published without an acknowledgement before info does not come back`, { timeout: 180_000 }, async () => {
      const subject = `buffered.${number}`;
      const watcher = await SocketIoClient.open(variants[(number + 1) % variants.length]!, broker.address);
      const [seen, shared] = [await watcher.subscribe(subject), await watcher.subscribe(`${subject}.group`, "group")];
      const client = SocketIoClient.prepare(variant, broker.address);
      const [own, ownShared] = [client.deliveries(subject), client.deliveries(`${subject}.group`)];
      client.emit("subscribe", [{ subject, queue: "mine" }, { subject: `${subject}.group`, queue: "group" }]);
      client.emit("publish", publish(subject, "1-silent"));
      const asked = client.ask("publish", publish(subject, "2-asked"));
      for (let i = 0; i < 20; i++) client.emit("publish", publish(`${subject}.group`, `${i}`));
      client.socket.connect();
      await client.infos.next();
      assert.deepEqual(await asked, { count: 2 });
      client.emit("publish", publish(subject, "3-later"));
      await client.flush();
      assert.deepEqual((await own.take(2)).map(({ data }) => data[0]), ["2-asked", "3-later"]);
      assert.deepEqual((await seen.take(3)).map(({ data }) => data[0]), ["1-silent", "2-asked", "3-later"]);
      await shared.take(20); // the other member of the group gets all of them
      assert.deepEqual([own.total, seen.total, shared.total, ownShared.total], [2, 3, 20, 0]);
      client.close();
      watcher.close();
    });
  }

  it("the rule ends with the acknowledgement of info, not with time", { timeout: 180_000 }, async () => {
    using client = await RawConnection.connected(single.address, { acknowledge: false });
    client.send('420["subscribe",{"subject":"ruled","queue":"q"}]', '42["publish",["ruled","a",0,1,1,"1"]]', '421["publish",["ruled","b",0,1,1,"2"]]');
    assert.equal(await client.text(), '430[{"status":"added"}]');
    assert.equal(await client.text(), '42["ruled",{"subject":"ruled","data":["b",0,1,1,"2"]}]');
    assert.equal(await client.text(), '431[{"count":1}]');
    client.send("430[]", '42["publish",["ruled","c",0,1,1,"3"]]');
    assert.equal(await client.text(), '42["ruled",{"subject":"ruled","data":["c",0,1,1,"3"]}]');
  });

  it("an acknowledgement of something else is none of info's", { timeout: 180_000 }, async () => {
    using client = await RawConnection.connected(single.address, { acknowledge: false });
    client.send("4399[]", '420["subscribe",{"subject":"ruled.else","queue":"q"}]', '42["publish",["ruled.else","a",0,1,1,"1"]]', '421["subscriptions",null]');
    assert.equal(await client.text(), '430[{"status":"added"}]');
    assert.equal(await client.text(), '431[["ruled.else"]]');
  });
});

describe("limits", () => {
  let broker: Broker;
  before(async () => (broker = await Broker.start("--shards", "2", "--max-subscriptions-per-client", "3", "--no-persist")));
  after(() => broker.stop());
  const refusal = (subject: string): { error: string; code: number } => ({
    error: `Error: there is a limit of at most 3 subscriptions and you currently have 3 subscriptions -- subscription to '${subject}' denied`,
    code: 429,
  });

  for (const variant of variants) {
    it(`${variant.name}: subscriptions`, { timeout: 180_000 }, async () => {
      const client = await SocketIoClient.open(variant, broker.address);
      const request = (subject: string): object => ({ subject, queue: "q" });
      assert.deepEqual(await client.ask("subscribe", ["a", "b", "c", "d", "a"].map(request)), [
        { status: "added" }, { status: "added" }, { status: "added" }, refusal("d"), { status: "already-added" },
      ]);
      assert.deepEqual(await client.ask("subscribe", request("e.*")), refusal("e.*"));
      assert.deepEqual(await client.ask("subscribe", request("e..")), { error: "Error: invalid subject" });
      assert.deepEqual(client.permissions.rest(), []);
      await client.ask("unsubscribe", { subject: "b" });
      assert.deepEqual(await client.ask("subscribe", request("e.*")), { status: "added" });
      assert.deepEqual(await client.ask("subscriptions", null), ["a", "c", "e.*"]);
      client.close();
    });
  }

  for (const kind of ownKinds) {
    it(`${kind.name}: subscriptions`, { timeout: 180_000 }, async () => {
      const peer = await kind.open(broker.address);
      await peer.subscribe("a");
      await peer.subscribe("b");
      const failure = await failureOf(peer.subscribe("c")); // the inbox is one of them
      assert.equal(failure?.code, 429);
      assert.ok(failure.message.endsWith(refusal("c").error), failure.message);
      await peer.unsubscribe("a");
      await peer.subscribe("e.*");
      assert.deepEqual(await peer.subscriptions(), new Set(["b", "e.*"]));
      peer.close();
    });
  }
});

describe("connections beyond the limit", () => {
  let broker: Broker;
  before(async () => (broker = await Broker.start("--shards", "2", "--max-connections-per-user", "2", "--no-persist")));
  after(() => broker.stop());

  it("are accepted, told why without a request for an acknowledgement, sent away with 41 and closed", { timeout: 180_000 }, async () => {
    using first = await RawConnection.connected(broker.address);
    using second = await RawConnection.connected(broker.address);
    {
      using third = await RawConnection.open(broker.address);
      await third.next();
      third.send("40");
      assert.match(await third.text(), /^40\{"sid":"[A-Za-z0-9_-]{20}"\}$/);
      const info = await third.text();
      const begin = performance.now();
      assert.match(info, /^42\["info",\{"max_payload":8000000,"id":"[^"]+","user":\{"error":"[^"]+","code":429\}\}\]$/);
      // Nothing that it asks for meanwhile is done.
      third.send('420["subscribe",{"subject":"a","queue":"q"}]');
      let frame = await third.text();
      if (frame.startsWith("42[")) frame = await third.text(); // the event `permission`
      if (frame.startsWith("430")) {
        assert.match(frame, /^430\[\{"error":"Error: permission denied subscribing to 'a' from (?:[^"\\]|\\.)+","code":403\}\]$/);
        frame = await third.text();
      }
      assert.equal(frame, "41");
      assert.ok(performance.now() - begin < 10_000);
      assert.equal(await third.closeCode(), 1005);
    }
    for (const variant of variants) {
      const client = SocketIoClient.prepare(variant, broker.address);
      const gone = client.once<[reason: string]>("disconnect");
      client.socket.connect();
      const { user } = await client.infos.next();
      assert.equal((user as { code?: unknown }).code, 429);
      assert.equal((await gone)[0], "io server disconnect"); // after which it stays away
      client.close();
    }
    second.close();
    await until("there is room again", async () => {
      using third = await RawConnection.open(broker.address);
      await third.next();
      third.send("40");
      await third.next();
      return /"user":null/.test(await third.text());
    });
    first.send('420["subscriptions",null]');
    assert.equal(await first.text(), "430[[]]");
  });
});

describe("time", { concurrency: true }, () => {
  let broker: Broker;
  let quick: Broker; // with pings that one need not wait for
  const [interval, timeout] = [1000, 1500];
  before(async () => {
    [broker, quick] = await Promise.all([
      Broker.start("--shards", "1", "--no-persist"),
      Broker.start("--shards", "2", "--ping-interval", String(interval), "--ping-timeout", String(timeout), "--no-persist"),
    ]);
  });
  after(() => Promise.all([broker.stop(), quick.stop()]));

  it("info is sent again after 7.5 s without an acknowledgement, and not after one", { timeout: 180_000 }, async () => {
    using client = await RawConnection.connected(broker.address, { acknowledge: false });
    const begin = performance.now();
    const again = await client.text();
    const waited = performance.now() - begin;
    assert.match(again, /^421\["info",\{"max_payload":8000000,"id":"[^"]+","user":null\}\]$/);
    assert.ok(waited > 7000, `after ${waited} ms`);
    client.send("430[]"); // either one may be acknowledged
    client.send('420["subscribe",{"subject":"info.again","queue":"q"}]', '42["publish",["info.again","a",0,1,1,"1"]]');
    assert.equal(await client.text(), '430[{"status":"added"}]');
    assert.equal(await client.text(), '42["info.again",{"subject":"info.again","data":["a",0,1,1,"1"]}]');
  });

  for (const variant of variants) {
    it(`wait-for-interest expires late enough for the client's own timer: ${variant.name}`, { timeout: 180_000 }, async () => {
      const client = await SocketIoClient.open(variant, broker.address);
      for (const wait of [1, 400]) {
        const begin = performance.now();
        assert.deepEqual(await client.ask("wait-for-interest", { subject: "never", timeout: wait }), { error: "Error: timeout" });
        assert.ok(performance.now() - begin >= wait + 1000 - 5, `${wait}: after ${performance.now() - begin} ms`);
      }
      client.close();
    });
  }

  it("a client that answers pings is asked again after the interval", { timeout: 180_000 }, async () => {
    using client = await RawConnection.connected(quick.address);
    for (let i = 0; i < 3; i++) {
      const begin = performance.now();
      assert.equal(await client.text(), "2");
      if (i > 0) assert.ok(performance.now() - begin > interval - 50);
      client.send("3");
    }
  });

  it("one that does not is closed after the timeout, barely", { timeout: 180_000 }, async () => {
    const begin = performance.now();
    using client = await RawConnection.connected(quick.address);
    assert.equal(await client.text(), "2");
    client.send('420["subscriptions",null]'); // being alive otherwise is not enough
    assert.equal(await client.text(), "430[[]]");
    assert.equal(await client.closeCode(), 1005);
    assert.ok(performance.now() - begin > interval + timeout - 50);
    assert.deepEqual(client.frames.rest(), [], "nothing more, no 41");
  });

  it("every kind of client stays connected over many pings", { timeout: 180_000 }, async () => {
    const clients = await Promise.all(variants.map((variant) => SocketIoClient.open(variant, quick.address)));
    const conats = (["msgpack", "text"] as const).map((packetEncoding) => connect({ address: quick.address, noCache: true, packetEncoding }));
    await Promise.all(conats.map((client) => client.waitUntilReady({ timeout: 30_000 })));
    const ids = [...clients.map(({ socket }) => socket.id), ...conats.map(({ conn }) => conn.id)];
    await new Promise((done) => setTimeout(done, 3 * (interval + timeout)));
    assert.deepEqual([...clients.map(({ socket }) => socket.id), ...conats.map(({ conn }) => conn.id)], ids);
    for (const client of [...clients, ...conats]) client.close();
  });
});

describe("closes", () => {
  it("a broker that is told to end sends no 41: clients come back to the next one on the same port", { timeout: 180_000 }, async () => {
    const broker = await Broker.start("--shards", "2", "--no-persist");
    const bare = await RawConnection.connected(broker.address);
    const clients = await Promise.all(variants.map((variant) => SocketIoClient.open(variant, broker.address)));
    const reasons = Promise.all(clients.map((client) => client.once<[reason: string]>("disconnect")));
    assert.equal(await broker.end("SIGTERM"), 0, broker.log);
    assert.equal(await bare.closeCode(), 1001);
    assert.deepEqual(bare.frames.rest(), []);
    for (const [reason] of await reasons) assert.equal(reason, "transport close");
    await broker.start();
    await Promise.all(clients.map((client) => client.infos.next()));
    for (const client of clients) {
      assert.deepEqual(await client.ask("subscriptions", null), []);
      client.close();
    }
    await broker.stop();
  });

  it("a reader that takes nothing is cut off with 1013; the others and the sender are not", { timeout: 180_000 }, async () => {
    const broker = await Broker.start("--shards", "2", "--max-payload", "400000", "--max-queue", "2000000", "--no-persist");
    using slow = await RawConnection.connected(broker.address);
    slow.send('420["subscribe",{"subject":"flood","queue":"slow"}]');
    assert.equal(await slow.text(), '430[{"status":"added"}]');
    slow.socket.pause();
    const peers = await Promise.all(peerKinds.map((kind) => kind.open(broker.address)));
    const inboxes = await Promise.all(peers.map((peer) => peer.subscribe("flood")));
    const chunk = Buffer.alloc(100_000);
    let sent = 0;
    // Until the broker's patience and the kernel's buffers are at their end.
    await until("the slow reader has gone", async () => (sent++, (await peers[0]!.publish("flood", { raw: chunk })) === peers.length), 60_000);
    for (const inbox of inboxes) for (const { raw } of await inbox.take(sent)) assert.equal(raw.length, chunk.length);
    const metrics = await (await fetch(`${broker.address}/metrics`)).text();
    assert.match(metrics, /slow[_-]consumer/);
    slow.socket.resume();
    assert.equal(await slow.closeCode(), 1013);
    assert.ok(!slow.frames.rest().includes("41"));
    for (const peer of peers) peer.close();
    await broker.stop();
  });
});
