// Every way to show who one is, against the real broker: tokens of all algorithms by all carriers, keys that change,
// the users file, a real HTTP service (quick, slow, dead, gone), pages of foreign origins, and renewal.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect as connectClient, type Client } from "conat-client";
import type { Socket } from "socket.io-client";
import { Broker, until } from "./broker.js";
import { parseExposition, total } from "./exposition.js";
import { basic, makeIssuer, open, part, refusal, secret, storedPassword, storedToken, userOf, type Issuer, type Show, type User } from "./identities.js";

const directory = mkdtempSync(join(tmpdir(), "conat-authentication-"));
after(() => rmSync(directory, { recursive: true, force: true }));

/** Writes a file as a whole, as careful administrators do. */
function write(name: string, content: string): string {
  writeFileSync(join(directory, "new"), content);
  renameSync(join(directory, "new"), join(directory, name));
  return join(directory, name);
}

/** The same with our own client: undefined when it is told an error. */
async function userOfClient(address: string, show: Show): Promise<User | undefined> {
  const client = connectClient({ address, noCache: true, reconnection: false, ...show });
  try {
    const info = await new Promise<{ user?: unknown }>((done) => client.once("info", done));
    return info.user as User;
  } finally {
    client.close();
  }
}

/** A connection of socket.io-client that is signed in, and does not come back by itself. */
class Session {
  readonly closed: Promise<{ reason: string; code: number | undefined }>;

  private constructor(private readonly socket: Socket) {
    this.closed = new Promise((done) =>
      socket.once("disconnect", (reason, details) => {
        done({ reason, code: (details as { context?: { code?: number } } | undefined)?.context?.code });
      }),
    );
  }

  static async open(address: string, token: string): Promise<Session> {
    const socket = open(address, { auth: { token } });
    const session = new Session(socket);
    const user = await new Promise<User>((done) => socket.once("info", (info: { user: User }, ack?: () => void) => (ack?.(), done(info.user))));
    assert.ok(user !== null && !("error" in user), JSON.stringify(user));
    return session;
  }

  /** It is still there: the broker answers. Ends it. */
  async stays(): Promise<void> {
    assert.deepEqual(await this.socket.timeout(60_000).emitWithAck("subscriptions", null), []);
    this.socket.disconnect();
  }
}

const carriers: Record<string, (token: string) => Show> = {
  "auth object": (token) => ({ auth: { token } }),
  "Authorization header": (token) => ({ extraHeaders: { Authorization: `Bearer ${token}` } }),
  cookie: (token) => ({ extraHeaders: { Cookie: `theme=dark; conat_token=${token}` } }),
};

