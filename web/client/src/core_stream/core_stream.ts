// A stream that the client holds whole, in order and by key.
import { ConatError } from "../errors.js";
import { HeldStream } from "../log/held_stream.js";
import { bytesOf, decodeHeaders, readLogChange, type LogChange, type LogEntry, type LogView } from "../log/log_view.js";
import type { HeldCalls, LogStores } from "../log/log_stores.js";
import { messageData, type MessageHeaders } from "../message.js";
import { newMessageId } from "../stream/message_id.js";
import { setInBatches } from "../stream/set_in_batches.js";
import type { CallTimeout, SetOutcome, StorageOptions, StoredAt, StreamUser } from "../stream/types.js";
import { tombstoneHeaders } from "../sync/options.js";
import type { WithClient } from "../sync/default_client.js";
import { wellFormed } from "../wasm/driver.js";
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
export class CoreStream<T = unknown> extends HeldStream<T, CoreStreamOptions, CoreStreamEvents<T>> {
  // Writes that the stream has not told yet.
  readonly #unseen: { seq: number; resolve: () => void }[] = [];

  /** Makes an object of its own; `init()` opens it. `cstream()` shares objects. */
  constructor(options: CoreStreamOptions & WithClient) {
    super(options, callsOf);
  }

  /** Where it is stored. */
  get storage(): Readonly<StorageOptions> {
    return this.below().storage;
  }

  /** Whose it is. */
  get user(): Readonly<StreamUser> {
    return this.below().user;
  }

  // ---- reading in order ----

  /** All values, in order: the same as getAll(). */
  get messages(): T[] {
    return this.getAll();
  }

  /** All messages as they are stored, in order. */
  get raw(): RawStreamMessage[] {
    return this.log().entries().map(rawOf);
  }

  /** Number of messages, and bytes of their encoded values; from `start_seq` on, or all. @throws `closed` */
  stats({ start_seq }: { start_seq?: number | undefined } = {}): { count: number; bytes: number } {
    const view = this.log();
    const { fabric } = this.driver;
    if (start_seq === undefined) return { count: view.length(), bytes: fabric.coreStreamBytes(this.id) };
    const entries = view.entries(fabric.coreStreamIndex(this.id, start_seq));
    return { count: entries.length, bytes: entries.reduce((sum, { raw }) => sum + raw.end - raw.start, 0) };
  }

  // ---- reading by key ----

  #keyed(key: string): LogEntry | undefined {
    const view = this.log();
    const { fabric } = this.driver;
    const seq = fabric.coreStreamKeySeq(this.id, wellFormed(key));
    return seq < 0 ? undefined : view.entry(fabric.coreStreamIndex(this.id, seq));
  }

  #keys(): [key: string, seq: number][] {
    this.log();
    const { driver } = this;
    const reader = driver.resultReader(driver.fabric.coreStreamKeys(this.id));
    const keys: [string, number][] = [];
    while (!reader.atEnd) keys.push([reader.text(), reader.f64()]);
    return keys;
  }

  /** The value of a key, undefined when there is none. @throws `closed` */
  getKv(key: string): T | undefined {
    const entry = this.#keyed(key);
    return entry && this.log().value(entry);
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
      return [key, { mesg: this.log().value(entry) as T, raw: rawOf(entry) }] as const;
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
    this.log();
  }

  // ---- writing ----

  /**
   * Stores a message. undefined deletes the key, and is an error without one.
   * @throws ConatError `wrong-last-sequence`, `reject` (a limit of the stream), 408, 503, `closed`.
   */
  async publish(value: T | undefined, options: CoreStreamPublishOptions = {}): Promise<StoredAt | undefined> {
    const { key, headers, msgID, previousSeq, ttl, timeout } = options;
    const stream = this.below();
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
    const outcomes = await setInBatches(this.below(), operations, options);
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
    const stored = await this.below().set({ key, messageData: message, previousSeq, ttl, msgID: msgID ?? newMessageId(), timeout });
    await this.#seen(stored.seq);
    return stored;
  }

  /** Deletes messages for good. @returns the sequence numbers of what was deleted. */
  async delete({ key, ...options }: CoreStreamDeleteOptions): Promise<{ seqs: number[] }> {
    const { all, last_index, seq, seqs, last_seq, timeout } = options;
    const byKey = !all && [last_index, seq, seqs, last_seq].every((each) => each === undefined);
    if (key === undefined || !byKey) return this.deleteMessages(options);
    const found = this.seqKv(key);
    return found === undefined ? { seqs: [] } : this.deleteMessages({ seq: found, timeout });
  }

  // ---- inside ----

  protected finishWaits(): void {
    for (const { resolve } of this.#unseen.splice(0)) resolve();
  }

  // Resolves when the stream has told the message, which it does within a moment (or when it has caught up, if it is
  // about to), or when the connection is lost.
  #seen(seq: number): Promise<void> {
    if (this.isClosed() || this.driver.fabric.coreStreamSeen(this.id) >= seq) return Promise.resolve();
    return new Promise((resolve) => this.#unseen.push({ seq, resolve }));
  }

  #look(): void {
    if (this.#unseen.length === 0) return;
    const seen = this.driver.fabric.coreStreamSeen(this.id);
    for (const waiting of this.#unseen.splice(0)) {
      if (waiting.seq <= seen) waiting.resolve();
      else this.#unseen.push(waiting);
    }
  }

  /** @internal */
  onRecord(kind: number, reader: RecordReader): void {
    switch (kind) {
      case Kind.coreStreamOpened:
        return this.onOpenedRecord(reader);
      case Kind.coreStreamChange:
        this.#onChange(readLogChange(reader));
        return this.#look();
      case Kind.coreStreamConnection:
        this.onConnectionRecord(reader);
        return this.isConnected() ? this.#look() : this.finishWaits();
      case Kind.coreStreamLoaded:
        return this.onOutcomeRecord(reader);
    }
  }

  #onChange(change: LogChange): void {
    const view = this.view as LogView<T>;
    if (change.isDelete) view.forget(change.seq);
    if (this.listenerCount("change") === 0) return;
    this.driver.later(() => {
      if (this.isClosed()) return;
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

function callsOf({ driver: { fabric } }: LogStores): HeldCalls {
  return {
    kind: "core",
    open: (...options) => fabric.coreStreamOpen(...options),
    close: (now, id) => fabric.coreStreamClose(now, id),
    below: (id) => fabric.coreStreamBelow(id),
    length: (id) => fabric.coreStreamLength(id),
    ids: (id, first) => fabric.coreStreamSeqs(id, first),
    entries: (id, first, count) => fabric.coreStreamEntries(id, first, count),
    start: (id) => fabric.coreStreamStart(id),
    load: (now, id, startSeq) => fabric.coreStreamLoad(now, id, startSeq),
    forget: (now, id, count) => fabric.coreStreamForget(now, id, count),
  };
}

function rawOf({ seq, time, key, headers, raw }: Pick<LogEntry, "seq" | "time" | "key" | "headers" | "raw">): RawStreamMessage {
  const message: RawStreamMessage = { seq: seq ?? 0, timestamp: time ?? 0, raw: bytesOf(raw) };
  if (key !== undefined) message.key = key;
  const decoded = decodeHeaders(headers);
  if (decoded !== undefined) message.headers = decoded;
  return message;
}
