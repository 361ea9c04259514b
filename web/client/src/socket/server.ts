// The side of sockets that listens.
import { Emitter } from "../emitter.js";
import { encodeHeaders, Message, type MessageOptions } from "../message.js";
import { timeoutOf } from "../timeouts.js";
import type { RequestOptions } from "../types.js";
import { errorFrom } from "../wasm/driver.js";
import { Record as Kind, type RecordReader } from "../wasm/records.js";
import { Endpoint, socketClosed, type SocketHost } from "./endpoint.js";
import {
  numbersOf, SOCKET_HEADER_CMD, socketStates, type SocketListenOptions, type SocketOptions, type SocketServerEvents,
  type SocketState, type SocketSubscription, type SocketWriteOptions,
} from "./types.js";

/** The server's end of one connection. */
export class ServerSocket extends Endpoint {
  /** `{server's subject}.server.{server's id}.{id}`. */
  readonly subject: string;
  readonly #server: SocketServer;

  /** @internal */
  constructor(host: SocketHost, handle: number, subject: string, server: SocketServer, options: SocketOptions) {
    super(host, handle, "ready", options);
    this.subject = subject;
    this.#server = server;
  }

  /** Another server beside this socket's: for clients that use the channel of this name. @throws as `listen`. */
  channel(name: string): SocketServer {
    return this.#server.channel(name);
  }

  /** @internal */
  protected override listensOn(): string {
    return `${this.subject.slice(0, this.subject.lastIndexOf("."))}.*`;
  }

  /** @internal */
  protected override onFinished(): void {
    if (this.#server.sockets[this.id] === this) delete this.#server.sockets[this.id];
  }
}

/** @internal */
export interface ServerHost extends SocketHost {
  adopt(socket: ServerSocket, handle: number): void;
  find(handle: number): Endpoint | undefined;
  forgetServer(server: number): void;
  listen(subject: string, options: SocketListenOptions): SocketServer;
}

/** A command of a client, on its way to the server. */
export interface SocketCommand {
  /** Absent while the client is not connected. */
  socket: ServerSocket | undefined;
  cmd: string;
  mesg: Message;
}

/** Listens on a subject, or on a pattern, for sockets. */
export class SocketServer extends Emitter<SocketServerEvents<ServerSocket>> {
  readonly subject: string;
  readonly id: string;
  readonly desc: string | undefined;
  /** Of its connections: ms of silence after which the client is pinged. */
  readonly keepAlive: number;
  /** Of its connections: ms for the client's answer. */
  readonly keepAliveTimeout: number;
  /** Of each connection: how many messages may be written and not yet acknowledged. */
  readonly maxQueueSize: number;
  /** The connections by id; a closed one is gone. */
  readonly sockets: Record<string, ServerSocket> = Object.create(null) as Record<string, ServerSocket>;
  readonly #host: ServerHost;
  readonly #handle: number;
  readonly #options: SocketListenOptions;
  #state: SocketState = "connecting";
  #handleCommand: (command: SocketCommand) => void = ({ mesg }) => this.#handOver(mesg);

  /** @internal */
  constructor(host: ServerHost, handle: number, subject: string, id: string, options: SocketListenOptions) {
    super();
    this.#host = host;
    this.#handle = handle;
    this.#options = options;
    this.subject = subject;
    this.id = id;
    this.desc = options.desc;
    [this.keepAlive, this.keepAliveTimeout, this.maxQueueSize] = numbersOf(options);
  }

  /** `connecting` until the broker has confirmed it, then `ready`; `closed` at the end. Each is also an event. */
  get state(): SocketState {
    return this.#state;
  }

  /** Calls `callback` for every connection. */
  forEach(callback: (socket: ServerSocket, id: string) => void): void {
    for (const [id, socket] of Object.entries(this.sockets)) callback(socket, id);
  }

