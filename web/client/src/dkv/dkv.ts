// One open key-value store.
import { Calls } from "../calls.js";
import { DataEncoding, decodeBytes, encodeShared } from "../codec.js";
import { Emitter } from "../emitter.js";
import { closed, ConatError } from "../errors.js";
import { encodeHeaders, type MessageHeaders } from "../message.js";
import { OfflineCopy } from "../offline/offline_copy.js";
import { platform } from "../platform.js";
import type { StreamClient } from "../stream/stream.js";
import { storesOf, type WithClient } from "../sync/default_client.js";
import { errorFrom, wellFormed, type Driver } from "../wasm/driver.js";
import { Record as Kind, type EncodedValue, type RecordReader } from "../wasm/records.js";
import { withProperties } from "./properties.js";
import { locationOf, type DKVEvents, type DKVOptions, type MergeFunction, type SetOptions } from "./options.js";

/** @internal What a store needs of what opens it. */
export interface StoreOwner {
  driver: Driver;
  bigint: boolean;
  /** Opens it in the core; returns its number there. */
  start(store: DKV, options: DKVOptions): number;
  /** The stream below. */
  below(id: number, options: DKVOptions): StreamClient;
  /** Somebody closed the store; returns whether it was the last. */
  release(store: object): boolean;
  /** It is closed. */
  closed(id: number): void;
}

const noBytes = new Uint8Array(0);

/**
 * An eventually consistent key-value store. Reading and writing is synchronous, on the local copy; changes are saved
 * in the background and arrive at all others, through every disconnect.
 *
 * Keys are properties too: `kv.a = 5`, `delete kv.a`, `"a" in kv`, `Object.keys(kv)`. A key that is the name of a
 * method is reached by `get` and `set` alone. Every `get` decodes a new value: changing it changes nothing in the
 * store before it is `set`. A value that is malformed, which any writer can store, reads as undefined.
 */
export class DKV<T = unknown> extends Emitter<DKVEvents<T>> {
  /** What the store was opened with. */
  readonly opts: Readonly<DKVOptions<T>>;
  readonly #owner: StoreOwner;
  readonly #driver: Driver;
  #id = 0;
  readonly #saves = new Calls<true>();
  readonly #merge: MergeFunction<T> | undefined;
  #opened: Promise<void> | undefined;
  #below: StreamClient | undefined;
  #onOpened: (error?: ConatError) => void = () => undefined;
  #offline: OfflineCopy | undefined;
  #closed = false;
  #connected = false;
  [key: string]: unknown;

  /** Makes an object of its own; `init()` opens it. `client.dkv()` shares objects, and is what programs mostly want. */
  constructor(options: DKVOptions<T> & WithClient);
  /** @internal */
  constructor(options: DKVOptions<T>, owner: StoreOwner);
  constructor({ client, ...options }: DKVOptions<T> & WithClient, owner?: StoreOwner) {
    super();
    this.opts = options as DKVOptions<T>;
    this.#owner = owner ?? storesOf(client).dkvOwner;
    this.#driver = this.#owner.driver;
    this.#merge = typeof options.merge === "function" ? options.merge : undefined;
    if (owner === undefined) return withProperties(this) as this;
  }

  /** Resolves when the store is loaded. @throws ConatError 400, 403, 429; other failures are retried for ever. */
  async init(): Promise<void> {
    if (this.#closed) throw closed();
    await (this.#opened ??= this.#start());
  }

  #start(): Promise<void> {
    return this.opts.offline ? this.#startOffline() : this.#begin();
  }

  async #startOffline(): Promise<void> {
    const driver = this.#driver;
    const copy = await OfflineCopy.open(this.opts.name, `conat dkv ${driver.url} ${locationOf(this.opts).path}`);
    if (this.#closed) {
      copy?.close();
      throw closed();
    }
    const opened = this.#begin();
    this.#offline = copy;
    const id = this.#id;
    const attached = copy?.attach({
      kept: (changes) => driver.result(driver.fabric.dkvKept(id, changes)),
      isConnected: () => this.#connected,
      hasUnsavedChanges: () => driver.fabric.dkvHasUnsavedChanges(id),
      restore: (state, changes, openNow) => {
        driver.fill("", state, changes);
        driver.check(driver.fabric.dkvRestore(driver.now(), id, state.length, changes.length, openNow));
      },
    });
    await Promise.all([opened, attached]);
  }

