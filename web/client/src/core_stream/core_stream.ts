// A stream that the client holds whole, in order and by key.
import { Calls } from "../calls.js";
import { bindMethods } from "../dkv/properties.js";
import type { StreamConfig } from "../dkv/options.js";
import { Emitter } from "../emitter.js";
import { closed, ConatError } from "../errors.js";
import { setInBatches } from "../akv/akv.js";
import { bytesOf, decodeHeaders, encodeSeqs, LogView, readLogChange, type LogChange, type LogEntry } from "../log/log_view.js";
import type { LogStores } from "../log/log_stores.js";
import { messageData, type MessageHeaders } from "../message.js";
import { newMessageId } from "../stream/message_id.js";
import type { StreamClient } from "../stream/stream.js";
import type { CallTimeout, SetOutcome, StorageOptions, StoredAt, StreamInventory, StreamUser } from "../stream/types.js";
import { tombstoneHeaders } from "../sync/options.js";
import { storesOf, type WithClient } from "../sync/default_client.js";
import { errorFrom, wellFormed } from "../wasm/driver.js";
import { Record as Kind, type RecordReader } from "../wasm/records.js";
import type {
  CoreStreamDeleteOptions, CoreStreamEvents, CoreStreamOptions, CoreStreamPublishOptions, RawStreamMessage,
} from "./options.js";

const tombstoneTtl = 24 * 60 * 60 * 1000;

/**
 * A stream with a local copy of its messages: reading is synchronous, writing is awaited. A message with a key
 * replaces the older one of its key. What was written is in the copy when the call that wrote it resolves.
 *
 * Values are decoded once and given out as they are: do not change them. A value that is malformed, which any
 * writer can store, reads as undefined.
 */
export class CoreStream<T = unknown> extends Emitter<CoreStreamEvents<T>> {
  /** What it was opened with. */
  readonly opts: Readonly<CoreStreamOptions>;
  readonly #stores: LogStores;
  #release: (stream: object) => boolean = () => true;
  #id = 0;
  #stream: StreamClient | undefined;
  #view: LogView<T> | undefined;
  readonly #loads = new Calls<true>();
  // Writes that the stream has not told yet.
  readonly #unseen: { seq: number; resolve: () => void }[] = [];
  #opened: Promise<void> | undefined;
  #onOpened: (error?: ConatError) => void = () => undefined;
  #connected = false;
  #closed = false;

  /** Makes an object of its own; `init()` opens it. `cstream()` shares objects. */
  constructor({ client, ...options }: CoreStreamOptions & WithClient) {
    super();
    this.opts = options;
    this.#stores = storesOf(client).logs;
    bindMethods(this);
  }

  /** Opens it. @throws ConatError 400, 403, 429; other failures are retried for ever. */
  async init(): Promise<void> {
    if (this.#closed) throw closed();
    await (this.#opened ??= this.#open());
  }

  #open(): Promise<void> {
    const { driver } = this.#stores;
    this.#id = this.#stores.openCore(this, this.opts);
    const id = this.#id;
    this.#stream = this.#stores.below(driver.fabric.coreStreamBelow(id), this.opts);
    this.#view = new LogView<T>(driver, {
      length: () => driver.fabric.coreStreamLength(id),
      ids: (first) => driver.fabric.coreStreamSeqs(id, first),
      entries: (first, count) => driver.fabric.coreStreamEntries(id, first, count),
    }, this.#stores.bigint);
    return new Promise<void>((resolve, reject) => {
      this.#onOpened = (error) => (error === undefined ? resolve() : reject(error));
    });
  }

  /** @internal Who counts the users of a shared object. */
  onRelease(release: (stream: object) => boolean): void {
    this.#release = release;
  }

  isConnected(): boolean {
    return this.#connected;
  }

  isClosed(): boolean {
    return this.#closed;
  }

  /** Where it is stored. */
  get storage(): Readonly<StorageOptions> {
    return this.#below().storage;
  }

  /** Whose it is. */
  get user(): Readonly<StreamUser> {
    return this.#below().user;
  }

  /** What is before this number is not here; undefined: everything is. */
  get start_seq(): number | undefined {
    this.#below();
    return this.#stores.driver.fabric.coreStreamStart(this.#id) || undefined;
  }

  // ---- reading by index ----

  /** The value at an index, undefined when there is none; without an index all values. @throws `closed` */
  get(): T[];
  get(n: number): T | undefined;
  get(n?: number): T | T[] | undefined {
    if (n === undefined) return this.getAll();
    const view = this.#log();
    const entry = view.entry(n);
    return entry && view.value(entry);
  }

