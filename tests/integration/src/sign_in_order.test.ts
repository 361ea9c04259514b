// All ways to sign in, configured together in one file: which of them decides, each shown in each place where it
// may stand.
import assert from "node:assert/strict";
import { createHash, createHmac, generateKeyPairSync, randomBytes, scryptSync, sign, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { io } from "socket.io-client";
import { Broker } from "./broker.js";

type User = Record<string, unknown>;
interface Question {
  address: string;
  headers: Record<string, string>;
  cookies: Record<string, string>;
  auth: Record<string, unknown> | null;
}

const directory = mkdtempSync(join(tmpdir(), "conat-authentication-"));
const file = (name: string, content: string): string => {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
};
after(() => rmSync(directory, { recursive: true, force: true }));

// ---- keys and tokens ----

const secret = randomBytes(40).toString("base64");
const keys = {
  RS256: generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EdDSA: generateKeyPairSync("ed25519"),
};
const foreign = generateKeyPairSync("ed25519").privateKey;

function jwt(algorithm: "HS256" | keyof typeof keys, claims: User, key?: KeyObject): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: algorithm, typ: "JWT" })}.${part({ exp: Math.floor(Date.now() / 1000) + 600, aud: "conat", ...claims })}`;
  const bytes = Buffer.from(signed);
  const made =
    algorithm === "HS256"
      ? createHmac("sha256", secret).update(bytes).digest()
      : sign(algorithm === "EdDSA" ? null : "sha256", bytes, {
          key: key ?? keys[algorithm].privateKey,
          ...(algorithm === "ES256" ? { dsaEncoding: "ieee-p1363" as const } : {}),
        });
  return `${signed}.${made.toString("base64url")}`;
}

function passwordHash(password: string): string {
  const salt = randomBytes(16);
  const hash = scryptSync(password, salt, 32, { N: 2 ** 12, r: 8, p: 1 });
  const base64 = (bytes: Buffer): string => bytes.toString("base64").replace(/=+$/, "");
  return `$scrypt$ln=12,r=8,p=1$${base64(salt)}$${base64(hash)}`;
}

const users = [
  { name: "ada", user: { account_id: "ada" }, password: passwordHash("enchantress of number"), admin: true },
  { name: "build", user: { project_id: "p1" }, token: `sha256:${createHash("sha256").update("builder's token").digest("hex")}` },
];

// ---- the service ----

const questions: Question[] = [];
function service(question: Question): { status: number; body: unknown } {
  const shown = question.auth?.["token"] ?? question.cookies["session"] ?? question.auth?.["username"];
  if (shown === "of the service") return { status: 200, body: { user: { account_id: "served" }, projects: ["p9"] } };
  if (shown === "broken") return { status: 500, body: "no" };
  if (shown === "banned") return { status: 200, body: { error: "you are banned", code: 403 } };
  return { status: 401, body: {} };
}

describe("all ways to sign in together", () => {
  let broker: Broker;
  let server: Server;
  before(async () => {
    server = createServer((request, response) => {
      let text = "";
      request.on("data", (chunk: Buffer) => (text += chunk.toString()));
      request.on("end", () => {
        assert.equal(request.headers.authorization, "Bearer between us");
        const question = JSON.parse(text) as Question;
        questions.push(question);
        const { status, body } = service(question);
        response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const publicPem = Object.values(keys).map(({ publicKey }) => publicKey.export({ type: "spki", format: "pem" }) as string);
    const configuration = `
