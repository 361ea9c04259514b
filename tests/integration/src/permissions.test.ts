// Who may do what: every rule of the protocol for every kind of user, publishing, subscribing and waiting
// for interest, literal and with wildcards, with the exact words of each refusal; and the operator's rules.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { io, type Socket } from "socket.io-client";
import * as msgpackParser from "socket.io-msgpack-parser";
import { Broker } from "./broker.js";
import { failureOf, ownKinds } from "./wire/peers.js";

type Ack = { count?: number; status?: string; error?: string; code?: number };
type Permission = { message: string; type: "pub" | "sub"; subject: string };

// Users by a letter: Alice, Carol (who collaborates on p1 and p2), Root (an admin), a Project, a Hub, the
// System account, a Guest without credentials.
const users = {
  A: { user: { account_id: "alice" } },
  C: { user: { account_id: "carol" }, projects: ["p1", "p2"] },
  R: { user: { account_id: "root" }, admin: true },
  P: { user: { project_id: "p1" } },
  H: { user: { hub_id: "h1" } },
} as const;
const anonymous = { account_id: "guest" };
const password = "the-password-of-the-system";
const letters = ["A", "C", "R", "P", "H", "S", "G"] as const;
type Letter = (typeof letters)[number];
const everybody = "ACRPG";

const nameOf = (letter: Letter): Record<string, string> =>
  letter === "S" ? { hub_id: "system" } : letter === "G" ? anonymous : { ...users[letter].user };
const tokenOf = (letter: Letter): string => `token of ${letter}`;

// Subject -> who may publish to it, besides hub users.
const publishing: Record<string, string> = {
  // the hub's services
  "hub.account.alice.api": "A",
  "hub.account.alice.api.x.y": "A",
  "hub.account.guest.api": "G",
  "hub.account.alice": "",
  "hub.account.carol.api": "C",
  "hub.account.p1.api": "",
  "hub.project.p1.api": "P",
  "hub.project.p2.api": "",
  "hub.project.alice.api": "",
  "hub.hub.h1.api": "",
  "hub.x": "",
  // inboxes
  "_INBOX.x": everybody,
  "_INBOX.account-carol.x": everybody,
  "_INBOX.hub-h1.x.y": everybody,
  _INBOX: "",
  // public subjects are for listening
  "public.x": "",
  public: "",
  // projects
  "project.p1.x": "CP",
  "project.p1.x.y.z": "CP",
  "project.p1": "",
  "project.p2.x": "C",
  "project.p3.x": "",
  "services.project-p1": "CP",
  "services.project-p1.x": "CP",
  "services.project-p2.x": "C",
  "services.project-p3.x": "",
  "services.project-p1x.y": "",
  "project-p1.x": "",
  "a.b.project-p1": "",
  // accounts
  "account.alice.x": "A",
  "account.alice.x.y": "A",
  "account.alice": "",
  "account.carol.x": "C",
  "account.p1.x": "",
  "services.account-alice": "A",
  "services.account-alice.x": "A",
  "services.account-alicex": "",
  "services.account-p1.x": "",
  "public.account-alice.x": "A",
  // the system's
  "sys.conat.x": "R",
  "sys.x": "R",
  sys: "",
  // everything else
  anything: "",
  "a.b.c": "",
};

// Pattern -> who may subscribe to it, besides hub users.
const subscribing: Record<string, string> = {
  "hub.account.alice.api": "",
  "hub.account.alice.>": "",
  "hub.project.p1.api": "",
  "hub.>": "",
  "_INBOX.account-alice": "A",
  "_INBOX.account-alice.x": "A",
  "_INBOX.account-alice.*.x": "A",
  "_INBOX.account-alice.>": "A",
  "_INBOX.account-alicex.y": "",
  "_INBOX.account-guest.x": "G",
  "_INBOX.project-p1.x": "P",
  "_INBOX.project-p1.>": "P",
  "_INBOX.project-p2.x": "",
  "_INBOX.hub-h1.x": "",
  "_INBOX.x": "",
  "_INBOX.*": "",
  "_INBOX.*.x": "",
  "_INBOX.>": "",
  _INBOX: "",
  "public.x": everybody,
  "public.x.y": everybody,
  "public.*": everybody,
  "public.*.x": everybody,
  "public.>": everybody,
  public: "",
  "project.p1.x": "CP",
  "project.p1.*": "CP",
  "project.p1.>": "CP",
  "project.p1": "",
  "project.p2.>": "C",
  "project.p3.>": "",
  "project.*": "",
  "project.*.x": "",
  "project.>": "",
  "*.p1.x": "",
  "services.project-p1": "CP",
  "services.project-p1.*": "CP",
  "services.project-p1.>": "CP",
  "services.project-p3.>": "",
  // Matches the project's inbox too, which is for the project alone.
  "*.project-p1.>": "P",
  "*.project-p1": "P",
  "account.alice.x": "A",
  "account.alice.>": "A",
  "account.alice": "",
  "account.*.x": "",
  "account.>": "",
  "*.alice.x": "",
  "services.account-alice.>": "A",
  "*.account-alice.>": "A",
  "*.account-alice": "A",
  "sys.x": "R",
  "sys.*": "R",
  "sys.>": "R",
  sys: "",
  "services.*": "",
  "services.*.x": "",
  "services.>": "",
  anything: "",
  "*": "",
  "*.*": "",
  "*.*.x": "",
  ">": "",
};

