// Every kind of client behind one face, so that one test speaks about all of them: socket.io-client, old and new, with both
// parsers, conat-client and the native client with both packet encodings.
import { connect, type Client, type Subscription } from "conat-client";
import { existsSync } from "node:fs";
import { NativePeer, nativePeer } from "./native.js";
import { Queue } from "./queue.js";
import { SocketIoClient, variants, type Delivery, type Variant } from "./socketio.js";

export interface Received {
  readonly subject: string;
  readonly raw: Buffer;
  readonly encoding: number;
  readonly headers: unknown;
}

export interface Outgoing {
  readonly raw: Uint8Array;
  readonly headers?: Record<string, unknown> | undefined;
  readonly encoding?: number;
}

export interface Peer {
  readonly name: string;
  /** Whole messages that arrive under the pattern. */
  subscribe(pattern: string, queue?: string): Promise<Queue<Received>>;
  unsubscribe(pattern: string): Promise<void>;
  /** Publishes, in chunks if it must, and returns the count. */
  publish(subject: string, message: Outgoing): Promise<number>;
  /** The same without an acknowledgement. */
  send(subject: string, message: Outgoing): void;
  interest(subject: string, timeout: number): Promise<boolean>;
  /** The broker's list of them, without the inbox that our own clients have as well. */
  subscriptions(): Promise<Set<string>>;
  close(): void;
}

/** Who a peer says it is: a token of the users file, the system's password, or neither. */
export interface Credentials {
  readonly token?: string;
  readonly systemPassword?: string;
}

export interface PeerKind {
  readonly name: string;
  /** One of our own clients; else npm's socket.io-client. */
  readonly own: boolean;
  open(address: string, credentials?: Credentials): Promise<Peer>;
}

const id = (): string => Math.random().toString(36).slice(2, 12).padEnd(10, "0");

/** The chunks of a message as the protocol wants them: arguments of `publish`. */
export function chunksOf(subject: string, { raw, headers, encoding = 0 }: Outgoing, maxPayload: number): unknown[][] {
  const size = Math.max(1000, maxPayload - 100_000);
  const message = id();
  const chunks: unknown[][] = [];
  for (let begin = 0, seq = 0; ; begin += size, seq++) {
    const done = begin + size >= raw.length;
    const bytes = Buffer.from(raw.buffer, raw.byteOffset + begin, Math.min(size, raw.length - begin));
    chunks.push([subject, message, seq, done ? 1 : 0, encoding, bytes, ...(done && headers !== undefined ? [headers] : [])]);
    if (done) return chunks;
  }
}

/** Puts the chunks of deliveries together again; throws when one is out of place, which must not happen. */
export class Assembly {
  readonly #parts = new Map<string, Buffer[]>();

  add({ subject, data: [message, seq, done, encoding, raw, headers] }: Delivery): Received | undefined {
    const parts = this.#parts.get(message) ?? [];
    if (seq !== parts.length) throw new Error(`chunk ${seq} of ${message} in place of ${parts.length}`);
    parts.push(raw);
    this.#parts.set(message, parts);
    if (!done) {
      if (headers !== undefined) throw new Error("headers on a chunk that is not the last");
      return undefined;
    }
    this.#parts.delete(message);
    return { subject, raw: parts.length === 1 ? raw : Buffer.concat(parts), encoding, headers };
  }
}

class SocketIoPeer implements Peer {
  private constructor(
    readonly name: string,
    private readonly client: SocketIoClient,
    private readonly maxPayload: number,
  ) {}

  static async open(variant: Variant, address: string, { token, systemPassword }: Credentials): Promise<Peer> {
    const client = SocketIoClient.prepare(variant, address, {
      ...(token === undefined ? {} : { auth: { token } }),
      ...(systemPassword === undefined ? {} : { extraHeaders: { cookie: `sys=${systemPassword}` } }),
    });
    client.socket.connect();
    const info = await client.infos.next();
    return new SocketIoPeer(variant.name, client, info.max_payload);
  }

  async subscribe(pattern: string, queue = id()): Promise<Queue<Received>> {
    const whole = new Queue<Received>(`'${pattern}' at ${this.name}`);
    const assembly = new Assembly();
    this.client.on(pattern, (delivery: Delivery) => {
      const message = assembly.add(delivery);
      if (message) whole.push(message);
    });
    const answer = await this.client.ask<{ status?: string }>("subscribe", { subject: pattern, queue });
    if (answer.status !== "added") throw Object.assign(new Error((answer as { error: string }).error), { code: (answer as { code?: number }).code });
    return whole;
  }