[broker]
shards = 2
[authentication]
system_password = "the system's"
users = ${JSON.stringify(file("users", users.map((user) => JSON.stringify(user)).join("\n")))}
jwt_key = [${JSON.stringify(file("keys.pem", publicPem.join("")))}]
jwt_secret_file = [${JSON.stringify(file("secret", secret))}]
jwt_audience = ["conat", "other"]
token_cookie = ["conat_token"]
auth_url = "http://127.0.0.1:${(server.address() as AddressInfo).port}/who"
auth_secret_file = ${JSON.stringify(file("shared", "between us\n"))}
auth_cache = 0
anonymous_user = '{"account_id":"guest"}'
`;
    broker = await Broker.start("--config", file("conatd.toml", configuration));
  });
  after(async () => {
    await broker.stop();
    server.close();
  });

  /** What `info` says, and whether that was a refusal that ended the connection. */
  async function userOf(options: { auth?: User; headers?: Record<string, string> }): Promise<User> {
    const socket = io(broker.address, {
      path: "/conat",
      transports: ["websocket"],
      forceNew: true,
      reconnection: false,
      ...(options.auth === undefined ? {} : { auth: options.auth }),
      ...(options.headers === undefined ? {} : { extraHeaders: options.headers }),
    });
    const disconnected = new Promise<string>((done) => socket.once("disconnect", (reason) => done(reason)));
    const user = await new Promise<User>((done, failed) => {
      socket.once("info", (info: { user: User }, ack?: () => void) => {
        ack?.();
        done(info.user);
      });
      socket.once("connect_error", failed);
    });
    if ("error" in user) assert.equal(await disconnected, "io server disconnect");
    else socket.disconnect();
    return user;
  }
  const basic = (name: string, password: string): string => `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;
  const refused = (why: string): User => ({ error: `authentication failed: ${why}`, code: 401 });

  it("the system account, by its cookie", async () => {
    assert.deepEqual(await userOf({ headers: { cookie: "a=b; sys=the system's" } }), { hub_id: "system" });
    assert.deepEqual(await userOf({ headers: { cookie: "sys=x" }, auth: { token: "builder's token" } }), refused("wrong system password"));
  });

  it("a password of the users file", async () => {
    const password = "enchantress of number";
    assert.deepEqual(await userOf({ auth: { username: "ada", password } }), { account_id: "ada" });
    assert.deepEqual(await userOf({ headers: { authorization: basic("ada", password) } }), { account_id: "ada" });
    questions.length = 0;
    assert.deepEqual(await userOf({ auth: { username: "ada", password: "guessed" } }), refused("wrong name or password"));
    assert.deepEqual(questions, [], "the service is not asked about a user of the file");
  });

  it("a token of the users file", async () => {
    const token = "builder's token";
    assert.deepEqual(await userOf({ auth: { token } }), { project_id: "p1" });
    assert.deepEqual(await userOf({ headers: { cookie: `conat_token=${token}` } }), { project_id: "p1" });
    // The auth object comes before headers.
    assert.deepEqual(await userOf({ auth: { token }, headers: { authorization: "Bearer other" } }), { project_id: "p1" });
  });

  it("a JWT, in every place", async () => {
    const token = jwt("ES256", { account_id: "signed" });
    assert.deepEqual(await userOf({ auth: { token } }), { account_id: "signed" });
    assert.deepEqual(await userOf({ headers: { authorization: `Bearer ${token}` } }), { account_id: "signed" });
    assert.deepEqual(await userOf({ headers: { cookie: `conat_token=${token}` } }), { account_id: "signed" });
  });

  it("JWT that are no good", async () => {
    questions.length = 0;
    const bad = {
      "another's key": jwt("EdDSA", { account_id: "a" }, foreign),
      expired: jwt("HS256", { account_id: "a", exp: 1 }),
      "another audience": jwt("HS256", { account_id: "a", aud: "elsewhere" }),
      "two users": jwt("HS256", { account_id: "a", hub_id: "b" }),
      "no user": jwt("HS256", {}),
      "an id with dots": jwt("HS256", { account_id: "a.b" }),
      "a wildcard": jwt("HS256", { account_id: "*" }),
      unsigned: `${Buffer.from('{"alg":"none"}').toString("base64url")}.${Buffer.from('{"account_id":"a"}').toString("base64url")}.`,
    };
    for (const [what, token] of Object.entries(bad)) {
      const user = await userOf({ auth: { token } });
      assert.equal(user["code"], 401, what);
      assert.match(String(user["error"]), /^authentication failed: /, what);
    }
    assert.deepEqual(questions, [], "the service is not asked about tokens of this form");
  });

  it("the service, which is given the handshake", async () => {
    questions.length = 0;
    assert.deepEqual(await userOf({ auth: { token: "of the service" }, headers: { "x-extra": "1" } }), { account_id: "served" });
    assert.deepEqual(await userOf({ headers: { cookie: "session=of the service" } }), { account_id: "served" });
    assert.deepEqual(await userOf({ auth: { username: "of the service", password: "x" } }), { account_id: "served" });
    assert.equal(questions.length, 3);
    assert.equal(questions[0]?.address, "127.0.0.1");
    assert.equal(questions[0]?.headers["x-extra"], "1");
    assert.deepEqual(questions[0]?.auth, { token: "of the service" });
    assert.deepEqual(questions[1]?.cookies, { session: "of the service" });
  });

  it("the service refuses, fails, or does not know", async () => {
    assert.deepEqual(await userOf({ auth: { token: "banned" } }), { error: "you are banned", code: 403 });
    assert.equal((await userOf({ auth: { token: "broken" } }))["code"], 503);
    assert.equal((await userOf({ auth: { token: "unknown" } }))["code"], 401);
    // No credentials that anybody knows, but a failure is not "nobody".
    assert.equal((await userOf({ headers: { cookie: "session=broken" } }))["code"], 503);
  });

  it("who shows nothing is the anonymous user, who shows something wrong is not", async () => {
    assert.deepEqual(await userOf({}), { account_id: "guest" });
    assert.deepEqual(await userOf({ headers: { cookie: "theme=dark" } }), { account_id: "guest" });
    assert.equal((await userOf({ auth: { token: 5 } }))["code"], 401);
    assert.equal((await userOf({ headers: { authorization: "Digest x" } }))["code"], 401);
    assert.equal((await userOf({ auth: { username: "ada" } }))["code"], 401);
  });

  it("says nothing of secrets in its log", () => {
    for (const word of ["the system's", "enchantress", "guessed", "builder's token", "of the service", "between us", secret]) {
      assert.ok(!broker.log.includes(word), word);
    }
  });
});