  #begin(): Promise<void> {
    this.#id = this.#owner.start(this as DKV, this.opts as DKVOptions);
    return new Promise<void>((resolve, reject) => {
      this.#onOpened = (error) => (error === undefined ? resolve() : reject(error));
    });
  }

  /** The stream below, for its commands (`config`, `inventory`) and its place (`storage.path`). */
  get kv(): StreamClient {
    this.#assertOpen();
    return (this.#below ??= this.#owner.below(this.#id, this.opts as DKVOptions));
  }

  /** Whether the store is connected and up to date; local work goes on without. */
  isConnected(): boolean {
    return this.#connected;
  }

  /** Whether it was closed. */
  isClosed(): boolean {
    return this.#closed;
  }

  // ---- reading ----

  /** The value of a key, undefined when there is none; without a key everything. @throws `closed` */
  get(): Record<string, T>;
  get(key: string): T | undefined;
  get(key?: string): T | Record<string, T> | undefined {
    if (key === undefined) return this.getAll();
    this.#assertOpen();
    const length = this.#driver.fabric.dkvGet(this.#id, wellFormed(key));
    if (length < 0) return undefined;
    const bytes = this.#driver.result(length);
    return this.#decode({ encoding: bytes[0] as number, raw: { bytes, start: 1, end: length } });
  }

  /** All keys with their values, in the order of insertion. @throws `closed` */
  getAll(): Record<string, T> {
    const reader = this.#entries(false);
    const all: Record<string, T> = {};
    while (!reader.atEnd) {
      const key = reader.text();
      const value = this.#decode({ encoding: reader.u8(), raw: reader.blob() });
      if (value === undefined) continue;
      // `__proto__` is a key like any other.
      Object.defineProperty(all, key, { value, writable: true, enumerable: true, configurable: true });
    }
    return all;
  }

  /** Whether the key has a value. @throws `closed` */
  has(key: string): boolean {
    this.#assertOpen();
    return this.#driver.fabric.dkvHas(this.#id, wellFormed(key));
  }

  /** All keys, in the order of insertion. @throws `closed` */
  keys(): string[] {
    const reader = this.#entries(true);
    const keys: string[] = [];
    while (!reader.atEnd) keys.push(reader.text());
    return keys;
  }

  /** How many keys there are. @throws `closed` */
  get length(): number {
    this.#assertOpen();
    return this.#driver.fabric.dkvSize(this.#id);
  }

  /** When the server stored the key's value, undefined before its echo; without a key all times. @throws `closed` */
  time(): Record<string, Date>;
  time(key: string): Date | undefined;
  time(key?: string): Date | Record<string, Date> | undefined {
    if (key === undefined) {
      const times = Object.create(null) as Record<string, Date>;
      for (const each of this.keys()) {
        const time = this.time(each);
        if (time !== undefined) times[each] = time;
      }
      return times;
    }
    this.#assertOpen();
    const time = this.#driver.fabric.dkvTime(this.#id, wellFormed(key));
    return time < 0 ? undefined : new Date(time);
  }

  /** The sequence number of the key's value in the stream below, undefined before its echo. @throws `closed` */
  seq(key: string): number | undefined {
    this.#assertOpen();
    const seq = this.#driver.fabric.dkvSeq(this.#id, wellFormed(key));
    return seq < 0 ? undefined : seq;
  }

  /** The headers that the key's value was set with; local ones at once. @throws `closed` */
  headers(key: string): MessageHeaders | undefined {
    this.#assertOpen();
    const length = this.#driver.fabric.dkvHeaders(this.#id, wellFormed(key));
    if (length <= 0) return undefined;
    return decodeBytes(DataEncoding.MsgPack, this.#driver.result(length)) as MessageHeaders;
  }

  // ---- writing ----

  /**
   * Sets a key, visible at once and saved in the background. undefined deletes; null is a value.
   * @throws ConatError `closed`, 413 (a value over 32 MiB); Error when the value cannot be encoded.
   */
  set(key: string, value: T | undefined, options: SetOptions = {}): void {
    this.#assertOpen();
    if (value === undefined) return this.delete(key);
    const driver = this.#driver;
    const headers = encodeHeaders(options.headers);
    const raw = encodeShared(DataEncoding.MsgPack, value);
    driver.fill("", headers, raw);
    driver.check(
      driver.fabric.dkvSet(driver.now(), this.#id, wellFormed(key), headers.length, raw.length, DataEncoding.MsgPack),
    );
    this.#offline?.changed();
  }

  /** Sets several keys. @throws as `set`. */
  setMany(values: Record<string, T | undefined>): void {
    for (const [key, value] of Object.entries(values)) this.set(key, value);
  }

  /** Deletes a key; one that is not there already does no harm. @throws `closed` */
  delete(key: string): void {
    this.#assertOpen();
    const driver = this.#driver;
    driver.check(driver.fabric.dkvErase(driver.now(), this.#id, wellFormed(key)));
    this.#offline?.changed();
  }

  /** Deletes all keys that this client knows now. @throws `closed` */
  clear(): void {
    this.#assertOpen();
    const driver = this.#driver;
    driver.check(driver.fabric.dkvClear(driver.now(), this.#id));
    this.#offline?.changed();
  }

  /**
   * Resolves when nothing is unsaved: everything is acknowledged and echoed. With `noAutosave` it is one attempt,
   * which resolves on the acknowledgement and may fail.
   * @throws ConatError `closed`; with `noAutosave` also what the attempt failed with.
   */
  async save(): Promise<void> {
    this.#assertOpen();
    const driver = this.#driver;
    await this.#saves.wait(driver.check(driver.fabric.dkvSave(driver.now(), this.#id)));
  }

  /**
   * With `offline`: resolves when what was set until now is in the browser's storage (or cannot be), and outlives
   * this tab. @throws `closed`
   */
  async kept(): Promise<void> {
    this.#assertOpen();
    await this.#offline?.settled();
  }

  /** Whether something is not acknowledged and echoed yet. @throws `closed` */
  hasUnsavedChanges(): boolean {
    this.#assertOpen();
    return this.#driver.fabric.dkvHasUnsavedChanges(this.#id);
  }

  /** The keys of what is unsaved. @throws `closed` */
  unsavedChanges(): string[] {
    this.#assertOpen();
    const reader = this.#driver.resultReader(this.#driver.fabric.dkvUnsavedChanges(this.#id));
    const keys: string[] = [];
    while (!reader.atEnd) keys.push(reader.text());
    return keys;
  }

  /** Whether all is saved and echoed. @throws `closed` */
  isStable(): boolean {
    this.#assertOpen();
    return this.#driver.fabric.dkvIsStable(this.#id);
  }

  /** Number of keys, and the bytes of their encoded values. @throws `closed` */
  stats(): { count: number; bytes: number } {
    const reader = this.#entries(false);
    let [count, bytes] = [0, 0];
    while (!reader.atEnd) {
      reader.blob();
      reader.u8();
      const { start, end } = reader.blob();
      count += 1;
      bytes += end - start;
    }
    return { count, bytes };
  }

  /** What a developer wants to see. */
  debugStats(): { count: number; bytes: number; unsaved: number; stable: boolean; connected: boolean } {
    return { ...this.stats(), unsaved: this.unsavedChanges().length, stable: this.isStable(), connected: this.#connected };
  }

  /**
   * Closes the store; of an object that was opened several times, the last close counts. What was written before is
   * still sent (with `noAutosave` it is lost; with `offline` it is kept, and sent by another tab or the next opening). Afterwards methods throw `closed`. Never throws itself.
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
    this.#below?.close();
    this.#offline?.close();
    const driver = this.#driver;
    if (this.#id !== 0) {
      driver.fabric.dkvClose(driver.now(), this.#id);
      this.#owner.closed(this.#id);
    }
    driver.schedule();
    this.#saves.finish();
    this.#onOpened(closed());
    this.emit("closed");
    this.removeAllListeners();
  }

  /** @internal */
  onRecord(kind: number, reader: RecordReader): void {
    this.#offline?.changed();
    switch (kind) {
      case Kind.dkvOpened: {
        const error = reader.optionalError();
        this.#onOpened(error && errorFrom(error));
        return;
      }
      case Kind.dkvChange:
        return this.#onChange(reader);
      case Kind.dkvRejected: {
        const [key, value, error] = [reader.text(), reader.value(), errorFrom(reader.error())];
        this.#driver.later(() => this.emit("reject", { key, value: value && this.#decode(value), error }));
        return;
      }
      case Kind.dkvStable:
        this.#driver.later(() => this.emit("stable"));
        return;
      case Kind.dkvConnection: {
        const connected = reader.flag();
        this.#connected = connected;
        this.#driver.later(() => this.emit(connected ? "connected" : "disconnected"));
        return;
      }
      case Kind.dkvMerge:
        return this.#onMerge(reader);
      case Kind.dkvSaved: {
        const call = reader.f64();
        const error = reader.optionalError();
        if (error === undefined) this.#saves.resolve(call, true);
        else this.#saves.reject(call, errorFrom(error));
        return;
      }
    }
  }

  #onChange(reader: RecordReader): void {
    if (this.listenerCount("change") === 0) return;
    const [key, value, prev] = [reader.text(), reader.value(), reader.value()];
    this.#driver.later(() => {
      if (this.#closed) return;
      this.emit("change", { key, value: value && this.#decode(value), prev: prev && this.#decode(prev) });
    });
  }

  #onMerge(reader: RecordReader): void {
    const [merge, key] = [reader.u32(), reader.text()];
    const [local, remote, prev] = [0, 1, 2].map(() => {
      const value = reader.value();
      return value && this.#decode(value);
    });
    let raw = noBytes as Uint8Array;
    let outcome = 0;
    try {
      const merged = this.#merge?.({ key, local, remote, prev });
      if (merged !== undefined) {
        raw = encodeShared(DataEncoding.MsgPack, merged);
        outcome = 1;
      }
    } catch (error) {
      console.warn(`conat-client: merging '${key}' of '${this.opts.name}' failed, the local value stays:`, error);
    }
    const driver = this.#driver;
    driver.fill("", raw);
    driver.fabric.dkvResolve(driver.now(), this.#id, merge, outcome, raw.length, DataEncoding.MsgPack);
    driver.schedule();
  }

  #entries(keysOnly: boolean): RecordReader {
    this.#assertOpen();
    return this.#driver.resultReader(this.#driver.fabric.dkvEntries(this.#id, keysOnly));
  }

  #decode({ encoding, raw }: EncodedValue): T | undefined {
    try {
      return decodeBytes(encoding, platform().bytes(raw.bytes.subarray(raw.start, raw.end)), this.#owner.bigint) as T;
    } catch {
      return undefined;
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw closed();
    if (this.#id === 0) throw new ConatError("it is not open: await init()");
  }
}