  async unsubscribe(pattern: string): Promise<void> {
    await this.client.ask("unsubscribe", { subject: pattern });
    this.client.socket.off(pattern);
  }

  async publish(subject: string, message: Outgoing): Promise<number> {
    let count = 0;
    const pending: Promise<number>[] = [];
    for (const chunk of chunksOf(subject, message, this.maxPayload)) {
      if (pending.length >= 4) count = Math.max(count, await pending.shift()!); // bounded memory
      pending.push(
        this.client.ask<{ count?: number; error?: string; code?: number }>("publish", chunk).then((answer) => {
          if (answer.count === undefined) throw Object.assign(new Error(answer.error), { code: answer.code });
          return answer.count;
        }),
      );
    }
    return Math.max(count, ...(await Promise.all(pending)));
  }

  send(subject: string, message: Outgoing): void {
    for (const chunk of chunksOf(subject, message, this.maxPayload)) this.client.emit("publish", chunk);
  }

  async interest(subject: string, timeout: number): Promise<boolean> {
    return this.client.ask<boolean>("wait-for-interest", { subject, timeout });
  }

  async subscriptions(): Promise<Set<string>> {
    return new Set(await this.client.ask<string[]>("subscriptions", null));
  }

  close(): void {
    this.client.close();
  }
}

const ownInbox = /^_INBOX\.[0-9A-Za-z]{10}\.\*$/;

/** How what was tried failed; undefined if it did not. */
export const failureOf = (attempt: Promise<unknown>): Promise<(Error & { code?: unknown }) | undefined> =>
  attempt.then(() => undefined, (error: Error & { code?: unknown }) => error);

class ConatPeer implements Peer {
  readonly #subscriptions = new Map<string, Subscription>();

  private constructor(
    readonly name: string,
    private readonly client: Client,
  ) {}

  static async open(name: string, address: string, packetEncoding: "msgpack" | "text", { token, systemPassword }: Credentials): Promise<Peer> {
    const client = connect({ address, noCache: true, packetEncoding, systemAccountPassword: systemPassword, ...(token === undefined ? {} : { auth: { token } }) });
    await client.waitUntilSignedIn({ timeout: 30_000 }); // its inbox may be refused
    return new ConatPeer(name, client);
  }

  async subscribe(pattern: string, queue?: string): Promise<Queue<Received>> {
    const whole = new Queue<Received>(`'${pattern}' at ${this.name}`);
    const subscription = await this.client.subscribe(pattern, { queue });
    this.#subscriptions.set(pattern, subscription);
    void (async () => {
      for await (const { subject, raw, encoding, headers } of subscription) whole.push({ subject, raw: raw as Buffer, encoding, headers });
    })();
    return whole;
  }

  async unsubscribe(pattern: string): Promise<void> {
    this.#subscriptions.get(pattern)?.close();
    await this.client.getSubscriptions(); // the broker has worked through it
  }

  async publish(subject: string, { raw, headers, encoding }: Outgoing): Promise<number> {
    return (await this.client.publish(subject, undefined, { raw, headers, encoding, timeout: 200_000 })).count;
  }

  send(subject: string, { raw, headers, encoding }: Outgoing): void {
    this.client.publishSync(subject, undefined, { raw, headers, encoding });
  }

  async interest(subject: string, timeout: number): Promise<boolean> {
    return timeout === 0 ? this.client.interest(subject) : this.client.waitForInterest(subject, { timeout });
  }

  async subscriptions(): Promise<Set<string>> {
    return new Set([...(await this.client.getSubscriptions())].filter((pattern) => !ownInbox.test(pattern)));
  }

  close(): void {
    this.client.close();
  }
}

const packets = [["MessagePack", "msgpack"], ["text", "text"]] as const;

const nativeKinds: readonly PeerKind[] = packets.map(([words, encoding]) => ({
  name: `native client, ${words} packets`,
  own: true,
  open: (address, credentials = {}) => NativePeer.open(`native client, ${words} packets`, address, encoding, credentials),
}));

export const peerKinds: readonly PeerKind[] = [
  ...variants.map((variant): PeerKind => ({
    name: variant.name,
    own: false,
    open: (address, credentials = {}) => SocketIoPeer.open(variant, address, credentials),
  })),
  ...packets.map(([words, encoding]): PeerKind => ({
    name: `conat-client, ${words} packets`,
    own: true,
    open: (address, credentials = {}) => ConatPeer.open(`conat-client, ${words} packets`, address, encoding, credentials),
  })),
  // native.test.ts fails when it is not built.
  ...(existsSync(nativePeer) ? nativeKinds : []),
];

export const ownKinds: readonly PeerKind[] = peerKinds.filter(({ own }) => own);
