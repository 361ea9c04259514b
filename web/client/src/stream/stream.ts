// The client of one persistent stream.
import { AsyncQueue, feedOf, type Feed } from "../async_queue.js";
import { Calls } from "../calls.js";
import { DataEncoding, decodeBytes, encodeShared } from "../codec.js";
import type { StreamConfig } from "../dkv/options.js";
import { bindMethods } from "../dkv/properties.js";
import { Emitter } from "../emitter.js";
import { closed, ConatError, timedOut } from "../errors.js";
import { encodeHeaders, Message, MessageData, type MessageHeaders, type Responder } from "../message.js";
import { platform } from "../platform.js";
import { defaults, timeoutOf } from "../timeouts.js";
import { errorFrom, type Driver } from "../wasm/driver.js";
import { Record as Kind, textOf, type RecordReader } from "../wasm/records.js";
import type {
  CallTimeout, DeleteOptions, RangeOptions, SetChange, SetOperation, SetOutcome, StorageOptions, StoredAt,
  StoredMessage, StreamChange, StreamEvents, StreamInventory, StreamUser,
} from "./types.js";

/** @internal What a stream needs of what has opened it. */
export interface StreamOwner {
  driver: Driver;
  client: Responder;
  bigint: boolean;
  /** Somebody closed the stream; returns whether it was the last. */
  release(stream: object): boolean;
  /** It failed for good: who opens it again tries again. */
  forget(stream: object): void;
}

interface Request {
  headers: Record<string, unknown>;
  payload?: MessageData | undefined;
  timeout?: number | undefined;
}

// Of an iterator that nobody reads, bytes of payloads.
const maxUnreadBytes = 512 << 20;
const overhead = 100;
const followsNothing = 0;
const nil = new Uint8Array([0xc0]);
const noBytes = new Uint8Array(0);

const isDisconnect = (error: unknown): boolean => error instanceof ConatError && error.code === 503;

/**
 * One open stream: a sequence of messages at the persistence server, each with or without a key. It connects by
 * itself, again and again. A request waits for the connection; when it breaks while the answer is awaited, reading
 * is repeated within the timeout, and so is writing with a `msgID`. Other writes then fail with the code 503, and
 * may or may not have taken effect.
 */
export class StreamClient extends Emitter<StreamEvents> {
  readonly user: Readonly<StreamUser>;
  readonly storage: Readonly<StorageOptions>;
  readonly service: string;
  readonly #owner: StreamOwner;
  readonly #driver: Driver;
  readonly #id: number;
  readonly #answers = new Calls<MessageData>();
  readonly #parts = new Map<number, AsyncQueue<MessageData>>();
  readonly #feeds = new Set<AsyncQueue<StreamChange[]>>();
  #onFollowing: (() => void) | undefined;
  #following: Promise<void> | undefined;
  #failure: ConatError | undefined;
  // A store of the core opened it, hears what it tells, and closes it.
  readonly #attached: boolean;
  #closed = false;
  #connected = false;

  /** @internal Use `client.sync.stream()`. */
  constructor(
    options: { user: StreamUser; storage: StorageOptions; service: string }, id: number, owner: StreamOwner, attached = false,
  ) {
    super();
    this.#attached = attached;
    this.user = options.user;
    this.storage = options.storage;
    this.service = options.service;
    this.#owner = owner;
    this.#driver = owner.driver;
    this.#id = id;
    bindMethods(this);
  }

  /** Whether it is connected now. */
  isConnected(): boolean {
    return this.#connected;
  }

  isClosed(): boolean {
    return this.#closed;
  }

  // ---- writing ----

