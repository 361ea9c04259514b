// One end of a socket connection.
import { Calls } from "../calls.js";
import { Emitter } from "../emitter.js";
import { ConatError, timedOut } from "../errors.js";
import { encodeParts, Message, MessageData, type MessageHeaders, type MessageOptions, type Responder } from "../message.js";
import { Subscription } from "../subscription.js";
import { defaults, timeoutOf } from "../timeouts.js";
import type { RequestManyOptions, RequestOptions } from "../types.js";
import { errorFrom, type Driver } from "../wasm/driver.js";
import { Record as Kind, type RecordReader } from "../wasm/records.js";
import { SocketRequest } from "./request.js";
import {
  numbersOf, socketStates, type SocketEvents, type SocketOptions, type SocketState, type SocketSubscription,
  type SocketWriteOptions,
} from "./types.js";

/** @internal What an end needs of the client it belongs to. */
export interface SocketHost {
  driver: Driver;
  client: Responder;
  bigint: boolean;
  forget(socket: number): void;
}

interface ManyReplies {
  subscription: Subscription;
  started: (error?: ConatError) => void;
}

export const socketClosed = (): ConatError => new ConatError("closed", { code: "EPIPE" });

/** Messages in order, exactly once, both ways, and requests between them. */
export abstract class Endpoint extends Emitter<SocketEvents> {
  /** The client side's id. */
  readonly id: string;
  /** For people who debug. */
  readonly desc: string | undefined;
  /** ms of silence after which the other side is pinged. */
  readonly keepAlive: number;
  /** ms for its answer. */
  readonly keepAliveTimeout: number;
  /** How many messages may be written and not yet acknowledged. */
  readonly maxQueueSize: number;
  readonly #host: SocketHost;
  /** @internal */
  protected readonly handle: number;
  #state: SocketState;
  readonly #requests = new Calls<Message>();
  readonly #many = new Map<number, ManyReplies>();

  /** @internal */
  constructor(host: SocketHost, handle: number, state: SocketState, options: SocketOptions) {
    super();
    this.#host = host;
    this.handle = handle;
    this.#state = state;
    this.desc = options.desc;
    [this.keepAlive, this.keepAliveTimeout, this.maxQueueSize] = numbersOf(options);
    this.id = host.driver.fabric.socketIdOf(handle);
  }

  /** `disconnected`, `connecting`, `ready` or `closed`; each is also an event. */
  get state(): SocketState {
    return this.#state;
  }

  /** Its id once more, as a connection of the server. */
  get conn(): { readonly id: string } {
    return { id: this.id };
  }

  /** What was written and is not yet acknowledged. */
  get tcp(): { readonly send: { readonly unsent: number } } {
    const unsent = this.#closed() ? 0 : this.#host.driver.fabric.socketUnacknowledged(this.handle);
    return { send: { unsent } };
  }

  /** How many writes wait for the socket to be ready. */
  get queuedWrites(): number {
    return this.#closed() ? 0 : this.#host.driver.fabric.socketUnsent(this.handle);
  }