  /** All values, in order. @throws `closed` */
  getAll(): T[] {
    return this.#log().values() as T[];
  }

  /** How many messages there are. @throws `closed` */
  get length(): number {
    return this.#log().length();
  }

  /** The sequence number of the message at an index. @throws `closed` */
  seq(n: number): number | undefined {
    return this.#log().entry(n)?.seq;
  }

  /** All sequence numbers. @throws `closed` */
  seqs(): number[] {
    return [...this.#log().ids()];
  }

  /** When the server stored the message at an index. @throws `closed` */
  time(n: number): Date | undefined {
    const time = this.#log().entry(n)?.time;
    return time === undefined ? undefined : new Date(time);
  }

  /** When the server stored each message. @throws `closed` */
  times(): (Date | undefined)[] {
    return this.#log().entries().map(({ time }) => (time === undefined ? undefined : new Date(time)));
  }

  /** The headers of the message at an index; undefined when it has none. @throws `closed` */
  headers(n: number): MessageHeaders | undefined {
    const entry = this.#log().entry(n);
    return entry && decodeHeaders(entry.headers);
  }

  /** All values, in order: the same as getAll(). */
  get messages(): T[] {
    return this.getAll();
  }

  /** All messages as they are stored, in order. */
  get raw(): RawStreamMessage[] {
    return this.#log().entries().map(rawOf);
  }

  /** Number of messages, and bytes of their encoded values; from `start_seq` on, or all. @throws `closed` */
  stats({ start_seq }: { start_seq?: number | undefined } = {}): { count: number; bytes: number } {
    const view = this.#log();
    const { fabric } = this.#stores.driver;
    if (start_seq === undefined) return { count: view.length(), bytes: fabric.coreStreamBytes(this.#id) };
    const entries = view.entries(fabric.coreStreamIndex(this.#id, start_seq));
    return { count: entries.length, bytes: entries.reduce((sum, { raw }) => sum + raw.end - raw.start, 0) };
  }

  // ---- reading by key ----

  #keyed(key: string): LogEntry | undefined {
    const view = this.#log();
    const { fabric } = this.#stores.driver;
    const seq = fabric.coreStreamKeySeq(this.#id, wellFormed(key));
    return seq < 0 ? undefined : view.entry(fabric.coreStreamIndex(this.#id, seq));
  }

  #keys(): [key: string, seq: number][] {
    this.#log();
    const { driver } = this.#stores;
    const reader = driver.resultReader(driver.fabric.coreStreamKeys(this.#id));
    const keys: [string, number][] = [];
    while (!reader.atEnd) keys.push([reader.text(), reader.f64()]);
    return keys;
  }

  /** The value of a key, undefined when there is none. @throws `closed` */
  getKv(key: string): T | undefined {
    const entry = this.#keyed(key);
    return entry && this.#log().value(entry);
  }

  /** Whether the key has a value. @throws `closed` */
  hasKv(key: string): boolean {
    return this.#keyed(key) !== undefined;
  }

  /** All keys that have a value, in the order of insertion. @throws `closed` */
  keysKv(): string[] {
    return this.#keys().map(([key]) => key);
  }

  /** All keys with their values, in the order of insertion. @throws `closed` */
  getAllKv(): Record<string, T> {
    return Object.fromEntries(this.#keys().map(([key]) => [key, this.getKv(key) as T]));
  }

  /** The messages of all keys. */
  get kv(): Record<string, { mesg: T; raw: RawStreamMessage }> {
    const messages = this.#keys().map(([key]) => {
      const entry = this.#keyed(key) as LogEntry;
      return [key, { mesg: this.#log().value(entry) as T, raw: rawOf(entry) }] as const;
    });
    return Object.fromEntries(messages);
  }

  /** The sequence number of the key's message. @throws `closed` */
  seqKv(key: string): number | undefined {
    return this.#keyed(key)?.seq;
  }

  /** When the server stored the key's message; without a key all times. @throws `closed` */
  timeKv(): Record<string, Date>;
  timeKv(key: string): Date | undefined;
  timeKv(key?: string): Date | Record<string, Date> | undefined {
    if (key === undefined) return Object.fromEntries(this.#keys().map(([each]) => [each, this.timeKv(each) as Date]));
    const time = this.#keyed(key)?.time;
    return time === undefined ? undefined : new Date(time);
  }

  /** The headers of the key's message; undefined when it has none. @throws `closed` */
  headersKv(key: string): MessageHeaders | undefined {
    const entry = this.#keyed(key);
    return entry && decodeHeaders(entry.headers);
  }

  /** How many keys have a value. @throws `closed` */
  get lengthKv(): number {
    return this.#keys().length;
  }

  /** Nothing is left of replaced messages that would have to be collected. */
  gcKv(): void {
    this.#log();
  }

  // ---- writing ----

  /**
   * Stores a message. undefined deletes the key, and is an error without one.
   * @throws ConatError `wrong-last-sequence`, `reject` (a limit of the stream), 408, 503, `closed`.
   */
  async publish(value: T | undefined, options: CoreStreamPublishOptions = {}): Promise<StoredAt | undefined> {
    const { key, headers, msgID, previousSeq, ttl, timeout } = options;
    const stream = this.#below();
    if (value === undefined) {
      if (key === undefined) throw new ConatError("a message must not be 'undefined'");
      return this.deleteKv(key, options);
    }
    const message = messageData(value, { headers });
    const stored = await stream.set({ key, messageData: message, previousSeq, ttl, msgID: msgID ?? newMessageId(), timeout });
    await this.#seen(stored.seq);
    return stored;
  }

  /**
   * Stores several messages, in batches; each succeeds or fails on its own.
   * @returns for each `{seq, time}` or `{error, code}`.
   */
  async publishMany(messages: { mesg: T; options?: CoreStreamPublishOptions | undefined }[], options: CallTimeout = {}): Promise<SetOutcome[]> {
    const operations = messages.map(({ mesg, options: { key, headers, msgID, previousSeq, ttl } = {} }) => {
      if (mesg === undefined) throw new ConatError("a message must not be 'undefined'");
      return { key, messageData: messageData(mesg, { headers }), previousSeq, ttl, msgID: msgID ?? newMessageId() };
    });
    const outcomes = await setInBatches(this.#below(), operations, options);
    await this.#seen(Math.max(0, ...outcomes.map((outcome) => ("seq" in outcome ? outcome.seq : 0))));
    return outcomes;
  }

  /** Stores the message of a key. @throws as publish. */
  async setKv(key: string, value: T | undefined, options: Omit<CoreStreamPublishOptions, "key"> = {}): Promise<StoredAt | undefined> {
    return this.publish(value, { ...options, key });
  }

  /** Stores the messages of several keys. @returns as publishMany. */
  async setKvMany(messages: { key: string; mesg: T; options?: Omit<CoreStreamPublishOptions, "key"> | undefined }[]): Promise<SetOutcome[]> {
    return this.publishMany(messages.map(({ key, mesg, options }) => ({ mesg, options: { ...options, key } })));
  }

  /** Deletes a key: what is stored instead says so and expires. Does nothing for a key that has no value. */
  async deleteKv(key: string, options: Omit<CoreStreamPublishOptions, "key" | "headers"> = {}): Promise<StoredAt | undefined> {
    if (!this.hasKv(key)) return undefined;
    const { msgID, previousSeq, ttl = tombstoneTtl, timeout } = options;
    const message = messageData(null, { headers: { ...tombstoneHeaders } });
    const stored = await this.#below().set({ key, messageData: message, previousSeq, ttl, msgID: msgID ?? newMessageId(), timeout });
    await this.#seen(stored.seq);
    return stored;
  }

  /** Deletes messages for good. @returns the sequence numbers of what was deleted. */
  async delete({ all, last_index, seq, seqs, last_seq, key, timeout }: CoreStreamDeleteOptions): Promise<{ seqs: number[] }> {
    const stream = this.#below();
    const nothing = { seqs: [] };
    let wanted = { all, seq, seqs, last_seq };
    if (!all && last_index !== undefined) {
      if (last_index < 0) return nothing;
      wanted = last_index >= this.length ? { ...wanted, all: true } : { ...wanted, last_seq: this.seq(last_index) };
    } else if (!all && key !== undefined && seq === undefined && seqs === undefined && last_seq === undefined) {
      wanted = { ...wanted, seq: this.seqKv(key) };
      if (wanted.seq === undefined) return nothing;
    }
    const deleted = await stream.delete({ ...wanted, timeout });
    if (!this.#closed) this.#forget(deleted.seqs);
    return deleted;
  }

  #forget(seqs: number[]): void {
    const { driver } = this.#stores;
    driver.fill("", encodeSeqs(seqs));
    driver.fabric.coreStreamForget(driver.now(), this.#id, seqs.length);
    driver.schedule();
  }

  /** Also loads what is before what it was opened with, from `start_seq` on; each message is a `change`. */
  async load({ start_seq = 0 }: { start_seq?: number | undefined } = {}): Promise<void> {
    this.#below();
    const { driver } = this.#stores;
    await this.#loads.wait(driver.check(driver.fabric.coreStreamLoad(driver.now(), this.#id, start_seq)));
  }

  /** The configuration, after what `config` has changed of it. */
  async config(config?: StreamConfig, options: CallTimeout = {}): Promise<Required<StreamConfig>> {
    return this.#below().config({ config, ...options });
  }

  /** How much the server has. */
  async inventory(options: CallTimeout = {}): Promise<StreamInventory> {
    return this.#below().inventory(options);
  }

  /** Closes it; of an object that was opened several times, the last close counts. Never throws. */
  close(): void {
    if (this.#closed || !this.#release(this)) return;
    this.end();
  }

  // ---- inside ----

  /** @internal */
  end(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#id !== 0) {
      const { driver } = this.#stores;
      this.#stream?.close();
      driver.fabric.coreStreamClose(driver.now(), this.#id);
      driver.schedule();
      this.#stores.closedCore(this.#id);
    }
    this.#loads.finish();
    for (const { resolve } of this.#unseen.splice(0)) resolve();
    this.#onOpened(closed());
    this.emit("closed");
    this.removeAllListeners();
  }

  #below(): StreamClient {
    if (this.#closed) throw closed();
    if (this.#stream === undefined) throw new ConatError("it is not open: await init()");
    return this.#stream;
  }

  #log(): LogView<T> {
    this.#below();
    return this.#view as LogView<T>;
  }

  // Resolves when the stream has told the message, which it does within a moment (or when it has caught up, if it is
  // about to), or when the connection is lost.
  #seen(seq: number): Promise<void> {
    const { fabric } = this.#stores.driver;
    if (this.#closed || fabric.coreStreamSeen(this.#id) >= seq) return Promise.resolve();
    return new Promise((resolve) => this.#unseen.push({ seq, resolve }));
  }

  #look(): void {
    if (this.#unseen.length === 0) return;
    const seen = this.#stores.driver.fabric.coreStreamSeen(this.#id);
    for (const waiting of this.#unseen.splice(0)) {
      if (waiting.seq <= seen) waiting.resolve();
      else this.#unseen.push(waiting);
    }
  }

  /** @internal */
  onRecord(kind: number, reader: RecordReader): void {
    switch (kind) {
      case Kind.coreStreamOpened: {
        const error = reader.optionalError();
        this.#onOpened(error && errorFrom(error));
        return;
      }
      case Kind.coreStreamChange: {
        this.#onChange(readLogChange(reader));
        return this.#look();
      }
      case Kind.coreStreamConnection: {
        const connected = reader.flag();
        this.#connected = connected;
        if (connected) this.#look();
        else for (const { resolve } of this.#unseen.splice(0)) resolve();
        this.#stores.driver.later(() => this.emit(connected ? "connected" : "disconnected"));
        return;
      }
      case Kind.coreStreamLoaded: {
        const call = reader.f64();
        const error = reader.optionalError();
        if (error === undefined) this.#loads.resolve(call, true);
        else this.#loads.reject(call, errorFrom(error));
        return;
      }
    }
  }

  #onChange(change: LogChange): void {
    const view = this.#view as LogView<T>;
    if (change.isDelete) view.forget(change.seq);
    if (this.listenerCount("change") === 0) return;
    this.#stores.driver.later(() => {
      if (this.#closed) return;
      const { isDelete, seq, time, key, tombstone, data, previous, msgID } = change;
      const raw = rawOf({ seq, time, key, ...data });
      const event: CoreStreamEvents<T>["change"][0] = { mesg: undefined, raw };
      if (!isDelete && !tombstone) event.mesg = view.remember(seq, data);
      if (key !== undefined) event.key = key;
      const prev = previous && view.decode(previous);
      if (prev !== undefined) event.prev = prev;
      if (msgID !== undefined) event.msgID = msgID;
      this.emit("change", event);
    });
  }
}

function rawOf({ seq, time, key, headers, raw }: Pick<LogEntry, "seq" | "time" | "key" | "headers" | "raw">): RawStreamMessage {
  const message: RawStreamMessage = { seq: seq ?? 0, timestamp: time ?? 0, raw: bytesOf(raw) };
  if (key !== undefined) message.key = key;
  const decoded = decodeHeaders(headers);
  if (decoded !== undefined) message.headers = decoded;
  return message;
}
