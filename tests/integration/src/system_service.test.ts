// The system service, asked by a real Socket.IO client that signs in as the system account.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Socket } from "socket.io-client";
import { Broker, until } from "./broker.js";
import { parseExposition, total } from "./exposition.js";
import { call, emit, publish, signIn } from "./clients.js";

type Traffic = { messages: number; bytes: number };
type Description = { user: unknown; send: Traffic; recv: Traffic; subs: number; connected: number; active: number; address: string };
type Stats = Record<string, Record<string, Description>>;

const password = "correct-horse";
const cookie = { Cookie: `sys=${password}` };
const own = "sys.conat.main.b1";
const all = "sys.conat.main";

let broker: Broker;
let admin: Socket;
before(async () => {
  broker = await Broker.start(
    "--shards", "2", "--id", "b1", "--cluster-name", "main", "--system-password", password, "--max-connections-per-user", "20",
  );
  const signedIn = await signIn(broker.address, cookie);
  admin = signedIn.socket;
  assert.deepEqual(signedIn.info.user, { hub_id: "system" });
});
after(async () => {
  admin.disconnect();
  await broker.stop();
});

const stats = async (subject = own): Promise<Record<string, Description>> => ((await call(admin, subject, "stats")) as Stats)["b1"]!;

describe("stats", () => {
  for (const subject of [own, all]) {
    it(`describe each connection, on ${subject}`, async () => {
      const begin = Date.now();
      const { socket } = await signIn(broker.address, cookie);
      await emit(socket, "subscribe", [{ subject: "a.*", queue: "q" }, { subject: "b", queue: "q" }]);
      await publish(socket, "a.b", Buffer.alloc(100));
      await publish(socket, "a.b", Buffer.alloc(23), { header: "h".repeat(500) });
      socket.emit("stats", { recv0: { messages: 3, bytes: 7 } });
      await emit(socket, "subscriptions", null);
      const end = Date.now();
      const answer = (await call(admin, subject, "stats")) as Stats;
      assert.deepEqual(Object.keys(answer), ["b1"]);
      const mine = answer["b1"]![socket.id!]!;
      assert.deepEqual(
        { ...mine, connected: 0, active: 0 },
        {
          user: { hub_id: "system" }, send: { messages: 2, bytes: 123 }, recv: { messages: 3, bytes: 7 },
          subs: 2, connected: 0, active: 0, address: "127.0.0.1",
        },
      );
      assert.ok(mine.connected >= begin - 200 && mine.connected <= mine.active, `${begin} ${mine.connected} ${mine.active}`);
      assert.ok(mine.active <= end + 200);
      assert.ok(answer["b1"]![admin.id!] !== undefined);
      assert.equal((await stats())[socket.id!]!.connected, mine.connected);
      socket.disconnect();
      await until("it is gone", async () => (await stats())[socket.id!] === undefined);
    });
  }

  it("can be large, and asked for by many at once", async () => {
    const sockets = await Promise.all(Array.from({ length: 15 }, () => signIn(broker.address, cookie)));
    const answers = await Promise.all(Array.from({ length: 30 }, () => stats()));
    for (const answer of answers) {
      for (const { socket } of sockets) assert.ok(answer[socket.id!] !== undefined);
    }
    for (const { socket } of sockets) socket.disconnect();
    await until("they are gone", async () => Object.keys(await stats()).length === 1);
  });
});

