// Socket.IO clients from npm for tests that look at the broker's own doings, and a WebSocket that can stop
// reading.
import { once } from "node:events";
import { decode, encode } from "@msgpack/msgpack";
import { io, type Socket } from "socket.io-client";
import WebSocket from "ws";

export type Info = { id: string; user: { error?: string; code?: number } & Record<string, unknown> | null };
export type Delivery = { subject: string; data: [string, number, number, number, Uint8Array, Record<string, unknown>?] };

/** Connects and waits for the first `info`; does not come back by itself. */
export async function signIn(address: string, headers: Record<string, string> = {}): Promise<{ socket: Socket; info: Info }> {
  const socket = io(address, {
    path: "/conat",
    transports: ["websocket"],
    forceNew: true,
    reconnection: false,
    extraHeaders: headers,
  });
  const info = await new Promise<Info>((done, failed) => {
    socket.once("info", (value: Info, ack?: () => void) => {
      ack?.();
      done(value);
    });
    socket.once("connect_error", failed);
  });
  return { socket, info };
}

export const emit = (socket: Socket, event: string, argument: unknown): Promise<Record<string, unknown>> =>
  socket.timeout(30_000).emitWithAck(event, argument) as Promise<Record<string, unknown>>;

export const publish = (socket: Socket, subject: string, raw: Uint8Array, headers?: unknown): Promise<Record<string, unknown>> =>
  emit(socket, "publish", [subject, Math.random().toString(36).slice(2, 12), 0, 1, 0, raw, ...(headers === undefined ? [] : [headers])]);

let requests = 0;

/** Calls a service as `client.call` does: the result, or a throw of what the header `error` says. */
export async function call(socket: Socket, subject: string, name: string, ...args: unknown[]): Promise<unknown> {
  const reply = `_INBOX.hub-system.${process.pid}.${++requests}`;
  const chunks: Uint8Array[] = [];
  await emit(socket, "subscribe", { subject: reply, queue: "0" });
  const answered = new Promise<Delivery>((done) => {
    socket.on(reply, (delivery: Delivery) => {
      chunks.push(delivery.data[4]);
      if (delivery.data[2] === 1) done(delivery);
    });
  });
  const { count } = await publish(socket, subject, encode([name, args]), { "CN-Reply": reply });
  if (count !== 1) throw new Error(`${String(count)} services on ${subject}`);
  const delivery = await answered;
  socket.off(reply);
  await emit(socket, "unsubscribe", { subject: reply });
  const error = delivery.data[5]?.["error"];
  if (error !== undefined) throw new Error(String(error));
  return decode(Buffer.concat(chunks));
}

/** A subscriber over a WebSocket whose reading can be stopped; counts the messages that it gets. */
export class Reader {
  received = 0;
  closeCode: number | undefined;
  private constructor(private readonly socket: WebSocket) {}

  static async subscribe(address: string, subject: string, queue: string): Promise<Reader> {
    const socket = new WebSocket(`${address.replace("http", "ws")}/conat/?EIO=4&transport=websocket`, { perMessageDeflate: false });
    const reader = new Reader(socket);
    socket.on("close", (code) => (reader.closeCode = code));
    socket.on("error", () => undefined);
    await once(socket, "open");
    const subscribed = new Promise<void>((done) => {
      socket.on("message", (data: Buffer, binary: boolean) => {
        const text = binary ? "" : data.toString();
        if (binary) reader.received++;
        else if (text === "2") socket.send("3");
        else if (text.startsWith("40")) socket.send(`421["subscribe",${JSON.stringify({ subject, queue })}]`);
        else if (text.startsWith("431")) done();
      });
    });
    socket.send("40");
    await subscribed;
    return reader;
  }

  stop(): void {
    this.socket.pause();
  }
  resume(): void {
    this.socket.resume();
  }
  /** Calls back after each message. */
  onMessage(hook: () => void): void {
    this.socket.on("message", (_data, binary) => {
      if (binary) hook();
    });
  }
  /** Reads on, and waits until it was closed. */
  async untilClosed(): Promise<number> {
    this.socket.resume();
    if (this.closeCode === undefined) await once(this.socket, "close");
    return this.closeCode!;
  }
  close(): void {
    this.socket.terminate();
  }
}