  /** What it listens on; absent while it is not connected. Closing that cuts the socket off, as `disconnect`. */
  get sub(): SocketSubscription | undefined {
    if (this.#state !== "ready" && this.#state !== "connecting") return undefined;
    return { subject: this.listensOn(), close: () => this.disconnect() };
  }

  /** @internal */
  protected abstract listensOn(): string;

  /** When something was last heard from the other side, ms since 1970. */
  get alive(): { readonly last: number } {
    const { driver } = this.#host;
    const last = this.#closed() ? 0 : driver.fabric.socketLastAlive(this.handle);
    return { last: last <= 0 ? 0 : Date.now() - (driver.now() - last) };
  }

  /**
   * Sends a message; while the socket is not ready it waits.
   * @throws ConatError EPIPE on a closed socket, ENOBUFS when too much is not acknowledged.
   */
  write(data: unknown, options: SocketWriteOptions & MessageOptions = {}): void {
    if (this.#closed()) throw socketClosed();
    const { driver } = this.#host;
    const { encoding, headers, raw } = encodeParts(data, options);
    driver.fill("", headers, raw);
    driver.check(driver.fabric.socketWrite(driver.now(), this.handle, headers.length, raw.length, encoding));
  }

  /**
   * Asks the other side.
   * @throws ConatError 408, EPIPE, or what the other side answered with an error.
   */
  async request<T = unknown>(data?: unknown, options: RequestOptions = {}): Promise<Message<T>> {
    const timeout = timeoutOf(options.timeout, defaults.request);
    return this.#requests.wait(this.#request(data, options, { timeout })) as Promise<Message<T>>;
  }

  /** @internal */
  protected async askMany(data: unknown, options: RequestManyOptions): Promise<Subscription> {
    const timeout = timeoutOf(options.timeout, defaults.request);
    const many = { maxWait: timeoutOf(options.maxWait, timeout), maxMessages: options.maxMessages ?? 0 };
    const call = this.#request(data, options, { timeout, many });
    const subscription = new Subscription("", {}, () => {
      if (this.#many.delete(call) && !this.#closed()) this.#host.driver.fabric.socketCancel(call);
    });
    await new Promise<void>((resolve, reject) => {
      const started = (error?: ConatError): void => (error === undefined ? resolve() : reject(error));
      this.#many.set(call, { subscription, started });
    });
    return subscription;
  }

  /** Resolves when everything written is acknowledged. @throws ConatError EPIPE when it closes before. */
  async waitUntilDrain(): Promise<void> {
    if (this.tcp.send.unsent === 0) return;
    await this.#until(["drain"], undefined);
  }

  /**
   * Resolves when the socket is ready.
   * @param timeout ms, default 30000.
   * @throws ConatError 408, EPIPE when it closes before.
   */
  async waitUntilReady(timeout?: number): Promise<void> {
    if (this.#state === "ready") return;
    await this.#until(["ready"], timeoutOf(timeout, defaults.request));
  }

  /** What arrives from now on, as `[data, headers]`. Ends with the socket. */
  iter(): AsyncIterableIterator<[data: unknown, headers: MessageHeaders], undefined> {
    type Item = [data: unknown, headers: MessageHeaders];
    type Result = IteratorResult<Item, undefined>;
    const queue: Item[] = [];
    const waiting: ((result: Result) => void)[] = [];
    let ended = this.#closed();
    const onData = (data: unknown, headers: MessageHeaders): void => {
      const next = waiting.shift();
      if (next === undefined) queue.push([data, headers]);
      else next({ value: [data, headers], done: false });
    };
    const end = (): void => {
      ended = true;
      this.off("data", onData);
      this.off("closed", end);
      for (const next of waiting.splice(0)) next({ value: undefined, done: true });
    };
    if (!ended) this.on("data", onData).on("closed", end);
    return {
      next(): Promise<Result> {
        const item = queue.shift();
        if (item !== undefined) return Promise.resolve({ value: item, done: false });
        if (ended) return Promise.resolve({ value: undefined, done: true });
        return new Promise((resolve) => waiting.push(resolve));
      },
      return(): Promise<Result> {
        end();
        return Promise.resolve({ value: undefined, done: true });
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /** Cuts it off: `disconnected` at once. A client's side reconnects after 500 ms, if `reconnection`. */
  disconnect(): void {
    if (this.#closed()) return;
    const { driver } = this.#host;
    driver.fabric.socketDisconnect(driver.now(), this.handle);
    driver.flush();
  }

  /** Closes it and tells the other side, without waiting. Never throws. */
  close(): void {
    if (this.#closed()) return;
    const { driver } = this.#host;
    driver.fabric.socketClose(driver.now(), this.handle);
    driver.flush();
    this.finish();
  }

  /** The same as `close`. */
  destroy(): void {
    this.close();
  }

  /**
   * Closes it and waits until the other side has said so.
   * @param options.timeout ms, default 3000; then it is over too.
   */
  async end({ timeout = 3000 }: { timeout?: number } = {}): Promise<void> {
    if (this.#closed()) return;
    const { driver } = this.#host;
    await new Promise<void>((resolve) => {
      this.#onEnded = resolve;
      this.once("closed", resolve);
      driver.fabric.socketEnd(driver.now(), this.handle, timeoutOf(timeout, 3000));
      driver.flush();
    });
    this.finish();
  }
  #onEnded: () => void = () => undefined;

  // ---- inside ----

  #closed(): boolean {
    return this.#state === "closed";
  }

  #until(events: (keyof SocketEvents)[], timeout: number | undefined): Promise<void> {
    if (this.#closed()) throw socketClosed();
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        clearTimeout(timer);
        for (const event of events) this.off(event, fulfilled);
        this.off("closed", broken);
      };
      const fulfilled = (): void => {
        stop();
        resolve();
      };
      const broken = (): void => {
        stop();
        reject(socketClosed());
      };
      const timer = timeout === undefined ? undefined : setTimeout(() => (stop(), reject(timedOut())), timeout);
      for (const event of events) this.on(event, fulfilled);
      this.on("closed", broken);
    });
  }

  #request(
    data: unknown, options: RequestOptions,
    { timeout, many }: { timeout: number; many?: { maxWait: number; maxMessages: number } },
  ): number {
    if (this.#closed()) throw socketClosed();
    const { driver } = this.#host;
    const { encoding, headers, raw } = encodeParts(data, options);
    driver.fill("", headers, raw);
    return driver.check(
      driver.fabric.socketRequest(
        driver.now(), this.handle, headers.length, raw.length, encoding, timeout, options.waitForInterest ?? false,
        many !== undefined, many?.maxWait ?? 0, many?.maxMessages ?? 0,
      ),
    );
  }

  /** @internal */
  onRecord(kind: number, reader: RecordReader): void {
    const { driver, client, bigint } = this.#host;
    switch (kind) {
      case Kind.socketState:
        return this.#onState(socketStates[reader.u8()] ?? "closed");
      case Kind.socketData: {
        const message = new MessageData(reader.data(), bigint);
        driver.later(() => this.#emitData(message));
        return;
      }
      case Kind.socketRequest: {
        const reply = reader.text();
        const request = new SocketRequest(reader.data(), reply, client, bigint);
        driver.later(() => this.emit("request", request));
        return;
      }
      case Kind.socketDrained:
        driver.later(() => this.emit("drain"));
        return;
      case Kind.socketReply:
        return this.#onReply(reader);
      case Kind.socketRequestDelivered:
        this.#many.get(reader.f64())?.started();
        return;
      case Kind.socketEnded:
        this.#onEnded();
        return;
    }
  }

  #emitData(message: MessageData): void {
    let data: unknown;
    try {
      data = message.data;
    } catch (error) {
      // It comes from the other side: to throw here would let it end this program.
      console.warn(`conat-client: dropped a message of socket ${this.id}:`, error);
      return;
    }
    this.emit("data", data, message.headers ?? {});
  }

  #onState(state: SocketState): void {
    if (state === "closed") return this.finish();
    if (this.#state === state) return;
    this.#state = state;
    this.#host.driver.later(() => this.emit(state));
  }

  #onReply(reader: RecordReader): void {
    const call = reader.f64();
    const last = reader.flag();
    const many = this.#many.get(call);
    if (reader.flag()) {
      const message = new Message(reader.message(), this.#host.client, this.#host.bigint);
      if (many === undefined) return this.#requests.resolve(call, message);
      many.subscription.push(message, (event) => this.#host.driver.later(event));
      many.started();
    } else {
      const error = errorFrom(reader.error());
      if (many === undefined) return this.#requests.reject(call, error);
      many.started(error);
    }
    if (last) {
      this.#many.delete(call);
      many.subscription.finish();
    }
  }

  /** @internal It is over. */
  finish(): void {
    if (this.#closed()) return;
    this.#state = "closed";
    this.#host.forget(this.handle);
    this.#requests.finish();
    for (const { subscription, started } of [...this.#many.values()]) {
      started(socketClosed());
      subscription.finish();
    }
    this.emit("closed");
    this.onFinished();
    this.removeAllListeners();
  }

  /** @internal */
  protected onFinished(): void {}
}
