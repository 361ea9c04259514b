// Signing in to the real broker: tokens that expire and are renewed, users that are refused, permissions.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { connect, type Client } from "conat-client";
import { Broker, nextEvent, until } from "./broker.js";

const secret = "a secret of more than thirty-two bytes, for tests only";
const folder = mkdtempSync(join(tmpdir(), "conat-auth-test-"));
let broker: Broker;
const clients: Client[] = [];
const open = (options: Parameters<typeof connect>[0]): Client => {
  const client = connect({ address: broker.address, noCache: true, reconnectionDelay: 20, reconnectionDelayMax: 200, ...options });
  clients.push(client);
  return client;
};

/** A token for an account, or for what `claim` says, good for so many seconds. */
function token(account: string, seconds: number, claim = "account_id"): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part({ [claim]: account, exp: Math.floor(Date.now() / 1000) + seconds })}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

before(async () => {
  writeFileSync(join(folder, "secret"), secret);
  writeFileSync(join(folder, "password"), "open+sesame/=");
  broker = await Broker.start("--jwt-secret-file", join(folder, "secret"), "--system-password-file", join(folder, "password"));
});
after(async () => {
  for (const client of clients) client.close();
  await broker.stop();
  rmSync(folder, { recursive: true, force: true });
});

it("renews a token that expires, on the connection that is there", { timeout: 60_000 }, async () => {
  const seconds = 8;
  let made = 0;
  const client = open({
    inboxPrefix: "_INBOX.account-ada",
    auth: async () => {
      made += 1;
      return { token: token("ada", seconds) };
    },
  });
  await client.waitUntilReady();
  const ends = performance.now() + seconds * 1000;
  assert.deepEqual(client.info?.user, { account_id: "ada" });
  assert.ok((client.info?.expires ?? 0) > 0 && (client.info?.expires ?? 0) <= seconds * 1000);
  const sid = client.conn.id;
  await until("a fresh token was asked for", () => made === 2, 30_000);
  assert.ok(performance.now() < ends);
  await new Promise((resolve) => setTimeout(resolve, ends - performance.now() + 300));
  assert.equal(client.conn.id, sid);
  const subscription = await client.subscribe<number>("account.ada.after");
  assert.equal((await client.publish("account.ada.after", 1)).count, 1);
  assert.equal((await subscription.next()).value?.data, 1);
  assert.equal(client.conn.id, sid);
});

it("comes back with a fresh token when one could not be renewed in time", { timeout: 60_000 }, async () => {
  let [made, down] = [0, false];
  const client = open({
    inboxPrefix: "_INBOX.account-bob",
    auth: () => {
      if (down) throw new Error("no tokens for a moment");
      made += 1;
      return { token: token("bob", 2) };
    },
  });
  const warn = console.warn;
  console.warn = () => undefined;
  try {
    await client.waitUntilReady();
    const subscription = await client.subscribe("account.bob.>");
    down = true;
    await nextEvent(client, "disconnected");
    const signedIn = nextEvent(client, "info");
    down = false;
    await signedIn;
    assert.ok(made >= 2);
    assert.equal(subscription.ended, false);
  } finally {
    console.warn = warn;
  }
});

it("tells of a refusal, and keeps asking", async () => {
  let good = false;
  const client = open({ inboxPrefix: "_INBOX.account-eve", auth: () => ({ token: good ? token("eve", 60) : "forged" }) });
  const [info] = await nextEvent<[{ user: { error: string } }]>(client, "info");
  assert.equal(typeof info.user.error, "string");
  await assert.rejects(client.waitUntilSignedIn({ timeout: 100 }), { code: 408 });
  good = true;
  await client.waitUntilSignedIn();
  assert.deepEqual(client.info?.user, { account_id: "eve" });
});

it("learns what it may not, and fails the same call by itself for a while", async () => {
  const client = open({ inboxPrefix: "_INBOX.account-ann", auth: { token: token("ann", 600) } });
  await client.waitUntilReady();
  const user = JSON.stringify({ account_id: "ann" });
  for (let i = 0; i < 2; i++) {
    await assert.rejects(client.publish("account.other.x", 1), { code: 403, message: new RegExp(`permission denied publishing to 'account.other.x' from ${user}$`) });
    await assert.rejects(client.subscribe("account.*.x"), { code: 403, message: new RegExp(`permission denied subscribing to 'account[.][*][.]x' from ${user}$`) });
  }
  assert.throws(() => client.publishSync("account.other.x", 1), { code: 403 });
  assert.equal(client.subs["account.*.x"], undefined);
  const refused = client.subscribeSync("account.other.y");
  assert.equal((await refused.next()).done, true);
  assert.equal(refused.refusal?.code, 403);
});

it("tells at once that the server refuses its inbox, and works again where it does not", async () => {
  let credentials = token("kim", 600);
  const client = open({ auth: () => ({ token: credentials }) });
  const user = JSON.stringify({ account_id: "kim" });
  const refusal = {
    name: "ConatError", code: 403, message: new RegExp(`^Error: permission denied subscribing to '_INBOX[.][0-9A-Za-z]{10}[.][*]' from ${user}$`),
  };
  // Asked before there is a connection, and when the refusal is known.
  await Promise.all([
    assert.rejects(client.waitUntilReady(), refusal), assert.rejects(client.getInbox(), refusal),
    assert.rejects(client.request("account.kim.service", null), refusal),
  ]);
  await assert.rejects(client.waitUntilReady({ timeout: 60_000 }), refusal);
  await assert.rejects(client.getInbox(), refusal);
  await assert.rejects(client.request("account.kim.service", null), refusal);
  await assert.rejects(client.requestMany("account.kim.service", null), refusal);
  // Everything else works.
  await client.waitUntilSignedIn();
  const own = await client.subscribe<number>("account.kim.>");
  assert.equal((await client.publish("account.kim.x", 5)).count, 1);
  assert.equal((await own.next()).value?.data, 5);

  // Somebody who may: what was asked while there was no connection is answered as well.
  client.disconnect();
  await until("it is disconnected", () => client.state === "disconnected");
  const [ready, inbox] = [client.waitUntilReady(), client.getInbox()];
  const service = open({ auth: { token: token("answers", 600, "hub_id") } });
  await service.service("account.kim.service", { double: (n: number) => 2 * n });
  const answer = client.request("account.kim.service", ["double", [21]]);
  credentials = token("root", 600, "hub_id");
  client.connect();
  await ready;
  assert.match(await inbox, /^_INBOX[.][0-9A-Za-z]{10}$/);
  assert.equal((await answer).data, 42);
});

it("signs in as the system account", async () => {
  const client = open({ systemAccountPassword: "open+sesame/=" });
  await client.waitUntilReady();
  assert.deepEqual(client.info?.user, { hub_id: "system" });
  assert.equal((await client.publish("anything.at.all", 1)).count, 0);
});
