// A Conat server of another make: the Socket.IO server from npm with the events of the protocol, in memory. The
// client must get along with any server that speaks them, whatever its packets look like.
import { once } from "node:events";
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Server, type Socket } from "socket.io";
import * as msgpackParser from "socket.io-msgpack-parser";

type Ack = ((answer?: unknown) => void) | undefined;
type Subscribe = { subject: string; queue?: string };
type Publish = [subject: string, id: string, seq: number, done: number, encoding: number, raw: Buffer, headers?: unknown];
interface Member {
  socket: Socket;
  queue: string;
}

export interface Seen {
  event: string;
  argument: unknown;
}

function matches(pattern: string, subject: string): boolean {
  const [p, s] = [pattern.split("."), subject.split(".")];
  for (const [i, token] of p.entries()) {
    if (token === ">" && i === p.length - 1) return s.length > i;
    if (s[i] === undefined || (token !== "*" && token !== s[i])) return false;
  }
  return p.length === s.length;
}

export class ForeignServer {
  /** What the next connections are told. */
  info: Record<string, unknown> = { max_payload: 1_000_000, id: "foreign", user: null };
  /** Every event that came, in order. */
  seen: Seen[] = [];
  /** Auth objects and headers of the connections so far. */
  readonly handshakes: { auth: unknown; headers: Record<string, unknown>; url: string }[] = [];
  /** How many acknowledged `info`. */
  acknowledgedInfos = 0;
  /** Refuses subjects: the error of a publish (`pub`) or subscribe (`sub`). */
  refuse: (type: "pub" | "sub", subject: string) => { error: string; code?: number | string } | undefined = () => undefined;
  /** Takes an event away before the server sees it. */
  intercept: (event: string, argument: unknown, ack: Ack, socket: Socket) => boolean = () => false;
  /** Answers the renewal of an identity. */
  renew: (auth: unknown) => unknown = () => ({ user: null });

  readonly #http: HttpServer = createServer();
  readonly #io: Server;
  readonly #subscriptions = new Map<string, Member[]>();
  readonly #choices = new Map<string, Socket>();
  readonly #waiting = new Set<{ subject: string; answer: (interested: boolean) => void }>();