describe("tokens of issuers", { concurrency: true }, () => {
  const issuers = (["HS256", "RS256", "ES256", "EdDSA"] as const).map(makeIssuer);
  const [hs256, rs256, es256, eddsa] = issuers as [Issuer, Issuer, Issuer, Issuer];
  let broker: Broker;
  before(async () => {
    broker = await Broker.start(
      ...["--shards", "2", "--token-cookie", "conat_token", "--jwt-secret-file", write("secret", `${secret}\n`)],
      ...["--jwt-key", write("issuers.pem", rs256.pem() + es256.pem()), "--jwks", write("fixed.json", JSON.stringify({ keys: [eddsa.jwk("e")] }))],
    );
  });
  after(async () => broker.stop());

  for (const issuer of issuers) {
    for (const [carrier, show] of Object.entries(carriers)) {
      it(`${issuer.algorithm} by ${carrier}, socket.io-client and conat-client`, async () => {
        const shown = show(issuer.token({ project_id: "p-1", sub: "whoever" }));
        assert.deepEqual(await userOf(broker.address, shown), { project_id: "p-1" });
        assert.deepEqual(await userOfClient(broker.address, shown), { project_id: "p-1" });
      });
    }
  }

  it("the auth object wins over the header, and the header over the cookie", async () => {
    const token = (id: string): string => hs256.token({ account_id: id });
    const headers = { Authorization: `Bearer ${token("header")}`, Cookie: `conat_token=${token("cookie")}` };
    assert.deepEqual(await userOf(broker.address, { auth: { token: token("auth") }, extraHeaders: headers }), { account_id: "auth" });
    assert.deepEqual(await userOf(broker.address, { extraHeaders: headers }), { account_id: "header" });
  });

  it("everything else is refused, and says why", async () => {
    const user = (token: string): Promise<User> => userOf(broker.address, { auth: { token } });
    assert.deepEqual(await user(es256.token({ account_id: "a" }, { lifetimeMs: -1000 })), refusal("token expired"));
    assert.deepEqual(await user(makeIssuer("ES256").token({ account_id: "a" })), refusal("invalid token signature"));
    assert.deepEqual(await user(`${part({ alg: "none" })}.${part({ account_id: "a", exp: 4e9 })}.`), refusal("token algorithm not supported"));
    const forged = `${part({ alg: "HS256" })}.${part({ hub_id: "h", exp: 4e9 })}`;
    const mac = createHmac("sha256", rs256.pem()).update(forged).digest("base64url");
    assert.deepEqual(await user(`${forged}.${mac}`), refusal("invalid token signature"));
    assert.deepEqual(await user(hs256.token({ account_id: "a.b" })), refusal("token claims: invalid account_id"));
    assert.deepEqual(await user(hs256.token({})), refusal("token claims: none of account_id, project_id, hub_id"));
    assert.deepEqual(await user(hs256.token({ account_id: "a", nbf: Date.now() / 1000 + 60 })), refusal("token not valid yet"));
    assert.deepEqual(await userOf(broker.address, {}), refusal("no credentials"));
    assert.deepEqual(await userOf(broker.address, { auth: { token: 7 } }), refusal("auth.token must be text"));
  });

  it("rights come with the token", async () => {
    const socket = open(broker.address, { auth: { token: eddsa.token({ account_id: "a", projects: ["p"], admin: false }, { kid: "e" }) } });
    await new Promise<void>((done) => socket.once("info", (_info: unknown, ack?: () => void) => (ack?.(), done())));
    const ask = (event: string, value: unknown): Promise<Record<string, unknown>> => socket.timeout(60_000).emitWithAck(event, value) as Promise<Record<string, unknown>>;
    assert.deepEqual(await ask("subscribe", { subject: "project.p.x", queue: "q" }), { status: "added" });
    assert.equal((await ask("subscribe", { subject: "project.q.x", queue: "q" }))["code"], 403);
    assert.equal((await ask("subscribe", { subject: "sys.x", queue: "q" }))["code"], 403);
    socket.disconnect();
  });

  it("a page of a foreign origin cannot use a cookie, nor connect at all", async () => {
    const cookie = `conat_token=${hs256.token({ account_id: "victim" })}`;
    const own = { Origin: broker.address, Cookie: cookie };
    assert.deepEqual(await userOf(broker.address, { extraHeaders: own }), { account_id: "victim" });
    await assert.rejects(userOf(broker.address, { extraHeaders: { Origin: "https://evil.example", Cookie: cookie } }));
  });
});

describe("origins that are listed", { concurrency: true }, () => {
  const issuer = makeIssuer("HS256");
  let broker: Broker;
  before(async () => {
    broker = await Broker.start(
      ...["--shards", "1", "--token-cookie", "conat_token", "--jwt-secret-file", write("origins-secret", secret), "--system-password", "geheim"],
      ...["--origins", "https://app.example,*.tools.example", "--origins-with-cookies", "https://login.example"],
    );
  });
  after(async () => broker.stop());

  it("may connect, and their cookies count only where that is said", async () => {
    const token = issuer.token({ account_id: "a" });
    const from = (Origin: string, more: Show = {}): Promise<User> =>
      userOf(broker.address, { ...more, extraHeaders: { Origin, Cookie: `sys=geheim; conat_token=${token}` } });
    assert.deepEqual(await from("https://app.example"), refusal("no credentials"));
    assert.deepEqual(await from("https://x.tools.example", { auth: { token } }), { account_id: "a" });
    assert.deepEqual(await from("https://login.example"), { hub_id: "system" });
    await assert.rejects(from("https://tools.example", { auth: { token } }));
    await assert.rejects(from("http://app.example", { auth: { token } }));
    await assert.rejects(from("null", { auth: { token } }));
    assert.deepEqual(await userOf(broker.address, { extraHeaders: { Cookie: "sys=falsch" } }), refusal("wrong system password"));
  });
});