class Client {
  readonly permissions: Permission[] = [];
  private constructor(
    readonly socket: Socket,
    readonly info: Record<string, unknown>,
  ) {
    socket.on("permission", (permission: Permission) => this.permissions.push(permission));
  }

  static async open(address: string, options: Record<string, unknown>): Promise<Client> {
    const socket = io(address, { path: "/conat", transports: ["websocket"], forceNew: true, reconnection: false, ...options });
    const info = await new Promise<Record<string, unknown>>((done, failed) => {
      socket.once("info", (value: Record<string, unknown>, ack?: () => void) => {
        ack?.();
        done(value);
      });
      socket.once("connect_error", failed);
    });
    return new Client(socket, info);
  }

  emit(event: string, argument: unknown): Promise<Ack> {
    return this.socket.timeout(30_000).emitWithAck(event, argument) as Promise<Ack>;
  }
  publish(subject: string): Promise<Ack> {
    return this.emit("publish", [subject, "0123456789", 0, 1, 0, Buffer.from([0xc0])]);
  }
}

const optionsOf = (letter: Letter): Record<string, unknown> =>
  letter === "S"
    ? { extraHeaders: { cookie: `other=1; sys=${password}` } }
    : letter === "G"
      ? {}
      : { auth: { token: tokenOf(letter) } };

const directory = mkdtempSync(join(tmpdir(), "conat-permissions-"));
const file = (name: string, content: string): string => {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
};
const usersFile = file(
  "users",
  Object.entries(users)
    .map(([letter, user]) => JSON.stringify({ name: letter, token: `sha256:${createHash("sha256").update(tokenOf(letter as Letter)).digest("hex")}`, ...user }))
    .join("\n"),
);
const passwordFile = file("password", `${password}\n`);
const authentication = `
[broker]
shards = 2
[authentication]
users = ${JSON.stringify(usersFile)}
system_password_file = ${JSON.stringify(passwordFile)}
anonymous_user = '${JSON.stringify(anonymous)}'
`;

after(() => rmSync(directory, { recursive: true, force: true }));

