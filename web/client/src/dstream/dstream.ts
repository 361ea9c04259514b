// An append-only stream, with one's own messages at its end at once.
import { Calls } from "../calls.js";
import { DataEncoding, encodeShared } from "../codec.js";
import { bindMethods } from "../dkv/properties.js";
import type { StreamConfig } from "../dkv/options.js";
import { Emitter } from "../emitter.js";
import { closed, ConatError } from "../errors.js";
import { decodeHeaders, encodeSeqs, LogView, readLogChange } from "../log/log_view.js";
import type { LogStores } from "../log/log_stores.js";
import { encodeHeaders, type MessageHeaders } from "../message.js";
import type { StreamClient } from "../stream/stream.js";
import type { CallTimeout, StreamInventory } from "../stream/types.js";
import { storesOf, type WithClient } from "../sync/default_client.js";
import { errorFrom } from "../wasm/driver.js";
import { Record as Kind, type RecordReader } from "../wasm/records.js";
import type { DStreamDeleteOptions, DStreamEvents, DStreamOptions, DStreamPublishOptions } from "./options.js";

/**
 * An append-only stream. Reading and publishing is synchronous, on the local copy; what is published is at the end
 * at once, is saved in the background in the order of the calls, and arrives at all others exactly once, through
 * every disconnect. `stream[n]` is `stream.get(n)`.
 *
 * A message has no sequence number before it is saved, and no time and headers before the stream has told it. Values
 * are decoded once and given out as they are: do not change them. A value that is malformed, which any writer can
 * store, reads as undefined.
 */
export class DStream<T = unknown> extends Emitter<DStreamEvents<T>> {
  /** What it was opened with. */
  readonly opts: Readonly<DStreamOptions>;
  readonly #stores: LogStores;
  #release: (stream: object) => boolean = () => true;
  #id = 0;
  #stream: StreamClient | undefined;
  #view: LogView<T> | undefined;
  readonly #saves = new Calls<true>();
  readonly #loads = new Calls<true>();
  #opened: Promise<void> | undefined;
  #onOpened: (error?: ConatError) => void = () => undefined;
  #connected = false;
  #closed = false;
  readonly [n: number]: T | undefined;

  /** Makes an object of its own; `init()` opens it. `dstream()` shares objects. */
  constructor({ client, ...options }: DStreamOptions & WithClient) {
    super();
    this.opts = options;
    this.#stores = storesOf(client).logs;
    bindMethods(this);
    return withIndexes(this);
  }

  /** Opens it. @throws ConatError 400, 403, 429; other failures are retried for ever. */
  async init(): Promise<void> {
    if (this.#closed) throw closed();
    await (this.#opened ??= this.#open());
  }

  #open(): Promise<void> {
    const { driver } = this.#stores;
    this.#id = this.#stores.openDStream(this as DStream, this.opts);
    const id = this.#id;
    this.#stream = this.#stores.below(driver.fabric.dstreamBelow(id), this.opts);
    this.#view = new LogView<T>(driver, {
      length: () => driver.fabric.dstreamLength(id),
      ids: (first) => driver.fabric.dstreamIds(id, first),
      entries: (first, count) => driver.fabric.dstreamEntries(id, first, count),
    }, this.#stores.bigint);
    return new Promise<void>((resolve, reject) => {
      this.#onOpened = (error) => (error === undefined ? resolve() : reject(error));
    });
  }

  /** @internal Who counts the users of a shared object. */
  onRelease(release: (stream: object) => boolean): void {
    this.#release = release;
  }

  /** Whether it is connected and up to date; local work goes on without. */
  isConnected(): boolean {
    return this.#connected;
  }

  isClosed(): boolean {
    return this.#closed;
  }

  /** The stream below, for its commands. */
  get stream(): StreamClient {
    return this.#below();
  }

  /** What is before this number is not here; undefined: everything is. */
  get start_seq(): number | undefined {
    this.#below();
    return this.#stores.driver.fabric.dstreamStart(this.#id) || undefined;
  }

