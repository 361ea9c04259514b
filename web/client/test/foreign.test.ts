// The client against a Socket.IO server from npm, in both packet encodings: what it sends, what it makes of the
// answers, and how it comes back.
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { connect, ConatError, encode, type Client } from "conat-client";
import { nextEvent, until } from "./broker.js";
import { ForeignServer } from "./foreign.js";

let server: ForeignServer;
const clients: Client[] = [];
const open = (options: Parameters<typeof connect>[0] = {}): Client => {
  const client = connect({ address: server.address, noCache: true, reconnectionDelay: 20, reconnectionDelayMax: 100, ...options });
  clients.push(client);
  return client;
};
const start = async (parser: "default" | "msgpack"): Promise<void> => void (server = await ForeignServer.start(parser));
const subjects = (argument: unknown): string[] => [argument].flat().map((item) => (item as { subject: string }).subject);

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await server.stop();
});

for (const parser of ["default", "msgpack"] as const) {
  describe(`a Socket.IO server with its ${parser} parser`, () => {
    it("carries messages, requests, services and interest", async () => {
      await start(parser);
      const [a, b] = [open(), open()];
      const news = await a.subscribe("news.*");
      const value = { text: "é😀", list: [1, null], when: new Date(1e12), bytes: Buffer.from([0, 255]) };
      assert.deepEqual(await b.publish("news.one", value, { headers: { h: [1] } }), { bytes: encode({ mesg: value }).length, count: 1 });
      const { value: message } = await news.next();
      assert.ok(message);
      assert.deepEqual([message.subject, message.data, message.headers], ["news.one", value, { h: [1] }]);
      assert.equal(server.acknowledgedInfos, 2);
      await a.service("math", { add: (x: number, y: number) => x + y });
      assert.equal(await b.call<{ add(x: number, y: number): number }>("math").add(1, 2), 3);
      await assert.rejects(b.request("nobody", 1), { code: 503, message: "request -- no subscribers matching 'nobody'" });
      assert.equal(await b.interest("news.x"), true);
      assert.equal(await b.waitForInterest("later", { timeout: 0 }), false);
      const waiting = b.waitForInterest("later", { timeout: 20_000 });
      const late = b.publish("later", 1, { waitForInterest: true });
      await a.subscribe("later");
      assert.equal(await waiting, true);
      assert.equal((await late).count, 1);
      await assert.rejects(b.waitForInterest("never", { timeout: 50 }), { code: 408, message: "timeout - Error: operation has timed out" });
      assert.deepEqual(await a.cluster(), [server.address]);
      assert.deepEqual(await a.getSubscriptions(), new Set([`${await a.getInbox()}.*`, "news.*", "math", "later"]));
    });

    it("gets large messages in chunks that it takes, headers on the last", async () => {
      await start(parser);
      server.info = { ...server.info, max_payload: 150_000 };
      const [a, b] = [open(), open()];
      const subscription = await a.subscribe("large", { queue: "q" });
      const raw = Buffer.alloc(1_234_567, "conat");
      assert.deepEqual(await b.publish("large", null, { raw, headers: { last: true } }), { bytes: raw.length, count: 1 });
      const { value: message } = await subscription.next();
      assert.ok(message && raw.equals(message.raw));
      assert.deepEqual(message.headers, { last: true });
      const chunks = server.events("publish") as [string, string, number, number, number, Buffer, unknown?][];
      assert.deepEqual(chunks.map(([, , seq]) => seq), chunks.map((_, i) => i));
      assert.equal(new Set(chunks.map(([, id]) => id)).size, 1);
      assert.match(chunks[0]?.[1] ?? "", /^[0-9A-Za-z]{10}$/);
      assert.deepEqual(chunks.slice(0, -1).map((chunk) => [chunk[3], chunk[5].length, chunk[6]]), chunks.slice(0, -1).map(() => [0, 50_000, undefined]));
      assert.deepEqual([chunks.at(-1)?.[3], chunks.at(-1)?.[6]], [1, { last: true }]);
    });

    it("requests the inbox first, then what was subscribed before the sign-in", async () => {
      await start(parser);
      const client = open();
      const early = client.subscribeSync("early");
      assert.equal(client.numSubscriptions(), 1);
      await client.subscribe("second", { queue: "mine" });
      const [inbox, ...rest] = server.events("subscribe").flatMap(subjects);
      assert.equal(inbox, `${await client.getInbox()}.*`);
      assert.deepEqual(rest, ["early", "second"]);
      assert.deepEqual(server.events("stats")[0], { recv0: { messages: 0, bytes: 0 } });
      assert.equal(client.queueGroups["second"], "mine");
      assert.equal(client.numSubscriptions(), 3);
      early.close();
      assert.equal(client.numSubscriptions(), 2);
      await until("unsubscribed", () => server.events("unsubscribe").flatMap(subjects).includes("early"));
    });

    it("brings the server's subscriptions into line after a reconnect, in one call", async () => {
      await start(parser);
      const client = open();
      const kept = await client.subscribe<number>("kept");
      const refused = await client.subscribe("refused");
      const waiting = refused.next();
      server.refuse = (type, subject) => (type === "sub" && subject === "refused" ? { error: "Error: no more", code: 429 } : undefined);
      server.seen = [];
      server.intercept = (event, _argument, _ack, socket) => {
        if (event === "subscriptions") server.force("never.asked.for", socket);
        return false;
      };
      server.cut();
      await nextEvent(client, "connected");
      assert.deepEqual(await waiting, { value: undefined, done: true });
      assert.equal(refused.ended, true);
      assert.equal(refused.refusal?.code, 429);
      assert.equal(client.subs["refused"], undefined);
      await until("the extra one is gone", () => server.events("unsubscribe").flatMap(subjects).includes("never.asked.for"));
      assert.deepEqual(server.events("subscribe").filter(Array.isArray).map(subjects), [["kept", "refused"]]);
      assert.equal(kept.ended, false);
      await client.publish("kept", 7);
      assert.equal((await kept.next()).value?.data, 7);
    });

    it("mends on demand what the server has lost", async () => {
      await start(parser);
      const client = open();
      const subscription = await client.subscribe<number>("lost");
      server.forget("lost");
      server.force("extra", server.sockets[0]!);
      assert.equal((await client.publish("lost", 1)).count, 0);
      server.intercept = () => false;
      await client.syncSubscriptions();
      assert.deepEqual(await client.getSubscriptions(), new Set([`${await client.getInbox()}.*`, "lost"]));
      assert.equal((await client.publish("lost", 2)).count, 1);
      assert.equal((await subscription.next()).value?.data, 2);
    });

    it("turns errors in acknowledgements into ConatErrors, and remembers refusals", async () => {
      await start(parser);
      const client = open();
      server.refuse = (type, subject) => {
        if (subject === "odd") return { error: "Error: odd", code: "reject" };
        if (subject === "plain") return { error: "Error: plain" };
        if (subject !== "secret") return undefined;
        return { error: `permission denied ${type === "pub" ? "publishing" : "subscribing"} to 'secret' from {}`, code: 403 };
      };
      await assert.rejects(client.publish("odd", 1), (error: ConatError) => error instanceof ConatError && error.message === "Error: odd" && error.code === "reject");
      await assert.rejects(client.publish("plain", 1), (error: ConatError) => error.message === "Error: plain" && error.code === undefined);
      await assert.rejects(client.subscribe("secret"), { code: 403, message: "permission denied subscribing to 'secret' from {}" });
      assert.equal(client.subs["secret"], undefined);
      assert.equal((await client.publish("other", 1)).count, 0);
      const refused = { code: 403, message: "permission denied publishing to 'secret' from {}" };
      await assert.rejects(client.publish("secret", 1), refused);
      server.seen = [];
      await assert.rejects(client.publish("secret", 1), refused);
      await assert.rejects(client.request("secret", 1), refused);
      await assert.rejects(client.subscribe("secret"), { code: 403 });
      assert.throws(() => client.publishSync("secret", 1), refused);
      assert.deepEqual(await client.publish("secret", 1, { noThrow: true }), { bytes: 0, count: 0 });
      assert.deepEqual(server.events("publish").concat(server.events("subscribe")), []);
    });

    it("comes back to a server that refused the user, until it does not", async () => {
      await start(parser);
      server.info = { ...server.info, user: { error: "who are you?", code: 401 } };
      let made = 0;
      const client = open({ auth: async () => ({ token: ++made }) });
      const [info] = await nextEvent<[{ user: { error: string } }]>(client, "info");
      assert.equal(info.user.error, "who are you?");
      await assert.rejects(client.waitUntilSignedIn({ timeout: 30 }), { code: 408 });
      await until("three attempts", () => server.handshakes.length >= 3);
      server.info = { ...server.info, user: { account_id: "a" } };
      await client.waitUntilSignedIn();
      assert.deepEqual(client.info?.user, { account_id: "a" });
      // The first attempt in the other packet encoding had its token too.
      const first = parser === "default" ? 2 : 1;
      assert.deepEqual(server.handshakes.map(({ auth }) => auth), server.handshakes.map((_, i) => ({ token: first + i })));
    });

    it("stays away when it is told to, until connect()", async () => {
      await start(parser);
      const client = open();
      const subscription = await client.subscribe("still.there");
      for (const socket of server.sockets) socket.disconnect();
      await nextEvent(client, "disconnected");
      await new Promise((resolve) => setTimeout(resolve, 400));
      assert.equal(client.state, "disconnected");
      assert.equal(server.handshakes.length, 1);
      client.connect();
      await client.waitUntilReady();
      assert.equal((await client.publish("still.there", 1, { waitForInterest: true })).count, 1);
      assert.equal((await subscription.next()).done, false);
    });

    it("throws what was on its way when the connection broke, and keeps what was not", async () => {
      await start(parser);
      const client = open();
      await client.waitUntilReady();
      server.intercept = (event) => event === "publish";
      const lost = client.publish("on.its.way", 1);
      const swallowed = client.publish("on.its.way", 2, { noThrow: true });
      await until("they are there", () => server.events("publish").length === 2);
      server.intercept = () => false;
      server.cut();
      await assert.rejects(lost, ConatError);
      assert.deepEqual(await swallowed, { bytes: 0, count: 0 });
      // Once disconnected, a publish waits for the next sign-in.
      assert.deepEqual(await client.publish("later", 3), { bytes: 1, count: 0 });
    });

    it("renews an identity that expires, without a new connection", async () => {
      await start(parser);
      server.info = { ...server.info, user: { account_id: "a" }, expires: 400 };
      server.renew = () => ({ user: { account_id: "a" }, expires: 400 });
      let [made, broken] = [0, false];
      const client = open({
        auth: () => {
          if (broken) {
            broken = false;
            throw new Error("the token service is down for a moment");
          }
          return { token: ++made };
        },
      });
      await client.waitUntilReady();
      const sid = client.conn.id;
      const atConnect = made;
      await until("renewed once", () => server.events("auth").length >= 1);
      broken = true;
      await until("renewed again, after a failure", () => !broken && server.events("auth").length >= 3);
      const tokens = server.events("auth").map((auth) => (auth as { token: number }).token);
      assert.deepEqual(tokens, tokens.map((_, i) => atConnect + 1 + i));
      assert.equal(client.conn.id, sid);
      assert.equal(server.handshakes.length, 1);
    });
  });
}