describe("usage", () => {
  it("counts connections by user, with sorted keys", async () => {
    const { socket } = await signIn(broker.address, cookie);
    for (const subject of [own, all]) {
      assert.deepEqual(await call(admin, subject, "usage"), { b1: { total: 2, perUser: { '{"hub_id":"system"}': 2 } } });
    }
    socket.disconnect();
    await until("it is not counted any more", async () => {
      const usage = (await call(admin, own, "usage")) as Record<string, { total: number }>;
      return usage["b1"]!.total === 1;
    });
  });

  it("is bound by the limit for one user", async () => {
    const signed = await Promise.all(Array.from({ length: 25 }, () => signIn(broker.address, cookie)));
    const refused = signed.filter(({ info }) => info.user?.error !== undefined);
    assert.equal(refused.length, 6); // 20, and one of them is the administrator
    assert.ok(refused.every(({ info }) => info.user?.code === 429));
    for (const { socket } of signed) socket.disconnect();
    await until("they are gone", async () => Object.keys(await stats()).length === 1);
  });
});

describe("disconnect", () => {
  for (const [name, subject] of Object.entries({ "its own subject": own, "the shared subject": all })) {
    it(`closes connections with DISCONNECT, on ${name}`, async () => {
      const signed = await Promise.all(Array.from({ length: 5 }, () => signIn(broker.address, cookie)));
      const ends = signed.map(({ socket }) => new Promise<string>((done) => socket.once("disconnect", done)));
      const ids = signed.map(({ socket }) => socket.id!);
      assert.equal(await call(admin, subject, "disconnect", ids[0]), null);
      assert.equal(await ends[0], "io server disconnect");
      assert.equal(await call(admin, subject, "disconnect", ["unknown", ids[1], ids[2], ids[3]]), null);
      assert.deepEqual(await Promise.all(ends.slice(1, 4)), Array.from({ length: 3 }, () => "io server disconnect"));
      const left = await stats();
      assert.deepEqual(ids.map((id) => left[id] !== undefined), [false, false, false, false, true]);
      signed[4]!.socket.disconnect();
    });
  }

  it("refuses what names no connections", async () => {
    for (const args of [[], [5], [null], [{}], [["a", 5]]]) {
      await assert.rejects(call(admin, own, "disconnect", ...args), /ids must be/);
    }
  });
});

describe("the cluster", () => {
  it("has this broker's address first", async () => {
    const address = `http://localhost:${broker.port}`;
    assert.deepEqual(await call(admin, own, "clusterAddresses"), [address]);
    assert.deepEqual(await call(admin, own, "clusterAddresses", "main"), [address]);
    assert.deepEqual(await call(admin, own, "clusterTopology"), { main: { b1: address } });
    assert.deepEqual(await admin.timeout(5000).emitWithAck("cluster"), [address]);
  });

  it("is asked of one broker, not of all", async () => {
    for (const name of ["clusterAddresses", "clusterTopology", "join", "unjoin"]) {
      await assert.rejects(call(admin, all, name, "http://127.0.0.1:1"), /^Error: Error: wrong service$/);
    }
  });
});

it("an unknown function is told so", async () => {
  for (const name of ["nothing", "constructor", "__proto__", ""]) {
    await assert.rejects(call(admin, own, name), { message: `Error: ${name} not defined` });
  }
});

it("nobody else gets in; failures are counted by what was shown, and told in the log without it", async () => {
  for (const headers of [{ Cookie: "sys=guess-of-a-stranger" }, { Authorization: "Bearer guess-of-a-stranger" }, {}]) {
    const { socket, info } = await signIn(broker.address, headers as Record<string, string>);
    assert.equal(info.user?.code, 401);
    socket.disconnect();
  }
  const metrics = parseExposition(await (await fetch(`${broker.address}/metrics`)).text());
  for (const method of ["system", "token", "none"]) assert.equal(total(metrics, "conat_auth_failures_total", { method }), 1, method);
  assert.equal(total(metrics, "conat_auth_failures_total"), 3);
  assert.ok(total(metrics, "conat_sign_ins_total", { method: "system" }) > 20);
  await until("the log tells it", () => broker.log.split("\n").filter((line) => line.includes(" info sign-in refused user=null address=127.0.0.1 ")).length === 3);
  assert.ok(!broker.log.includes("guess-of-a-stranger") && !broker.log.includes("correct"), broker.log);
});