describe("keys and users that change while the broker runs", () => {
  const firstIssuer = makeIssuer("EdDSA");
  const next = makeIssuer("ES256");
  /** A project's line: `build` by default, which is the project `p`. */
  const userLine = (token: string, name = "build"): string =>
    `${JSON.stringify({ name, token: storedToken(token), user: { project_id: name === "build" ? "p" : name } })}\n`;
  let broker: Broker;
  before(async () => {
    write("keys.json", JSON.stringify({ keys: [firstIssuer.jwk("1")] }));
    write("users", `# ours\n${userLine("first")}`);
    broker = await Broker.start("--shards", "2", "--jwks", join(directory, "keys.json"), "--users", join(directory, "users"));
  });
  after(async () => broker.stop());
  const user = (token: string): Promise<User> => userOf(broker.address, { auth: { token } });
  const becomes = (token: string, expected: User): Promise<void> =>
    until(`the user becomes ${JSON.stringify(expected)}`, async () => JSON.stringify(await user(token)) === JSON.stringify(expected), 60_000);

  it("are read again on SIGHUP; those connected by what is gone are disconnected, and no others", { timeout: 180_000 }, async () => {
    const old = firstIssuer.token({ account_id: "a" }, { kid: "1" });
    const lasting = next.token({ account_id: "b" }, { kid: "2" });
    assert.deepEqual(await user(old), { account_id: "a" });
    assert.deepEqual(await user("first"), { project_id: "p" });
    write("keys.json", JSON.stringify({ keys: [firstIssuer.jwk("1"), next.jwk("2")] }));
    write("users", userLine("first") + userLine("kept", "other"));
    process.kill(broker.pid, "SIGHUP");
    await becomes(lasting, { account_id: "b" });
    const leaving = await Promise.all([old, "first"].map((token) => Session.open(broker.address, token)));
    const staying = await Promise.all([lasting, "kept"].map((token) => Session.open(broker.address, token)));
    // The key that stays has another name and another place now, and the user another line.
    write("keys.json", JSON.stringify({ keys: [next.jwk("two")] }));
    write("users", `${userLine("second")}\n${userLine("kept", "other")}`);
    process.kill(broker.pid, "SIGHUP");
    for (const session of leaving) assert.deepEqual(await session.closed, { reason: "transport close", code: 1008 });
    await becomes("second", { project_id: "p" });
    assert.deepEqual(await user(old), refusal("invalid token signature"));
    assert.deepEqual(await user("first"), refusal("unknown token"));
    for (const session of staying) await session.stays();
    assert.match(broker.log, /connections closed: their user or key was withdrawn/);
    const counts = parseExposition(await (await fetch(`${broker.address}/metrics`)).text());
    assert.ok(total(counts, "conat_connections_closed_total", { reason: "withdrawn" }) >= 2);
  });

  it("are read again when they change, without a signal; who comes back is refused, or has other rights", { timeout: 180_000 }, async () => {
    const line = (more: object): string => `${JSON.stringify({ name: "eve", token: storedToken("eve"), user: { account_id: "eve" }, ...more })}\n`;
    const others = userLine("second") + userLine("kept", "other");
    write("users", others + line({}));
    await becomes("eve", { account_id: "eve" });
    const other = await Session.open(broker.address, "kept");
    // Our own client goes on by itself: here with other rights, and then it is refused.
    const client = connectClient({ address: broker.address, noCache: true, auth: { token: "eve" }, inboxPrefix: "_INBOX.account-eve", reconnectionDelay: 50 });
    await client.waitUntilReady();
    await assert.rejects(client.subscribe("project.q.x"), { code: 403 });
    const subscription = await client.subscribe("account.eve.x");
    const comesBack = new Promise<void>((done) => client.once("info", () => done()));
    write("users", others + line({ projects: ["q"] }));
    await comesBack;
    await client.waitUntilReady();
    assert.equal((await client.publish("project.q.x", 1)).count, 0);
    assert.equal(subscription.ended, false);
    const refused = new Promise<User>((done) => client.on("info", ({ user }) => {
      if (user !== null && "error" in (user as object)) done(user as User);
    }));
    write("users", others);
    assert.deepEqual(await refused, refusal("unknown token"));
    client.close();
    await other.stays();
  });

  it("half a file changes nothing until it is whole", { timeout: 180_000 }, async () => {
    const session = await Session.open(broker.address, "kept");
    writeFileSync(join(directory, "users"), `${userLine("second")}{"name":`);
    await until("it is logged", () => /users: line 2: malformed JSON/.test(broker.log), 60_000);
    assert.deepEqual(await user("kept"), { project_id: "other" });
    appendFileSync(join(directory, "users"), `"other","token":"${storedToken("kept")}","user":{"project_id":"other"}}\n${userLine("third", "more")}`);
    await becomes("third", { project_id: "more" });
    await session.stays();
    assert.equal(broker.log.match(/users: line 2: malformed JSON/g)?.length, 1, "told once");
  });

  it("by name and password, in the auth object and as Basic", async () => {
    write("users", userLine("second") + JSON.stringify({ name: "ada", password: storedPassword("pass:word"), user: { account_id: "ada" }, admin: true }));
    process.kill(broker.pid, "SIGHUP");
    const shown: Show = { auth: { username: "ada", password: "pass:word" } };
    await until("ada is known", async () => (await userOf(broker.address, shown))?.["account_id"] === "ada", 60_000);
    const byHeader = (name: string, password: string): Promise<User> =>
      userOf(broker.address, { extraHeaders: { Authorization: basic(name, password) } });
    assert.deepEqual(await byHeader("ada", "pass:word"), { account_id: "ada" });
    assert.deepEqual(await userOfClient(broker.address, shown), { account_id: "ada" });
    for (const [name, password] of [["ada", "pass"], ["eve", "pass:word"], ["build", ""]] as const) {
      assert.deepEqual(await byHeader(name, password), refusal("wrong name or password"));
    }
  });

  it("stay as they were when they cannot be read, and the log says so", async () => {
    write("keys.json", "{");
    process.kill(broker.pid, "SIGHUP");
    await until("it is logged", () => broker.log.includes("keys.json: malformed JSON"), 60_000);
    assert.deepEqual(await user(next.token({ account_id: "b" })), { account_id: "b" });
  });
});

