// Who somebody is, made for tests: issuers of tokens, stored passwords and tokens, and what a broker takes a client for.
import assert from "node:assert/strict";
import { createHash, createHmac, generateKeyPairSync, randomBytes, scryptSync, sign, type KeyObject } from "node:crypto";
import { io, type Socket } from "socket.io-client";

export type Claims = Record<string, unknown>;
export const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Signs tokens that are good for ten minutes, unless `exp` or `lifetimeMs` says otherwise. */
export class Issuer {
  constructor(
    readonly algorithm: "HS256" | "RS256" | "ES256" | "EdDSA",
    private readonly signer: (text: Buffer) => Buffer,
    readonly publicKey: KeyObject | undefined,
  ) {}

  token(claims: Claims, { lifetimeMs = 600_000, kid }: { lifetimeMs?: number; kid?: string } = {}): string {
    const exp = (Date.now() + lifetimeMs) / 1000;
    const text = `${part({ alg: this.algorithm, typ: "JWT", ...(kid === undefined ? {} : { kid }) })}.${part({ exp, ...claims })}`;
    return `${text}.${this.signer(Buffer.from(text)).toString("base64url")}`;
  }
  jwk(kid: string): Record<string, unknown> {
    assert.ok(this.publicKey);
    return { ...this.publicKey.export({ format: "jwk" }), kid, use: "sig" };
  }
  pem(): string {
    assert.ok(this.publicKey);
    return this.publicKey.export({ format: "pem", type: "spki" }).toString();
  }
}

/** That of all issuers of HS256. */
export const secret = randomBytes(32).toString("hex");

export function makeIssuer(algorithm: Issuer["algorithm"]): Issuer {
  if (algorithm === "HS256") return new Issuer(algorithm, (text) => createHmac("sha256", secret).update(text).digest(), undefined);
  if (algorithm === "RS256") {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    return new Issuer(algorithm, (text) => sign("sha256", text, privateKey), publicKey);
  }
  if (algorithm === "ES256") {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    return new Issuer(algorithm, (text) => sign("sha256", text, { key: privateKey, dsaEncoding: "ieee-p1363" }), publicKey);
  }
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return new Issuer(algorithm, (text) => sign(null, text, privateKey), publicKey);
}

// ---- as they stand in the users file ----

export const storedToken = (token: string): string => `sha256:${createHash("sha256").update(token).digest("hex")}`;

export function storedPassword(password: string, ln = 10): string {
  const salt = randomBytes(16);
  const hash = scryptSync(password, salt, 32, { N: 2 ** ln, r: 8, p: 1 });
  const unpadded = (bytes: Buffer): string => bytes.toString("base64").replace(/=+$/, "");
  return `$scrypt$ln=${ln},r=8,p=1$${unpadded(salt)}$${unpadded(hash)}`;
}

/** The value of `Authorization`. */
export const basic = (name: string, password: string): string => `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;

// ---- who the broker takes somebody for ----

export type User = Record<string, unknown> | null;
export type Show = { auth?: Record<string, unknown>; extraHeaders?: Record<string, string> };

export const refusal = (why: string, code = 401): User => ({ error: `authentication failed: ${why}`, code });

/** Connects with the ordinary client of Socket.IO. */
export function open(address: string, show: Show, reconnection = false): Socket {
  return io(address, { path: "/conat", transports: ["websocket"], forceNew: true, reconnection, ...show });
}

/** What `info` says; a refusal has to end the connection, in the way after which clients do not come back. */
export async function userOf(address: string, show: Show): Promise<User> {
  const socket = open(address, show);
  const ended = new Promise<string>((done) => socket.once("disconnect", (reason) => done(reason)));
  try {
    const user = await new Promise<User>((done, failed) => {
      socket.once("info", (info: { user: User }, ack?: () => void) => {
        ack?.();
        done(info.user);
      });
      socket.once("connect_error", failed);
    });
    if (user !== null && "error" in user) assert.equal(await ended, "io server disconnect");
    return user;
  } finally {
    socket.disconnect();
  }
}