for (const [parserName, parser] of Object.entries({ default: undefined, msgpack: msgpackParser })) {
  describe(`the protocol's rules, ${parserName} parser`, () => {
    let broker: Broker;
    const clients = {} as Record<Letter, Client>;
    before(async () => {
      broker = await Broker.start("--config", file("conatd.toml", authentication));
      for (const letter of letters) {
        clients[letter] = await Client.open(broker.address, { ...optionsOf(letter), ...(parser === undefined ? {} : { parser }) });
      }
    });
    after(async () => {
      for (const client of Object.values(clients)) client.socket.disconnect();
      await broker.stop();
    });

    for (const letter of letters) {
      const mayAll = letter === "H" || letter === "S";
      const user = JSON.stringify(nameOf(letter));

      it(`${user} is who it says`, () => assert.deepEqual(clients[letter].info["user"], nameOf(letter)));

      it(`${user} publishes`, async () => {
        const client = clients[letter];
        for (const [subject, allowed] of Object.entries(publishing)) {
          client.permissions.length = 0;
          const answer = await client.publish(subject);
          if (mayAll || allowed.includes(letter)) {
            assert.equal(typeof answer.count, "number", `${subject}: ${JSON.stringify(answer)}`);
            assert.deepEqual(client.permissions, []);
          } else {
            const message = `permission denied publishing to '${subject}' from ${user}`;
            assert.deepEqual(answer, { error: `Error: ${message}`, code: 403 });
            assert.deepEqual(client.permissions, [{ message, type: "pub", subject }]);
          }
        }
        // No pattern is a subject, whoever asks.
        for (const subject of ["account.alice.*", "_INBOX.>", "*", ">"]) {
          assert.deepEqual(await client.publish(subject), { error: "Error: invalid subject" });
        }
      });

      it(`${user} subscribes`, async () => {
        const client = clients[letter];
        client.permissions.length = 0;
        const patterns = Object.keys(subscribing);
        const answers = (await client.emit("subscribe", patterns.map((subject) => ({ subject, queue: "q" })))) as unknown as Ack[];
        const refused: Permission[] = [];
        patterns.forEach((subject, i) => {
          if (mayAll || subscribing[subject]?.includes(letter)) {
            assert.deepEqual(answers[i], { status: "added" }, subject);
          } else {
            const message = `permission denied subscribing to '${subject}' from ${user}`;
            assert.deepEqual(answers[i], { error: `Error: ${message}`, code: 403 });
            refused.push({ message, type: "sub", subject });
          }
        });
        assert.deepEqual(client.permissions, refused);
        const list = (await client.emit("subscriptions", null)) as unknown as string[];
        assert.equal(list.length, patterns.length - refused.length);
        await client.emit("unsubscribe", patterns.map((subject) => ({ subject })));
      });

      it(`${user} waits for interest`, async () => {
        const client = clients[letter];
        client.permissions.length = 0;
        for (const [subject, allowed] of Object.entries(publishing)) {
          const answer = await client.emit("wait-for-interest", { subject, timeout: 0 });
          if (mayAll || allowed.includes(letter)) {
            assert.equal(typeof answer, "boolean", subject);
          } else {
            assert.deepEqual(answer, { error: `permission denied waiting for interest in '${subject}' from ${user}`, code: 403 });
          }
        }
        assert.deepEqual(await client.emit("wait-for-interest", { subject: "account.*.x", timeout: 0 }), { error: "invalid subject" });
        assert.deepEqual(client.permissions, []);
      });
    }

    it("cannot choose targets by reserved positions of publish", async () => {
      const [alice, carol, hub] = [clients.A, clients.C, clients.H];
      const seen: { subject: string; data: unknown[] }[] = [];
      carol.socket.on("account.carol.x", (message: { subject: string; data: unknown[] }) => seen.push(message));
      assert.deepEqual(await carol.emit("subscribe", { subject: "account.carol.x", queue: "q" }), { status: "added" });
      await alice.emit("subscribe", { subject: "account.alice.x", queue: "q" });
      const own: unknown[][] = [];
      alice.socket.on("account.alice.x", (message: { data: unknown[] }) => own.push(message.data));
      const targets = [
        { "account.carol.x": { q: [carol.socket.id] } },
        { targets: ["account.carol.x"], queue: "q" },
        [["account.carol.x", "q"]],
        "account.carol.x",
        carol.socket.id,
        true,
        0,
        null,
      ];
      for (const target of targets) {
        const tail = ["0123456789", 0, 1, 0, Buffer.from([0xc0]), { h: 1 }, target];
        assert.deepEqual(await alice.emit("publish", ["account.alice.x", ...tail]), { count: 1 });
        assert.deepEqual(await alice.emit("publish", ["account.alice.y", ...tail]), { count: 0 });
        assert.equal((await alice.emit("publish", ["account.carol.x", ...tail])).code, 403);
      }
      await hub.emit("publish", ["account.carol.x", "abcdefghij", 0, 1, 0, Buffer.from([0xc0])]);
      while (seen.length === 0) await new Promise((done) => carol.socket.once("account.carol.x", done));
      assert.equal(seen.length, 1);
      assert.equal(seen[0]?.data[0], "abcdefghij");
      while (own.length < targets.length) await new Promise((done) => alice.socket.once("account.alice.x", done));
      for (const data of own) assert.deepEqual(data.slice(5), [{ h: 1 }]);
    });

    it("refuses whom it does not know, in words, and disconnects", async () => {
      const wrong = async (options: Record<string, unknown>): Promise<unknown> => {
        const client = await Client.open(broker.address, { ...options, ...(parser === undefined ? {} : { parser }) });
        const reason = await new Promise((done) => (client.socket.connected ? client.socket.once("disconnect", done) : done("io server disconnect")));
        assert.equal(reason, "io server disconnect");
        return client.info["user"];
      };
      assert.deepEqual(await wrong({ auth: { token: "nobody's" } }), { error: "authentication failed: unknown token", code: 401 });
      assert.deepEqual(await wrong({ auth: { username: "A", password: "x" } }), { error: "authentication failed: wrong name or password", code: 401 });
      assert.deepEqual(await wrong({ extraHeaders: { cookie: "sys=wrong" } }), { error: "authentication failed: wrong system password", code: 401 });
    });
  });
}