describe("a service that is asked", () => {
  type Question = { address: string; headers: Record<string, string>; cookies: Record<string, string>; auth: Record<string, unknown> | null };
  let service: Server;
  let broker: Broker;
  let questions: Question[] = [];
  const slow: ServerResponse[] = [];

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = "";
    for await (const chunk of request) text += String(chunk);
    const question = JSON.parse(text) as Question;
    questions.push(question);
    const name = question.auth?.["token"] ?? question.cookies["session"];
    if (name === "slow") return void slow.push(response);
    if (name === "broken") return void response.writeHead(500).end();
    if (name === "hang-up") return void response.destroy();
    const known = name === "ada" && request.headers.authorization === "Bearer ours";
    const expiring = name === "soon" ? { user: { account_id: "soon" }, expires: Date.now() + 2000 } : undefined;
    response.end(JSON.stringify(expiring ?? (known ? { user: { account_id: "ada" }, projects: ["p"] } : { error: "who are you?", code: 401 })));
  }

  before(async () => {
    service = createServer((request, response) => void answer(request, response).catch(() => response.destroy()));
    service.listen(0, "127.0.0.1");
    await once(service, "listening");
    const { port } = service.address() as AddressInfo;
    broker = await Broker.start(
      ...["--shards", "2", "--auth-url", `http://127.0.0.1:${port}/who`, "--auth-secret-file", write("service-secret", "ours\n")],
      ...["--auth-timeout", "5000", "--anonymous-user", JSON.stringify({ account_id: "guest" })],
    );
  });
  after(async () => {
    await broker.stop();
    service.closeAllConnections();
    service.close();
  });
  const user = (token: string): Promise<User> => userOf(broker.address, { auth: { token } });

  /** What the metrics say of the service: the counters, and the failures by reason. */
  async function counted(): Promise<Record<string, number>> {
    const families = parseExposition(await (await fetch(`${broker.address}/metrics`)).text());
    const counts: Record<string, number> = {};
    for (const name of ["questions", "requests", "cache_hits", "failures"]) {
      for (const { labels, value } of families.get(`conat_auth_service_${name}_total`)!.samples) {
        const reason = labels.get("reason");
        counts[reason === undefined ? name : `${name} ${reason}`] = value;
      }
    }
    return counts;
  }
  /** What of that changes while something is done; what does not change is left out. */
  async function counting(action: () => Promise<unknown>): Promise<Record<string, number>> {
    const start = await counted();
    await action();
    const changes = Object.entries(await counted()).map(([name, value]) => [name, value - start[name]!] as const);
    return Object.fromEntries(changes.filter(([, change]) => change !== 0));
  }

  it("is counted in the metrics: questions, what memory answers, failures by their reason", { timeout: 180_000 }, async () => {
    assert.deepEqual(Object.keys(await counted()), [
      ...["questions", "requests", "cache_hits"],
      ...["timeout", "unreachable", "answer", "busy", "closed"].map((reason) => `failures ${reason}`),
    ]);
    const asking = (token: string): Promise<Record<string, number>> => counting(() => user(token));
    assert.deepEqual(await asking("counted"), { questions: 1, requests: 1 });
    assert.deepEqual(await asking("counted"), { questions: 1, cache_hits: 1 }, "a refusal is remembered as well");
    assert.deepEqual(await asking("broken"), { questions: 1, requests: 1, "failures answer": 1 });
    assert.deepEqual(await asking("hang-up"), { questions: 1, requests: 1, "failures unreachable": 1 });
    // The same question of two is sent once, and both are told of its failure.
    const both = await counting(() => Promise.all([user("slow"), user("slow")]));
    assert.deepEqual(both, { questions: 2, requests: 1, "failures timeout": 2 });
    for (const response of slow.splice(0)) response.destroy();
  });

  it("is given the handshake, and its answers are remembered", async () => {
    questions = [];
    assert.deepEqual(await user("ada"), { account_id: "ada" });
    assert.deepEqual(await user("ada"), { account_id: "ada" });
    assert.equal(questions.length, 1);
    const [question] = questions as [Question];
    assert.equal(question.address, "127.0.0.1");
    assert.equal(question.headers["host"], new URL(broker.address).host);
    assert.equal(question.headers["sec-websocket-key"], undefined);
    assert.deepEqual(question.auth, { token: "ada" });
    assert.deepEqual(await userOf(broker.address, { extraHeaders: { Cookie: "session=ada" } }), { account_id: "ada" });
    assert.equal(questions.at(-1)?.cookies["session"], "ada");
    assert.deepEqual(await userOfClient(broker.address, { auth: { token: "ada" } }), { account_id: "ada" });
  });

  it("refuses in its own words; who shows nothing is anonymous", async () => {
    assert.deepEqual(await user("eve"), { error: "who are you?", code: 401 });
    assert.deepEqual(await userOf(broker.address, {}), { account_id: "guest" });
  });

  it("failing, hanging up, or too slow: code 503, and the others are not kept waiting", async () => {
    assert.deepEqual(await user("broken"), { error: "authentication service answered HTTP 500", code: 503 });
    assert.deepEqual(await user("hang-up"), { error: "authentication service failed: the connection was closed without an answer", code: 503 });
    const started = Date.now();
    const waiting = user("slow");
    assert.deepEqual(await user("ada"), { account_id: "ada" });
    assert.deepEqual(await waiting, { error: "authentication service did not answer in 5000 ms", code: 503 });
    assert.ok(Date.now() - started >= 4900);
    for (const response of slow) response.destroy();
  });

  it("gives users that expire: closed in time", async () => {
    const socket = open(broker.address, { auth: { token: "soon" } });
    const expires = await new Promise<number>((done) =>
      socket.once("info", (info: { expires: number }, ack?: () => void) => {
        ack?.();
        done(Date.now() + info.expires);
      }),
    );
    const [reason] = (await new Promise<[string]>((done) => socket.once("disconnect", (why) => done([why])))) as [string];
    assert.equal(reason, "transport close");
    assert.ok(Date.now() >= expires - 100, "not too early");
  });

  it("gone: code 503, and it works again when it is back", async () => {
    const { port } = service.address() as AddressInfo;
    service.closeAllConnections();
    await new Promise((done) => service.close(done));
    const gone = await user("eve-2");
    assert.equal(gone?.["code"], 503);
    assert.match(String(gone?.["error"]), /^authentication service failed: cannot connect: /);
    service.listen(port, "127.0.0.1");
    await once(service, "listening");
    assert.deepEqual(await user("eve-2"), { error: "who are you?", code: 401 });
  });
});

describe("conat-client", () => {
  it("renews its token without a new connection", async () => {
    const issuer = makeIssuer("HS256");
    await using broker = await Broker.start("--shards", "2", "--jwt-secret-file", write("client-secret", secret));
    let asked = 0;
    const client: Client = connectClient({
      address: broker.address,
      noCache: true,
      auth: () => ({ token: issuer.token({ account_id: "a" }, { lifetimeMs: ++asked === 1 ? 4000 : 600_000 }) }),
    });
    let connections = 0;
    client.on("connected", () => ++connections);
    await client.waitUntilSignedIn();
    const id = client.conn.id;
    await until("it has renewed its token", () => asked === 2, 30_000);
    // The first token's time is over; the connection lives on the second one.
    const end = Date.now() + 4500;
    await until("the first token has expired", () => Date.now() > end, 30_000);
    assert.equal(client.conn.id, id);
    assert.ok(connections <= 1, `${connections} connections`);
    assert.equal((await client.publish("account.a.x", 1)).count, 0);
    client.close();
  });
});
