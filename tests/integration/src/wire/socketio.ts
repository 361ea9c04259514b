/// <reference path="./oldest.d.ts" />
// The real `socket.io-client` from npm, in the newest and in the oldest version 4, with the parser that it brings and
// with `socket.io-msgpack-parser`. Nothing here knows how Conat works inside, only Socket.IO and the events of the protocol.
import { io as newest } from "socket.io-client";
import { io as oldest } from "socket.io-client-oldest";
import * as msgpackParser from "socket.io-msgpack-parser";
import { Queue, within } from "./queue.js";

export type Arguments = unknown[];
export type Delivery = { subject: string; data: [id: string, seq: number, done: number, encoding: number, raw: Buffer, headers?: unknown] };
export type Info = { max_payload: number; id: string; clusterName?: string; user: unknown };

/** What both versions of a Socket have. */
interface AnySocket {
  readonly id?: string;
  readonly connected: boolean;
  on(event: string, listener: (...args: never[]) => void): unknown;
  off(event: string, listener?: (...args: never[]) => void): unknown;
  once(event: string, listener: (...args: never[]) => void): unknown;
  emit(event: string, ...args: unknown[]): unknown;
  connect(): unknown;
  disconnect(): unknown;
  readonly io: { readonly engine: { close(): unknown; readonly transport?: unknown } };
}

type Open = (address: string, options: Record<string, unknown>) => AnySocket;

export interface Variant {
  readonly name: string;
  readonly io: Open;
  readonly parser: unknown;
}

/** Each version of the client with each parser. */
export const variants: readonly Variant[] = [
  { name: "socket.io-client 4.8, default parser", io: newest as unknown as Open, parser: undefined },
  { name: "socket.io-client 4.8, MessagePack parser", io: newest as unknown as Open, parser: msgpackParser },
  { name: "socket.io-client 4.0, default parser", io: oldest as unknown as Open, parser: undefined },
  { name: "socket.io-client 4.0, MessagePack parser", io: oldest as unknown as Open, parser: msgpackParser },
];

export interface SocketOptions {
  /** Whether `info` is acknowledged; default true. */
  readonly acknowledge?: boolean;
  readonly [name: string]: unknown;
}

export class SocketIoClient {
  readonly infos = new Queue<Info>("info");
  readonly permissions = new Queue<unknown>("permission");
  private constructor(readonly socket: AnySocket) {}

  /** A socket that is not connected yet, with its listeners. */
  static prepare(variant: Variant, address: string, { acknowledge = true, ...options }: SocketOptions = {}): SocketIoClient {
    const url = new URL(address);
    const socket = variant.io(url.origin, {
      path: `${url.pathname.replace(/\/$/, "")}/conat`,
      transports: ["websocket"],
      forceNew: true,
      autoConnect: false,
      reconnectionDelay: 20,
      reconnectionDelayMax: 100,
      ...(variant.parser === undefined ? {} : { parser: variant.parser }),
      ...options,
    });
    const client = new SocketIoClient(socket);
    client.on("info", (info: Info, ack?: () => void) => {
      if (acknowledge) ack?.();
      client.infos.push(info);
    });
    client.on("permission", (permission: unknown) => client.permissions.push(permission));
    return client;
  }

  /** Connected, and told `info`. */
  static async open(variant: Variant, address: string, options: SocketOptions = {}): Promise<SocketIoClient> {
    const client = SocketIoClient.prepare(variant, address, options);
    client.socket.connect();
    await client.infos.next();
    return client;
  }

  on<Args extends Arguments>(event: string, listener: (...args: Args) => void): void {
    this.socket.on(event, listener as unknown as (...args: never[]) => void);
  }

  once<Args extends Arguments>(event: string): Promise<Args> {
    return within(`the event ${event}`, new Promise((done) => this.socket.once(event, (...args: never[]) => done(args as unknown as Args))));
  }

  /** Emits and waits for the acknowledgement: its arguments, of which this protocol sends one. */
  async ask<Answer = unknown>(event: string, ...args: Arguments): Promise<Answer> {
    const answer = new Promise<Arguments>((done) => this.socket.emit(event, ...args, (...given: Arguments) => done(given)));
    const given = await within(`the acknowledgement of ${event}`, answer);
    if (given.length !== 1) throw new Error(`${given.length} arguments in the acknowledgement of ${event}`);
    return given[0] as Answer;
  }

  emit(event: string, ...args: Arguments): void {
    this.socket.emit(event, ...args);
  }

  /** What is delivered under a pattern, from now on. */
  deliveries(pattern: string): Queue<Delivery> {
    const queue = new Queue<Delivery>(`'${pattern}'`);
    this.on(pattern, (delivery: Delivery) => queue.push(delivery));
    return queue;
  }

  /** Subscribes; the queue group is a random one when none is named. */
  async subscribe(pattern: string, queue = Math.random().toString(36).slice(2)): Promise<Queue<Delivery>> {
    const deliveries = this.deliveries(pattern);
    const answer = await this.ask<{ status?: string }>("subscribe", { subject: pattern, queue });
    if (answer.status !== "added") throw new Error(`subscribe to '${pattern}': ${JSON.stringify(answer)}`);
    return deliveries;
  }

  /** Resolves when the broker has worked through what was emitted before. */
  async flush(): Promise<void> {
    await this.ask("subscriptions", null);
  }

  close(): void {
    this.socket.disconnect();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
