// Tokens that expire while their client is connected, and their renewal.
import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { io, type Socket } from "socket.io-client";
import * as msgpackParser from "socket.io-msgpack-parser";
import { Broker } from "./broker.js";

const secret = randomBytes(32).toString("hex");
const directory = mkdtempSync(join(tmpdir(), "conat-expiry-"));
const secretFile = join(directory, "secret");
writeFileSync(secretFile, secret);
after(() => rmSync(directory, { recursive: true, force: true }));

function token(claims: Record<string, unknown>, lifetimeMs: number): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = (Date.now() + lifetimeMs) / 1000;
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ ...claims, exp })}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

interface Session {
  socket: Socket;
  info: { user: Record<string, unknown>; expires?: number };
  /** When it was closed, and with which code. */
  closed: Promise<{ at: number; reason: string; code?: number }>;
}

async function open(address: string, auth: Record<string, unknown>, parser?: unknown): Promise<Session> {
  const socket = io(address, {
    path: "/conat",
    transports: ["websocket"],
    forceNew: true,
    reconnection: false,
    auth,
    ...(parser === undefined ? {} : { parser }),
  });
  const closed = new Promise<{ at: number; reason: string; code?: number }>((done) => {
    socket.once("disconnect", (reason, details) => {
      const context = (details as { context?: { code?: number } } | undefined)?.context;
      done({ at: Date.now(), reason, ...(context?.code === undefined ? {} : { code: context.code }) });
    });
  });
  const info = await new Promise<Session["info"]>((done, failed) => {
    socket.once("info", (value: Session["info"], ack?: () => void) => {
      ack?.();
      done(value);
    });
    socket.once("connect_error", failed);
  });
  return { socket, info, closed };
}

for (const [name, parser] of Object.entries({ default: undefined, msgpack: msgpackParser })) {
  describe(`an identity that expires, ${name} parser`, { concurrency: true }, () => {
    let broker: Broker;
    before(async () => {
      broker = await Broker.start("--shards", "2", "--jwt-secret-file", secretFile);
    });
    after(async () => broker.stop());

    it("closes the connection with 1008, in time, and no other", async () => {
      const lasting = await open(broker.address, { token: token({ account_id: "b" }, 600_000) }, parser);
      const expiresAt = Date.now() + 3000;
      const { info, closed } = await open(broker.address, { token: token({ account_id: "a" }, 3000) }, parser);
      assert.deepEqual(info.user, { account_id: "a" });
      assert.ok(info.expires !== undefined && info.expires > 0 && info.expires <= 3000, `expires ${info.expires}`);
      const { at, reason, code } = await closed;
      // No DISCONNECT, after which a client would not come back by itself.
      assert.equal(reason, "transport close");
      assert.equal(code, 1008);
      assert.ok(at >= expiresAt - 50, `closed ${expiresAt - at} ms early`);
      assert.ok(at <= expiresAt + 4000, `closed ${at - expiresAt} ms late`);
      assert.equal(lasting.socket.connected, true);
      lasting.socket.disconnect();
    });

    it("is renewed without a new connection, by the same user only", async () => {
      const { socket, closed } = await open(broker.address, { token: token({ account_id: "a" }, 5000) }, parser);
      const renew = (claims: Record<string, unknown>, lifetimeMs: number): Promise<Record<string, unknown>> =>
        socket.timeout(20_000).emitWithAck("auth", { token: token(claims, lifetimeMs) }) as Promise<Record<string, unknown>>;
      assert.deepEqual(await renew({ account_id: "b" }, 600_000), { error: "Error: authentication as another user", code: 403 });
      const late = await renew({ account_id: "a" }, -1000);
      assert.equal(late["code"], 401);
      assert.match(String(late["error"]), /^authentication failed: /);
      const expiresAt = Date.now() + 8000;
      const renewed = await renew({ account_id: "a" }, 8000);
      assert.deepEqual(renewed["user"], { account_id: "a" });
      assert.ok(Number(renewed["expires"]) > 5000 && Number(renewed["expires"]) <= 8000);
      const { at, code } = await closed;
      assert.equal(code, 1008);
      assert.ok(at >= expiresAt - 50, `closed ${expiresAt - at} ms early`);
      assert.ok(at <= expiresAt + 4000, `closed ${at - expiresAt} ms late`);
    });

    it("is refused when it has expired already", async () => {
      const { info, closed } = await open(broker.address, { token: token({ account_id: "a" }, -1000) }, parser);
      assert.equal(info.user["code"], 401);
      assert.equal((await closed).reason, "io server disconnect");
    });
  });
}