  constructor(parser: "default" | "msgpack" = "default") {
    this.#io = new Server(this.#http, {
      path: "/conat",
      transports: ["websocket"],
      maxHttpBufferSize: 10_000_000,
      ...(parser === "msgpack" ? { parser: msgpackParser } : {}),
    });
    this.#io.on("connection", (socket) => this.#onConnection(socket));
  }

  static async start(parser: "default" | "msgpack" = "default"): Promise<ForeignServer> {
    const server = new ForeignServer(parser);
    await server.listen();
    return server;
  }

  async listen(): Promise<void> {
    this.#http.listen(0, "127.0.0.1");
    await once(this.#http, "listening");
  }

  get address(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  get sockets(): Socket[] {
    return [...this.#io.sockets.sockets.values()];
  }

  /** The arguments of all events of a name. */
  events(name: string): unknown[] {
    return this.seen.filter(({ event }) => event === name).map(({ argument }) => argument);
  }

  /** Cuts all connections, as a network does. */
  cut(): void {
    for (const socket of this.sockets) socket.conn.close();
  }

  /** Takes subscriptions away, or gives some, behind the client's back. */
  forget(pattern: string): void {
    this.#subscriptions.delete(pattern);
  }
  force(pattern: string, socket: Socket): void {
    this.#subscriptions.set(pattern, [{ socket, queue: "forced" }]);
  }

  async stop(): Promise<void> {
    await this.#io.close();
  }

  #onConnection(socket: Socket): void {
    this.handshakes.push({ auth: socket.handshake.auth, headers: socket.handshake.headers, url: socket.handshake.url });
    socket.onAny((event: string, ...args: unknown[]) => {
      const ack = typeof args.at(-1) === "function" ? (args.pop() as Ack) : undefined;
      this.seen.push({ event, argument: args[0] });
      if (!this.intercept(event, args[0], ack, socket)) this.#onEvent(socket, event, args[0], ack);
    });
    socket.on("disconnect", () => this.#leave(socket));
    const user = this.info["user"] as { error?: string } | null;
    if (user?.error === undefined) {
      socket.emit("info", this.info, () => (this.acknowledgedInfos += 1));
      return;
    }
    socket.emit("info", this.info);
    setTimeout(() => socket.disconnect(true), 25);
  }

  #onEvent(socket: Socket, event: string, argument: unknown, ack: Ack): void {
    switch (event) {
      case "publish":
        return ack?.(this.#publish(socket, argument as Publish)) ?? undefined;
      case "subscribe":
        return ack?.(each(argument as Subscribe | Subscribe[], (item) => this.#subscribe(socket, item)));
      case "unsubscribe":
        each(argument as Subscribe | Subscribe[], ({ subject }) => this.#unsubscribe(socket, subject));
        return ack?.(null);
      case "subscriptions":
        return ack?.([...this.#subscriptions].filter(([, members]) => members.some((member) => member.socket === socket)).map(([pattern]) => pattern));
      case "wait-for-interest":
        return this.#wait(argument as { subject: string; timeout?: number }, ack);
      case "cluster":
        return ack?.([this.address]);
      case "auth":
        return ack?.(this.renew(argument));
    }
  }

  #subscribe(socket: Socket, { subject, queue }: Subscribe): unknown {
    if (queue === undefined) return { error: "Error: queue must be defined" };
    const refusal = this.refuse("sub", subject);
    if (refusal !== undefined) {
      if (refusal.code === 403) socket.emit("permission", { message: refusal.error, type: "sub", subject });
      return refusal;
    }
    const members = this.#subscriptions.get(subject) ?? [];
    if (members.some((member) => member.socket === socket)) return { status: "already-added" };
    this.#subscriptions.set(subject, [...members, { socket, queue }]);
    for (const waiting of [...this.#waiting]) if (matches(subject, waiting.subject)) waiting.answer(true);
    return { status: "added" };
  }

  #unsubscribe(socket: Socket, subject: string): void {
    const rest = (this.#subscriptions.get(subject) ?? []).filter((member) => member.socket !== socket);
    if (rest.length > 0) this.#subscriptions.set(subject, rest);
    else this.#subscriptions.delete(subject);
  }

  #leave(socket: Socket): void {
    for (const pattern of [...this.#subscriptions.keys()]) this.#unsubscribe(socket, pattern);
  }

  #publish(sender: Socket, [subject, ...data]: Publish): unknown {
    const refusal = this.refuse("pub", subject);
    if (refusal !== undefined) {
      if (refusal.code === 403) sender.emit("permission", { message: refusal.error, type: "pub", subject });
      return refusal;
    }
    let count = 0;
    for (const [pattern, members] of this.#subscriptions) {
      if (!matches(pattern, subject)) continue;
      for (const queue of new Set(members.map((member) => member.queue))) {
        const group = members.filter((member) => member.queue === queue);
        const key = JSON.stringify([sender.id, data[0], pattern, queue]);
        // All chunks of a message go to the same member.
        const target = this.#choices.get(key) ?? group[Math.floor(Math.random() * group.length)]?.socket;
        if (target === undefined) continue;
        if (data[2]) this.#choices.delete(key);
        else this.#choices.set(key, target);
        target.emit(pattern, { subject, data });
        count += 1;
      }
    }
    return { count };
  }

  #wait({ subject, timeout = 90_000 }: { subject: string; timeout?: number }, ack: Ack): void {
    const interested = [...this.#subscriptions.keys()].some((pattern) => matches(pattern, subject));
    if (interested || timeout === 0) return ack?.(interested);
    const waiting = {
      subject,
      answer: (found: boolean): void => {
        this.#waiting.delete(waiting);
        ack?.(found);
      },
    };
    this.#waiting.add(waiting);
  }
}

function each<T>(argument: T | T[], work: (item: T) => unknown): unknown {
  return Array.isArray(argument) ? argument.map(work) : work(argument);
}