  /** Sends a message to every connection. @throws ConatError EPIPE, ENOBUFS. */
  write(data: unknown, options: SocketWriteOptions & MessageOptions = {}): void {
    if (this.#state === "closed") throw socketClosed();
    this.forEach((socket) => socket.write(data, options));
  }

  /**
   * Asks every connection.
   * @param options.race resolve to the first answer instead of to all.
   * @returns the answers; in the place of one that failed is its error.
   */
  async request(data: unknown, options: RequestOptions & { race: true }): Promise<Message>;
  async request(data?: unknown, options?: RequestOptions & { race?: false }): Promise<(Message | Error)[]>;
  async request(data?: unknown, { race, ...options }: RequestOptions & { race?: boolean } = {}): Promise<Message | (Message | Error)[]> {
    const answers = Object.values(this.sockets).map((socket) => socket.request(data, options));
    if (race) return Promise.any(answers);
    return Promise.all(answers.map((answer) => answer.catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))))));
  }

  /** Another server, on `{subject}.{name}`. */
  channel(name: string): SocketServer {
    return this.#host.listen(`${this.subject}.${name}`, { ...this.#options, desc: `${this.desc ?? ""}.channel('${name}')` });
  }

  /**
   * Every command of a client passes through this function; replace it to see or to drop some, and call the one
   * that was there to let them take effect.
   */
  get handleCommandFromClient(): (command: SocketCommand) => void {
    return this.#handleCommand;
  }

  set handleCommandFromClient(handle: (command: SocketCommand) => void) {
    this.#handleCommand = handle;
    if (this.#state !== "closed") this.#host.driver.fabric.socketInterceptCommands(this.#handle, true);
  }

  /** Closes it with all its connections, and tells their clients. Never throws. */
  close(): void {
    if (this.#state === "closed") return;
    const { driver } = this.#host;
    driver.fabric.socketCloseServer(driver.now(), this.#handle);
    driver.flush();
    this.finish();
  }

  /** The same as `close`. */
  destroy(): void {
    this.close();
  }

  /** What it listens on; absent once it is closed. Closing that closes the server. */
  get sub(): SocketSubscription | undefined {
    if (this.#state === "closed") return undefined;
    return { subject: `${this.subject}.server.${this.id}.*`, close: () => this.close() };
  }

  /** Ends every connection (see there), then closes. @param options.timeout ms, default 3000. */
  async end({ timeout = 3000 }: { timeout?: number } = {}): Promise<void> {
    const limit = timeoutOf(timeout, 3000);
    await Promise.all(Object.values(this.sockets).map((socket) => socket.end({ timeout: limit })));
    this.close();
  }

  // ---- inside ----

  #handOver(message: Message): void {
    if (this.#state === "closed") return;
    const { driver } = this.#host;
    const headers = encodeHeaders(message.headers);
    const { raw } = message;
    const subjectLength = driver.fill(message.subject, headers, raw);
    driver.fabric.socketHandleCommand(driver.now(), this.#handle, subjectLength, headers.length, raw.length, message.encoding);
    driver.schedule();
  }

  /** @internal */
  onRecord(kind: number, reader: RecordReader): void {
    const { driver, client, bigint } = this.#host;
    switch (kind) {
      case Kind.socketConnected: {
        const handle = reader.u32();
        const socket = new ServerSocket(this.#host, handle, reader.text(), this, this.#options);
        this.#host.adopt(socket, handle);
        this.sockets[socket.id] = socket;
        driver.later(() => this.emit("connection", socket));
        return;
      }
      case Kind.socketServerState: {
        const state = socketStates[reader.u8()] ?? "closed";
        const error = reader.optionalError();
        if (error !== undefined) driver.later(() => this.emit("error", errorFrom(error)));
        if (state === "closed") {
          driver.later(() => this.finish());
        } else if (this.#state !== state && this.#state !== "closed") {
          this.#state = state;
          driver.later(() => this.emit(state));
        }
        return;
      }
      case Kind.socketCommand: {
        const socket = this.#host.find(reader.u32()) as ServerSocket | undefined;
        const mesg = new Message(reader.message(), client, bigint);
        driver.later(() => {
          const cmd = mesg.headers?.[SOCKET_HEADER_CMD];
          this.#handleCommand({ socket, cmd: typeof cmd === "string" ? cmd : "", mesg });
        });
        return;
      }
    }
  }

  /** @internal It is over. */
  finish(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#host.forgetServer(this.#handle);
    for (const socket of Object.values(this.sockets)) socket.finish();
    this.emit("closed");
    this.removeAllListeners();
  }
}
