// The messages of one subscription, as an async iterator with a bounded or unbounded buffer.
import { ConatError } from "./errors.js";
import { Emitter } from "./emitter.js";
import type { Message } from "./message.js";

/** What to do with a message when the buffer is full. */
export type OverflowPolicy = "drop-oldest" | "error";

export interface SubscriptionOptions {
  /** End after this many ms without a message. Default: never. */
  maxWait?: number | undefined;
  /** End after this many messages. Default: never. */
  mesgLimit?: number | undefined;
  /** Keep at most this many messages that nobody has read. Default: unlimited. */
  maxBuffered?: number | undefined;
  /**
   * Beyond `maxBuffered`: "drop-oldest" (default) forgets the oldest; "error" ends the subscription, and next()
   * rejects with code ENOBUFS after the messages that were kept.
   */
  policy?: OverflowPolicy | undefined;
}

export type SubscriptionEvents<T> = { message: [message: Message<T>]; closed: [] };

type Waiting<T> = (result: IteratorResult<Message<T>, undefined>) => void;

// A queue of which this many entries, and more than half, are used up is cut.
const cutAfter = 1024;

/**
 * Messages as they arrive: `for await (const message of subscription)`. Disconnects never end it and never
 * throw into it. It ends by close(), by leaving the loop, by `maxWait` or `mesgLimit`, with its client, and when
 * the server refuses it.
 */
export class Subscription<T = unknown> implements AsyncIterableIterator<Message<T>, undefined, undefined> {
  /** The pattern that was subscribed to. */
  readonly subject: string;
  /** Emits `message` for each message, whether or not somebody iterates, and `closed` once at the end. */
  readonly emitter = new Emitter<SubscriptionEvents<T>>();
  #queue: (Message<T> | undefined)[] = [];
  #head = 0;
  #waiting: Waiting<T>[] = [];
  #ended = false;
  #error: ConatError | undefined; // for the next reader
  #refusal: ConatError | undefined;
  #received = 0;
  #lastMessage = performance.now();
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #options: SubscriptionOptions;
  readonly #onEnd: () => void;

  /** @internal */
  constructor(subject: string, options: SubscriptionOptions, onEnd: () => void) {
    this.subject = subject;
    this.#options = options;
    this.#onEnd = onEnd;
    if (options.maxWait !== undefined) this.#watch(options.maxWait);
  }

  /** Whether it has ended; what was buffered can still be read. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Why it ended, when the server refused it. */
  get refusal(): ConatError | undefined {
    return this.#refusal;
  }

  /** How many messages wait to be read. */
  get buffered(): number {
    return this.#queue.length - this.#head;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next message; `done` when it has ended and everything was read. */
  next(): Promise<IteratorResult<Message<T>, undefined>> {
    if (this.#head < this.#queue.length) return Promise.resolve({ value: this.#take(), done: false });
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Ends it, as leaving a `for await` loop does. */
  return(): Promise<IteratorResult<Message<T>, undefined>> {
    this.close();
    return Promise.resolve({ value: undefined, done: true });
  }

  /** Ends it and forgets what was not read. At once and as often as one likes. */
  close(): void {
    this.#queue = [];
    this.#head = 0;
    this.#error = undefined;
    this.#end();
  }

  /** The same as `close`. */
  stop(): void {
    this.close();
  }

  /** Ends it and returns what nobody had read. */
  drain(): Message<T>[] {
    const rest = this.#queue.slice(this.#head) as Message<T>[];
    this.close();
    return rest;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  /** @internal A message arrived. `later` runs listeners after the batch. */
  push(message: Message<T>, later: (event: () => void) => void): void {
    if (this.#ended) return;
    this.#received += 1;
    if (this.#options.maxWait !== undefined) this.#lastMessage = performance.now();
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) waiting({ value: message, done: false });
    else this.#keep(message);
    if (this.emitter.listenerCount("message") > 0) later(() => this.emitter.emit("message", message));
    if (this.#received === this.#options.mesgLimit) this.#end();
  }

  /** @internal The server or the client ended it; what was buffered can still be read. */
  finish(refusal?: ConatError): void {
    if (!this.#ended) this.#refusal = refusal;
    this.#end();
  }

  #keep(message: Message<T>): void {
    const { maxBuffered, policy } = this.#options;
    if (maxBuffered !== undefined && this.buffered >= maxBuffered) {
      if (policy === "error") {
        this.#error = new ConatError(`more than ${maxBuffered} messages of '${this.subject}' wait to be read`, { code: "ENOBUFS" });
        this.#end();
        return;
      }
      if (maxBuffered <= 0) return;
      this.#take();
    }
    this.#queue.push(message);
  }

  #take(): Message<T> {
    const message = this.#queue[this.#head] as Message<T>;
    this.#queue[this.#head++] = undefined;
    if (this.#head === this.#queue.length) {
      this.#queue.length = 0;
      this.#head = 0;
    } else if (this.#head > cutAfter && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return message;
  }

  #watch(maxWait: number): void {
    const rest = this.#lastMessage + maxWait - performance.now();
    this.#timer = setTimeout(
      () => {
        if (performance.now() >= this.#lastMessage + maxWait) this.#end();
        else this.#watch(maxWait);
      },
      Math.max(0, Math.ceil(rest)),
    );
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#onEnd();
    // Whoever waits has read everything, so there is no overflow to tell them of.
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve({ value: undefined, done: true });
    this.emitter.emit("closed");
  }
}