  /**
   * Stores a message.
   * @throws ConatError `wrong-last-sequence`, `reject` (a limit of the stream), 408, 503, `closed`, or what opening
   *   the stream failed with.
   */
  async set({ key, messageData, ttl, previousSeq, msgID, timeout }: SetOperation & CallTimeout): Promise<StoredAt> {
    const headers = { cmd: "set", key, ttl, previousSeq, msgID, headers: messageData.headers };
    const request: Request = { headers, payload: messageData, timeout };
    const answer = await (msgID === undefined ? this.#request(request) : this.#repeated(request));
    return answer.data as StoredAt;
  }

  /**
   * Stores several messages; each succeeds or fails on its own.
   * @returns for each `{seq, time}` or `{error, code}`.
   * @throws ConatError 408, 503, `closed`, or what opening the stream failed with.
   */
  async setMany(operations: SetOperation[], { timeout }: CallTimeout = {}): Promise<SetOutcome[]> {
    const items = operations.map(({ key, messageData: { encoding, raw, headers }, ttl, previousSeq, msgID }) => ({
      key, ttl, previousSeq, msgID, messageData: { encoding, raw, headers },
    }));
    const raw = encodeShared(DataEncoding.MsgPack, items).slice();
    const payload = new MessageData({ encoding: DataEncoding.MsgPack, ...blobs(raw) });
    const request: Request = { headers: { cmd: "setMany" }, payload, timeout };
    const repeatable = operations.every(({ msgID }) => msgID !== undefined);
    return (await (repeatable ? this.#repeated(request) : this.#request(request))).data as SetOutcome[];
  }

  /**
   * Deletes messages for good.
   * @returns the sequence numbers of what was deleted.
   */
  async delete({ timeout, all, last_seq, seq, seqs }: DeleteOptions & CallTimeout): Promise<{ seqs: number[] }> {
    const headers = { cmd: "delete", all, last_seq, seq, seqs };
    return (await this.#request({ headers, timeout })).data as { seqs: number[] };
  }

  /** The stream's whole configuration, after what `config` has changed of it. */
  async config({ config, timeout }: { config?: StreamConfig | undefined } & CallTimeout = {}): Promise<Required<StreamConfig>> {
    const request = { headers: { cmd: "config", config }, timeout };
    return (await this.#repeated(request)).data as Required<StreamConfig>;
  }

  // ---- reading ----

  /**
   * One message, by sequence number or key. Its headers have `seq`, `time` (ms), and `key` if it has one.
   * @returns undefined when there is none.
   */
  async get<T = unknown>({ seq, key, timeout }: ({ seq: number; key?: undefined } | { key: string; seq?: undefined }) & CallTimeout): Promise<Message<T> | undefined> {
    const answer = await this.#repeated({ headers: { cmd: "get", seq, key }, timeout });
    if (answer.headers === undefined) return undefined;
    const { encoding, raw } = answer;
    const headers = encodeHeaders(answer.headers);
    const message = { subject: blob(noBytes), encoding, headers: blob(headers), raw: blob(raw) };
    return new Message<T>(message, this.#owner.client, this.#owner.bigint);
  }

  /** All messages, or those from `start_seq` to `end_seq`. */
  async getAll(options: RangeOptions & CallTimeout = {}): Promise<StoredMessage[]> {
    const all: StoredMessage[] = [];
    for await (const messages of this.getAllIter(options)) {
      for (const message of messages) all.push(message);
    }
    return all;
  }

  /** The same in parts as they come. `timeout`: ms for each part. */
  async *getAllIter({ start_seq, end_seq, timeout }: RangeOptions & CallTimeout = {}): AsyncGenerator<StoredMessage[], void, void> {
    const wait = timeoutOf(timeout, defaults.request);
    const end = performance.now() + wait;
    for (let from = start_seq, part = 0; ; ) {
      const parts = this.#requestMany({ headers: { cmd: "getAll", start_seq: from, end_seq, timeout: wait }, timeout: wait });
      try {
        for (let number = 0; ; number++) {
          const { value, done } = await parts.next();
          if (done) return;
          if (value.length === 1 && value.raw[0] === nil[0]) return;
          if (value.headers?.["seq"] !== number) throw new ConatError("a part of the messages is missing", { code: 503 });
          const messages = value.data as StoredMessage[];
          part += 1;
          from = (messages.at(-1)?.seq ?? 0) + 1;
          yield messages;
        }
      } catch (error) {
        if (!isDisconnect(error) || (part === 0 && performance.now() >= end)) throw error;
        part = 0;
      } finally {
        void parts.return();
      }
    }
  }

  /** All keys. */
  async keys({ timeout }: CallTimeout = {}): Promise<string[]> {
    return (await this.#repeated({ headers: { cmd: "keys" }, timeout })).data as string[];
  }

  /** How much there is. */
  async inventory({ timeout }: CallTimeout = {}): Promise<StreamInventory> {
    return (await this.#repeated({ headers: { cmd: "inventory" }, timeout })).data as StreamInventory;
  }

  /** The id of the server that holds the stream. */
  async serverId({ timeout }: CallTimeout = {}): Promise<string> {
    return (await this.#repeated({ headers: { cmd: "serverId" }, timeout })).data as string;
  }

  /** For servers that allow it; Conat's own refuses. @throws ConatError the refusal. */
  async sqlite({ statement, params, timeout }: { statement: string; params?: unknown } & CallTimeout): Promise<unknown> {
    return (await this.#request({ headers: { cmd: "sqlite", statement, params }, timeout })).data;
  }

  /**
   * What changes from now on, in order, in the batches in which it comes; every message that is set exactly once,
   * through disconnects and restarts (one that is set and replaced or deleted while the connection is lost may be
   * missing). Await it to know that it has begun, or iterate over it at once. End it by `return()`, or by leaving
   * the loop.
   */
  changefeed(): Feed<StreamChange[]> {
    this.#assertUsable();
    if (this.#attached) throw new ConatError("the store above has the changefeed: listen to its changes");
    const feed = new AsyncQueue<StreamChange[]>(() => this.#feeds.delete(feed), maxUnreadBytes);
    this.#feeds.add(feed);
    if (this.#following === undefined) {
      this.#following = new Promise((resolve) => (this.#onFollowing = resolve));
      const driver = this.#driver;
      driver.fabric.streamFollowChanges(driver.now(), this.#id);
      driver.schedule();
    }
    const begun = this.#following.then(() => {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#closed) throw closed();
    });
    return feedOf(feed, begun);
  }

  /**
   * Closes it; of an object that was opened several times, the last close counts. Requests that wait fail with
   * `closed`, iterators end. Never throws.
   */
  close(): void {
    if (this.#closed || !this.#owner.release(this)) return;
    this.end();
  }

  // ---- inside ----

  /** @internal */
  end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connected = false;
    const driver = this.#driver;
    if (!this.#attached) driver.fabric.streamClose(driver.now(), this.#id);
    driver.schedule();
    this.#answers.finish();
    this.#finish(undefined);
    this.emit("closed");
    this.removeAllListeners();
  }

  // Ends what is being iterated over.
  #finish(error: ConatError | undefined): void {
    for (const parts of [...this.#parts.values()]) parts.finish(error ?? closed());
    this.#parts.clear();
    for (const feed of [...this.#feeds]) feed.finish(error);
    this.#feeds.clear();
    this.#onFollowing?.();
  }

  /** @internal */
  onRecord(kind: number, reader: RecordReader): void {
    switch (kind) {
      case Kind.streamAnswer:
        return this.#onAnswer(reader);
      case Kind.streamChanges:
        return this.#onChanges(reader);
      case Kind.streamConnection: {
        const connected = reader.flag();
        if (connected && reader.u8() !== followsNothing) this.#onFollowing?.();
        if (connected === this.#connected) return;
        this.#connected = connected;
        this.#driver.later(() => this.emit(connected ? "connected" : "disconnected"));
        return;
      }
      case Kind.streamFailed: {
        const error = errorFrom(reader.error());
        this.#failure = error;
        this.#owner.forget(this);
        this.#finish(error);
        this.#driver.later(() => this.emit("error", error));
        return;
      }
    }
  }

  #onAnswer(reader: RecordReader): void {
    const call = reader.f64();
    const last = reader.flag();
    const ok = reader.flag();
    const parts = this.#parts.get(call);
    if (last) this.#parts.delete(call);
    if (ok) {
      const answer = new MessageData(reader.data(), this.#owner.bigint);
      if (parts === undefined) return this.#answers.resolve(call, answer);
      parts.push(answer, answer.length);
      if (last) parts.finish();
    } else {
      const error = errorFrom(reader.error());
      if (parts === undefined) return this.#answers.reject(call, error);
      parts.finish(error);
    }
  }

  #onChanges(reader: RecordReader): void {
    if (this.#feeds.size === 0) return;
    const changes: StreamChange[] = [];
    let bytes = 0;
    while (!reader.atRecordEnd) {
      if (reader.flag()) {
        const seqs = Array.from({ length: reader.u32() }, () => reader.f64());
        bytes += overhead + 8 * seqs.length;
        changes.push({ op: "delete", seqs });
      } else {
        const change = readMessage(reader);
        bytes += overhead + change.raw.length;
        changes.push(change);
      }
    }
    for (const feed of [...this.#feeds]) feed.push(this.#feeds.size === 1 ? changes : [...changes], bytes);
  }

  #assertUsable(): void {
    if (this.#closed) throw closed();
    if (this.#failure !== undefined) throw this.#failure;
  }

  #send({ headers, payload }: Request, timeout: number, many: boolean): number {
    this.#assertUsable();
    const driver = this.#driver;
    const encoded = encodeHeaders(headers);
    const raw = payload?.raw ?? nil;
    driver.fill("", encoded, raw);
    return driver.check(
      driver.fabric.streamRequest(
        driver.now(), this.#id, encoded.length, raw.length, payload?.encoding ?? DataEncoding.MsgPack, timeout, many,
      ),
    );
  }

  async #request(request: Request): Promise<MessageData> {
    return this.#answers.wait(this.#send(request, timeoutOf(request.timeout, defaults.request), false));
  }

  // For what may be done twice.
  async #repeated(request: Request): Promise<MessageData> {
    const end = performance.now() + timeoutOf(request.timeout, defaults.request);
    for (;;) {
      const left = end - performance.now();
      if (left <= 0) throw timedOut();
      try {
        return await this.#request({ ...request, timeout: left });
      } catch (error) {
        if (!isDisconnect(error)) throw error;
        // A server that is there and refuses is not asked again and again at once.
        if (this.#connected) await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  #requestMany(request: Request): AsyncQueue<MessageData> {
    const call = this.#send(request, timeoutOf(request.timeout, defaults.request), true);
    const parts = new AsyncQueue<MessageData>(() => this.#parts.delete(call), maxUnreadBytes);
    this.#parts.set(call, parts);
    return parts;
  }
}

const blob = (bytes: Uint8Array): { bytes: Uint8Array; start: number; end: number } => ({ bytes, start: 0, end: bytes.length });
const blobs = (raw: Uint8Array): { raw: ReturnType<typeof blob>; headers: ReturnType<typeof blob> } => ({ raw: blob(raw), headers: blob(noBytes) });

/** A message of the changefeed. */
function readMessage(reader: RecordReader): SetChange {
  const [seq, time] = [reader.f64(), reader.f64()];
  const change: SetChange = { seq, time, encoding: 0, raw: noBytes };
  if (reader.flag()) change.key = reader.text();
  const data = reader.data();
  change.encoding = data.encoding;
  change.raw = platform().bytes(data.raw.bytes.slice(data.raw.start, data.raw.end));
  const { bytes, start, end } = data.headers;
  if (end > start) change.headers = decodeBytes(DataEncoding.MsgPack, bytes.subarray(start, end)) as MessageHeaders;
  const messageId = textOf(reader.blob());
  if (messageId !== "") change.msgID = messageId;
  return change;
}