// What the broker says is checked above; here, what the clients make of it.
for (const kind of ownKinds) {
  describe(`the protocol's rules, ${kind.name}`, () => {
    let broker: Broker;
    before(async () => (broker = await Broker.start("--config", file("conatd.toml", authentication))));
    after(() => broker.stop());

    for (const letter of letters) {
      const mayAll = letter === "H" || letter === "S";
      const user = JSON.stringify(nameOf(letter));

      it(`${user} publishes and subscribes`, { timeout: 120_000 }, async () => {
        const peer = await kind.open(broker.address, letter === "S" ? { systemPassword: password } : letter === "G" ? {} : { token: tokenOf(letter) });
        for (const [subject, allowed] of Object.entries(publishing)) {
          const failure = await failureOf(peer.publish(subject, { raw: Buffer.from([0xc0]) }));
          assert.equal(failure === undefined, mayAll || allowed.includes(letter), `${subject}: ${failure}`);
          if (failure === undefined) continue;
          assert.equal(failure.code, 403);
          assert.ok(failure.message.endsWith(`permission denied publishing to '${subject}' from ${user}`), failure.message);
        }
        const added: string[] = [];
        for (const [pattern, allowed] of Object.entries(subscribing)) {
          const failure = await failureOf(peer.subscribe(pattern, "q"));
          assert.equal(failure === undefined, mayAll || allowed.includes(letter), `${pattern}: ${failure}`);
          if (failure === undefined) {
            added.push(pattern);
            continue;
          }
          assert.equal(failure.code, 403);
          assert.ok(failure.message.endsWith(`permission denied subscribing to '${pattern}' from ${user}`), failure.message);
        }
        assert.deepEqual([...(await peer.subscriptions())].sort(), added.sort());
        peer.close();
      });
    }
  });
}

describe("the operator's rules", () => {
  let broker: Broker;
  before(async () => {
    const rules = `
[[rules]]
allow = ["chat.*.room", "files.{account_id}.>"]
users = ["account"]

[[rules]]
allow = ["news.>"]
actions = ["sub"]

[[rules]]
deny = ["project.{project_id}.secret.>", "chat.closed.room"]

[[rules]]
deny = ["chat.closed.>"]
users = ["account", "project", "hub"]
actions = ["pub"]
`;
    broker = await Broker.start("--config", file("rules.toml", authentication + rules));
  });
  after(async () => broker.stop());

  const verdicts: [Letter, "pub" | "sub", string, boolean][] = [
    ["A", "pub", "chat.x.room", true],
    ["A", "pub", "chat.x.other", false],
    ["P", "pub", "chat.x.room", false],
    ["A", "sub", "chat.x.room", true],
    ["A", "sub", "chat.*.room", false], // could be the closed one
    ["A", "sub", "chat.closed.room", false],
    ["A", "sub", "chat.>", false],
    ["A", "pub", "files.alice.x.y", true],
    ["A", "pub", "files.carol.x", false],
    ["A", "sub", "files.alice.>", true],
    ["A", "sub", "files.*.x", false],
    ["P", "sub", "news.>", true],
    ["G", "sub", "news.today", true],
    ["G", "pub", "news.today", false],
    ["P", "pub", "project.p1.secret.x", false],
    ["P", "sub", "project.p1.>", false],
    ["P", "sub", "project.p1.*", true],
    ["P", "sub", "project.p1.other.>", true],
    ["C", "pub", "project.p1.secret.x", true], // the denial names the project's own id
    ["H", "pub", "chat.closed.room", false],
    ["H", "pub", "chat.x.room", true],
    ["H", "sub", ">", true],
    ["S", "pub", "chat.closed.x", false],
    ["A", "pub", "account.alice.x", true],
  ];
  it("come on top of the protocol's, and denials win", async () => {
    const clients = new Map<Letter, Client>();
    for (const [letter, type, subject, allowed] of verdicts) {
      const client = clients.get(letter) ?? (await Client.open(broker.address, optionsOf(letter)));
      clients.set(letter, client);
      const answer = type === "pub" ? await client.publish(subject) : await client.emit("subscribe", { subject, queue: "q" });
      const verb = type === "pub" ? "publishing" : "subscribing";
      const refusal = { error: `Error: permission denied ${verb} to '${subject}' from ${JSON.stringify(nameOf(letter))}`, code: 403 };
      if (!allowed) assert.deepEqual(answer, refusal);
      else assert.equal(answer.error, undefined, `${letter} ${type} ${subject}: ${answer.error}`);
    }
    for (const client of clients.values()) client.socket.disconnect();
  });
});
