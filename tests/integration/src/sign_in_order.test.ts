// All ways to sign in, configured together in one file: which of them decides, each shown in each place where it
// may stand.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Broker } from "./broker.js";
import { makeIssuer, part, refusal, secret, storedPassword, storedToken, userOf, type Claims, type Show, type User } from "./identities.js";

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

// ---- keys and users ----

const hs256 = makeIssuer("HS256");
const issuers = { RS256: makeIssuer("RS256"), ES256: makeIssuer("ES256"), EdDSA: makeIssuer("EdDSA") };
/** Claims for this broker. */
const forUs = (claims: Claims): Claims => ({ aud: "conat", ...claims });

const users = [
  { name: "ada", user: { account_id: "ada" }, password: storedPassword("enchantress of number", 12), admin: true },
  { name: "build", user: { project_id: "p1" }, token: storedToken("builder's token") },
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
    const publicPem = Object.values(issuers).map((issuer) => issuer.pem());
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

  const who = (show: Show): Promise<User> => userOf(broker.address, show);

  it("the system account, by its cookie", async () => {
    assert.deepEqual(await who({ extraHeaders: { cookie: "a=b; sys=the system's" } }), { hub_id: "system" });
    assert.deepEqual(await who({ extraHeaders: { cookie: "sys=x" }, auth: { token: "builder's token" } }), refusal("wrong system password"));
  });

  it("a password of the users file", async () => {
    const password = "enchantress of number";
    assert.deepEqual(await who({ auth: { username: "ada", password } }), { account_id: "ada" });
    questions.length = 0;
    assert.deepEqual(await who({ auth: { username: "ada", password: "guessed" } }), refusal("wrong name or password"));
    assert.deepEqual(questions, [], "the service is not asked about a user of the file");
  });

  it("a token of the users file", async () => {
    const token = "builder's token";
    assert.deepEqual(await who({ auth: { token } }), { project_id: "p1" });
    assert.deepEqual(await who({ extraHeaders: { cookie: `conat_token=${token}` } }), { project_id: "p1" });
    // The auth object comes before headers.
    assert.deepEqual(await who({ auth: { token }, extraHeaders: { authorization: "Bearer other" } }), { project_id: "p1" });
  });

  it("a JWT", async () => {
    questions.length = 0;
    assert.deepEqual(await who({ auth: { token: issuers.ES256.token(forUs({ account_id: "signed" })) } }), { account_id: "signed" });
    assert.deepEqual(questions, [], "the keys know it");
  });

  it("JWT that are no good", async () => {
    questions.length = 0;
    const bad = {
      "another's key": makeIssuer("EdDSA").token(forUs({ account_id: "a" })),
      expired: hs256.token(forUs({ account_id: "a", exp: 1 })),
      "another audience": hs256.token({ account_id: "a", aud: "elsewhere" }),
      "two users": hs256.token(forUs({ account_id: "a", hub_id: "b" })),
      "a wildcard": hs256.token(forUs({ account_id: "*" })),
      unsigned: `${part({ alg: "none" })}.${part({ account_id: "a" })}.`,
    };
    for (const [what, token] of Object.entries(bad)) {
      const user = await who({ auth: { token } });
      assert.equal(user?.["code"], 401, what);
      assert.match(String(user?.["error"]), /^authentication failed: /, what);
    }
    assert.deepEqual(questions, [], "the service is not asked about tokens of this form");
  });

  it("the service, which is given the handshake", async () => {
    questions.length = 0;
    assert.deepEqual(await who({ auth: { token: "of the service" }, extraHeaders: { "x-extra": "1" } }), { account_id: "served" });
    assert.deepEqual(await who({ extraHeaders: { cookie: "session=of the service" } }), { account_id: "served" });
    assert.deepEqual(await who({ auth: { username: "of the service", password: "x" } }), { account_id: "served" });
    assert.equal(questions.length, 3);
    assert.equal(questions[0]?.headers["x-extra"], "1");
    assert.deepEqual(questions[1]?.cookies, { session: "of the service" });
  });

  it("the service refuses, fails, or does not know", async () => {
    assert.deepEqual(await who({ auth: { token: "banned" } }), { error: "you are banned", code: 403 });
    assert.equal((await who({ auth: { token: "unknown" } }))?.["code"], 401);
    // No credentials that anybody knows, but a failure is not "nobody".
    assert.equal((await who({ extraHeaders: { cookie: "session=broken" } }))?.["code"], 503);
  });

  it("who shows nothing is the anonymous user, who shows something wrong is not", async () => {
    assert.deepEqual(await who({}), { account_id: "guest" });
    assert.deepEqual(await who({ extraHeaders: { cookie: "theme=dark" } }), { account_id: "guest" });
    assert.equal((await who({ auth: { token: 5 } }))?.["code"], 401);
    assert.equal((await who({ extraHeaders: { authorization: "Digest x" } }))?.["code"], 401);
    assert.equal((await who({ auth: { username: "ada" } }))?.["code"], 401);
  });

  it("says nothing of secrets in its log", () => {
    for (const word of ["the system's", "enchantress", "guessed", "builder's token", "of the service", "between us", secret]) {
      assert.ok(!broker.log.includes(word), word);
    }
  });
});