it("finds out what a server speaks that knows only Socket.IO's own packets, and remembers it", async () => {
  await start("default");
  const client = open();
  await client.waitUntilReady();
  const states: string[] = [];
  client.on("connected", () => states.push("connected"));
  client.conn.io.engine.close();
  await until("back", () => states.length === 1);
  await client.waitUntilReady();
  assert.equal((await client.publish("a", 1)).count, 0);
});

it("sends the headers that it is given, and the system account's cookie", async () => {
  await start("msgpack");
  const address = `${server.address}/`;
  await open({ address, extraHeaders: { "X-Custom": "yes", cookie: "a=b" }, systemAccountPassword: "p;w d", path: "/elsewhere" }).waitUntilReady();
  await open({ systemAccountPassword: "secret+/=%41" }).waitUntilReady();
  const [first, second] = server.handshakes;
  assert.equal(first?.headers["x-custom"], "yes");
  assert.equal(first?.headers["cookie"], "a=b; sys=p%3Bw%20d");
  assert.equal(second?.headers["cookie"], "sys=secret+/=%41");
  assert.match(first?.url ?? "", /^\/conat\/\?EIO=4&transport=websocket/);
});

it("warns of a message with a chunk missing, and goes on", async () => {
  await start("msgpack");
  const client = open();
  const subscription = await client.subscribe<string>("chunked");
  const warnings: string[] = [];
  const warn = console.warn;
  console.warn = (text: string) => warnings.push(text);
  try {
    const socket = server.sockets[0]!;
    const emit = (id: string, seq: number, done: number, raw: Buffer): void => void socket.emit("chunked", { subject: "chunked", data: [id, seq, done, 0, raw] });
    emit("one", 0, 0, Buffer.from([0xa2, 0x61]));
    emit("one", 2, 1, Buffer.from([0x62]));
    emit("two", 0, 0, Buffer.from([0xa2, 0x61]));
    emit("two", 1, 1, Buffer.from([0x62]));
    assert.equal((await subscription.next()).value?.data, "ab");
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? "", /discarded 1 message\(s\) with missing chunks, the last on 'chunked'/);
  } finally {
    console.warn = warn;
  }
});