  // ---- reading ----

  /** The value at an index, undefined when there is none; without an index all values. @throws `closed` */
  get(): T[];
  get(n: number): T | undefined;
  get(n?: number): T | T[] | undefined {
    if (n === undefined) return this.getAll();
    const view = this.#log();
    const entry = view.entry(n);
    return entry && view.value(entry);
  }

  /** All values, one's own unsaved ones at the end. @throws `closed` */
  getAll(): T[] {
    return this.#log().values() as T[];
  }

  /** How many messages there are, the unsaved ones included. @throws `closed` */
  get length(): number {
    return this.#log().length();
  }

  /** The sequence number of the message at an index; undefined before it is saved. @throws `closed` */
  seq(n: number): number | undefined {
    return this.#log().entry(n)?.seq;
  }

  /** The sequence numbers of all messages that have one. @throws `closed` */
  seqs(): number[] {
    return [...this.#log().ids()].filter((id) => id > 0);
  }

  /** When the server stored the message at an index; undefined before the stream has told it. @throws `closed` */
  time(n: number): Date | undefined {
    const time = this.#log().entry(n)?.time;
    return time === undefined ? undefined : new Date(time);
  }

  /** When the server stored each message. @throws `closed` */
  times(): (Date | undefined)[] {
    return this.#log().entries().map(({ time }) => (time === undefined ? undefined : new Date(time)));
  }

  /** The headers of the message at an index, once the stream has told it. @throws `closed` */
  headers(n: number): MessageHeaders | undefined {
    const entry = this.#log().entry(n);
    return entry && decodeHeaders(entry.headers);
  }

  // ---- writing ----

  /**
   * Adds a message to the end: visible at once, saved in the background.
   * @throws ConatError `closed`, 413 (over 32 MiB); Error for undefined, or what cannot be encoded.
   */
  publish(value: T, { headers, ttl = 0 }: DStreamPublishOptions = {}): void {
    this.#below();
    if (value === undefined) throw new ConatError("a message must not be 'undefined'");
    const { driver } = this.#stores;
    const encodedHeaders = encodeHeaders(headers);
    const raw = encodeShared(DataEncoding.MsgPack, value);
    driver.fill("", encodedHeaders, raw);
    driver.check(
      driver.fabric.dstreamPublish(driver.now(), this.#id, encodedHeaders.length, raw.length, DataEncoding.MsgPack, ttl),
    );
  }

  /** Adds several messages. @throws as publish. */
  push(...values: T[]): void {
    for (const value of values) this.publish(value);
  }

  /**
   * Resolves when nothing is unsaved: every message is acknowledged, or was rejected. With `noAutosave` it is one
   * attempt, which may fail.
   * @throws ConatError `closed`; with `noAutosave` also what the attempt failed with.
   */
  async save(): Promise<void> {
    this.#below();
    const { driver } = this.#stores;
    await this.#saves.wait(driver.check(driver.fabric.dstreamSave(driver.now(), this.#id)));
  }

  /** Whether something is not acknowledged yet. @throws `closed` */
  hasUnsavedChanges(): boolean {
    this.#below();
    return this.#stores.driver.fabric.dstreamUnsaved(this.#id) > 0;
  }

  /** The messages that are not acknowledged yet. @throws `closed` */
  unsavedChanges(): T[] {
    const view = this.#log();
    const length = view.length();
    const unsaved = this.#stores.driver.fabric.dstreamUnsaved(this.#id);
    return view.entries(length - unsaved, length).map((entry) => view.value(entry) as T);
  }

  /** Whether everything is saved and told by the stream. @throws `closed` */
  isStable(): boolean {
    this.#below();
    return this.#stores.driver.fabric.dstreamIsStable(this.#id);
  }

  /** Saves, then deletes messages for good. @returns the sequence numbers of what was deleted. */
  async delete({ all, last_index, seq, seqs, last_seq, timeout }: DStreamDeleteOptions): Promise<{ seqs: number[] }> {
    await this.save();
    const stream = this.#below();
    let wanted = { all, seq, seqs, last_seq };
    if (!all && last_index !== undefined) {
      if (last_index < 0) return { seqs: [] };
      wanted = last_index >= this.length ? { ...wanted, all: true } : { ...wanted, last_seq: this.seq(last_index) };
    }
    const deleted = await stream.delete({ ...wanted, timeout });
    if (!this.#closed) this.#forget(deleted.seqs);
    return deleted;
  }

  #forget(seqs: number[]): void {
    const { driver } = this.#stores;
    driver.fill("", encodeSeqs(seqs));
    driver.fabric.dstreamForget(driver.now(), this.#id, seqs.length);
    driver.schedule();
  }

  /** Also loads what is before what it was opened with, from `start_seq` on; each message is a `change`. */
  async load({ start_seq = 0 }: { start_seq?: number | undefined } = {}): Promise<void> {
    this.#below();
    const { driver } = this.#stores;
    await this.#loads.wait(driver.check(driver.fabric.dstreamLoad(driver.now(), this.#id, start_seq)));
  }

  /** The configuration, after what `config` has changed of it. */
  async config(config?: StreamConfig, options: CallTimeout = {}): Promise<Required<StreamConfig>> {
    return this.#below().config({ config, ...options });
  }

  /** How much the server has. */
  async inventory(options: CallTimeout = {}): Promise<StreamInventory> {
    return this.#below().inventory(options);
  }

  /**
   * Closes it; of an object that was opened several times, the last close counts. What was published before is still
   * sent (with `noAutosave` it is lost). Afterwards methods throw `closed`. Never throws itself.
   */
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
      driver.fabric.dstreamClose(driver.now(), this.#id);
      driver.schedule();
      this.#stores.closedDStream(this.#id);
    }
    this.#saves.finish();
    this.#loads.finish();
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

  /** @internal */
  onRecord(kind: number, reader: RecordReader): void {
    const { driver } = this.#stores;
    switch (kind) {
      case Kind.dstreamOpened: {
        const error = reader.optionalError();
        this.#onOpened(error && errorFrom(error));
        return;
      }
      case Kind.dstreamChange:
        return this.#onChange(reader);
      case Kind.dstreamRejected: {
        const [value, error] = [reader.value(), errorFrom(reader.error())];
        driver.later(() => this.emit("reject", { err: error, mesg: value && this.#view?.decode(value) }));
        return;
      }
      case Kind.dstreamStable:
        driver.later(() => this.emit("stable"));
        return;
      case Kind.dstreamConnection: {
        const connected = reader.flag();
        this.#connected = connected;
        driver.later(() => this.emit(connected ? "connected" : "disconnected"));
        return;
      }
      case Kind.dstreamSaved:
      case Kind.dstreamLoaded: {
        const calls = kind === Kind.dstreamSaved ? this.#saves : this.#loads;
        const call = reader.f64();
        const error = reader.optionalError();
        if (error === undefined) calls.resolve(call, true);
        else calls.reject(call, errorFrom(error));
        return;
      }
    }
  }

  #onChange(reader: RecordReader): void {
    const { isDelete, seq, data } = readLogChange(reader);
    if (isDelete) return this.#view?.forget(seq);
    if (this.listenerCount("change") === 0) return;
    this.#stores.driver.later(() => {
      if (!this.#closed) this.emit("change", this.#view?.remember(seq, data) as T, seq);
    });
  }
}

const index = /^(0|[1-9]\d*)$/;

// `stream[n]`.
function withIndexes<T>(stream: DStream<T>): DStream<T> {
  return new Proxy(stream, {
    get: (target, name) => (typeof name === "string" && index.test(name) ? target.get(Number(name)) : Reflect.get(target, name, target)),
    set(target, name) {
      if (name in target) throw new TypeError(`method name '${String(name)}' is read only`);
      throw new TypeError("publish() adds messages; they are not assigned");
    },
    has: (target, name) => (typeof name === "string" && index.test(name) ? Number(name) < target.length : Reflect.has(target, name)),
  });
}
