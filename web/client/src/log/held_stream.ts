// What CoreStream and DStream have in common: a stream that the core holds whole.
import { Calls } from "../calls.js";
import { bindMethods } from "../dkv/properties.js";
import { locationOf, type StreamConfig } from "../dkv/options.js";
import { Emitter, type EventMap } from "../emitter.js";
import { closed, ConatError } from "../errors.js";
import type { MessageHeaders } from "../message.js";
import { OfflineCopy } from "../offline/offline_copy.js";
import type { StreamClient } from "../stream/stream.js";
import type { CallTimeout, DeleteOptions, StreamInventory } from "../stream/types.js";
import { storesOf, type WithClient } from "../sync/default_client.js";
import type { StoreOptions } from "../sync/options.js";
import { errorFrom, type Driver } from "../wasm/driver.js";
import type { RecordReader } from "../wasm/records.js";
import type { HeldCalls, LogStores } from "./log_stores.js";
import { decodeHeaders, encodeSeqs, LogView } from "./log_view.js";

export interface HeldStreamOptions extends StoreOptions {
  /** What is before this sequence number is not loaded (see `load`). Default: everything is. */
  start_seq?: number | undefined;
}

export type HeldStreamEvents = {
  /** Connected (again), and up to date. */
  connected: [];
  disconnected: [];
  closed: [];
};

export interface HeldDeleteOptions extends DeleteOptions, CallTimeout {
  /** The message at this index and all before it. */
  last_index?: number | undefined;
}

const dateOf = (time: number | undefined): Date | undefined => (time === undefined ? undefined : new Date(time));

export abstract class HeldStream<T, Options extends HeldStreamOptions, Events extends EventMap & HeldStreamEvents> extends Emitter<Events> {
  /** What it was opened with. */
  readonly opts: Readonly<Options>;
  readonly #stores: LogStores;
  readonly #calls: HeldCalls;
  readonly #loads = new Calls<true>();
  #release: (stream: object) => boolean = () => true;
  #id = 0;
  #stream: StreamClient | undefined;
  #view: LogView<T> | undefined;
  #opened: Promise<void> | undefined;
  #onOpened: (error?: ConatError) => void = () => undefined;
  #connected = false;
  #offline: OfflineCopy | undefined;
  #closed = false;

  /** @internal */
  constructor({ client, ...options }: Options & WithClient, calls: (stores: LogStores) => HeldCalls) {
    super();
    this.opts = options as unknown as Options;
    this.#stores = storesOf(client).logs;
    this.#calls = calls(this.#stores);
    bindMethods(this);
  }

  /** Opens it. @throws ConatError 400, 403, 429; other failures are retried for ever. */
  async init(): Promise<void> {
    if (this.#closed) throw closed();
    await (this.#opened ??= this.#open());
  }

  #open(): Promise<void> {
    return (this.opts as { offline?: boolean | undefined }).offline ? this.#openOffline() : this.#begin();
  }

  async #openOffline(): Promise<void> {
    const { driver } = this;
    const calls = this.#calls;
    const start = this.opts.start_seq ?? 0;
    const place = `${locationOf(this.opts).path}${start > 1 ? ` from ${start}` : ""}`;
    const copy = await OfflineCopy.open(this.opts.name, `conat ${calls.kind} ${driver.url} ${place}`);
    if (this.#closed) {
      copy?.close();
      throw closed();
    }
    const opened = this.#begin();
    this.#offline = copy;
    const id = this.#id;
    const attached = copy?.attach({
      kept: (changes) => driver.result(calls.kept?.(id, changes) ?? 0),
      isConnected: () => this.#connected,
      hasUnsavedChanges: () => calls.hasUnsavedChanges?.(id) ?? false,
      restore: (state, changes, openNow) => {
        driver.fill("", state, changes);
        driver.check(calls.restore?.(driver.now(), id, state.length, changes.length, openNow) ?? 0);
      },
    });
    await Promise.all([opened, attached]);
  }

  protected offlineChanged(): void {
    this.#offline?.changed();
  }

  protected async offlineSettled(): Promise<void> {
    await this.#offline?.settled();
  }

  #begin(): Promise<void> {
    const calls = this.#calls;
    const id = this.#stores.start(this, calls, this.opts);
    this.#id = id;
    this.#stream = this.#stores.below(calls.below(id), this.opts);
    this.#view = new LogView<T>(this.driver, {
      length: () => calls.length(id),
      ids: (first) => calls.ids(id, first),
      entries: (first, count) => calls.entries(id, first, count),
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

  /** What is before this number is not here; undefined: everything is. */
  get start_seq(): number | undefined {
    this.below();
    return this.#calls.start(this.#id) || undefined;
  }

  // ---- reading by index ----

  /** The value at an index, undefined when there is none; without an index all values. @throws `closed` */
  get(): T[];
  get(n: number): T | undefined;
  get(n?: number): T | T[] | undefined {
    if (n === undefined) return this.getAll();
    const view = this.log();
    const entry = view.entry(n);
    return entry && view.value(entry);
  }

  /** All values, in order; one's own unsaved ones at the end. @throws `closed` */
  getAll(): T[] {
    return this.log().values() as T[];
  }

  /** How many messages there are, one's own unsaved ones included. @throws `closed` */
  get length(): number {
    return this.log().length();
  }

  /** The sequence number of the message at an index; undefined before it is saved. @throws `closed` */
  seq(n: number): number | undefined {
    return this.log().entry(n)?.seq;
  }

  /** The sequence numbers of all messages that have one. @throws `closed` */
  seqs(): number[] {
    return [...this.log().ids()].filter((id) => id > 0);
  }

  /** When the server stored the message at an index; undefined before the stream has told it. @throws `closed` */
  time(n: number): Date | undefined {
    return dateOf(this.log().entry(n)?.time);
  }

  /** When the server stored each message. @throws `closed` */
  times(): (Date | undefined)[] {
    return this.log().entries().map(({ time }) => dateOf(time));
  }

  /** The headers of the message at an index, once the stream has told it; undefined when it has none. @throws `closed` */
  headers(n: number): MessageHeaders | undefined {
    const entry = this.log().entry(n);
    return entry && decodeHeaders(entry.headers);
  }

  // ---- the stream ----

  /** Also loads what is before what it was opened with, from `start_seq` on; each message is a `change`. */
  async load({ start_seq = 0 }: { start_seq?: number | undefined } = {}): Promise<void> {
    this.below();
    const { driver } = this;
    await this.#loads.wait(driver.check(this.#calls.load(driver.now(), this.#id, start_seq)));
  }

  /** The configuration, after what `config` has changed of it. */
  async config(config?: StreamConfig, options: CallTimeout = {}): Promise<Required<StreamConfig>> {
    return this.below().config({ config, ...options });
  }

  /** How much the server has. */
  async inventory(options: CallTimeout = {}): Promise<StreamInventory> {
    return this.below().inventory(options);
  }

  /**
   * Closes it; of an object that was opened several times, the last close counts. Afterwards methods throw `closed`.
   * Never throws itself.
   */
  close(): void {
    if (this.#closed || !this.#release(this)) return;
    this.end();
  }

  // ---- inside ----

  /** @internal */
  abstract onRecord(kind: number, reader: RecordReader): void;

  /** Whoever waits for something that will not come any more. */
  protected abstract finishWaits(): void;

  /** @internal */
  end(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#id !== 0) {
      const { driver } = this;
      this.#stream?.close();
      this.#offline?.close();
      this.#calls.close(driver.now(), this.#id);
      driver.schedule();
      this.#stores.ended(this, this.#calls, this.#id);
    }
    this.#loads.finish();
    this.finishWaits();
    this.#onOpened(closed());
    this.#tell("closed");
    this.removeAllListeners();
  }

  protected get driver(): Driver {
    return this.#stores.driver;
  }

  /** The core's number for it. */
  protected get id(): number {
    return this.#id;
  }

  /** The stream below. @throws `closed` */
  protected below(): StreamClient {
    if (this.#closed) throw closed();
    if (this.#stream === undefined) throw new ConatError("it is not open: await init()");
    return this.#stream;
  }

  /** Its messages. @throws `closed` */
  protected log(): LogView<T> {
    this.below();
    return this.#view as LogView<T>;
  }

  /** The same, also when it is closed; undefined before it is open. */
  protected get view(): LogView<T> | undefined {
    return this.#view;
  }

  protected async deleteMessages({ all, last_index, seq, seqs, last_seq, timeout }: HeldDeleteOptions): Promise<{ seqs: number[] }> {
    const stream = this.below();
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
    const { driver } = this;
    driver.fill("", encodeSeqs(seqs));
    this.#calls.forget(driver.now(), this.#id, seqs.length);
    driver.schedule();
    this.offlineChanged();
  }

  /** What the core tells of every such stream. */
  protected onOpenedRecord(reader: RecordReader): void {
    const error = reader.optionalError();
    this.#onOpened(error && errorFrom(error));
  }

  protected onConnectionRecord(reader: RecordReader): void {
    const connected = reader.flag();
    this.#connected = connected;
    this.driver.later(() => this.#tell(connected ? "connected" : "disconnected"));
  }

  protected onOutcomeRecord(reader: RecordReader, calls = this.#loads): void {
    const call = reader.f64();
    const error = reader.optionalError();
    if (error === undefined) calls.resolve(call, true);
    else calls.reject(call, errorFrom(error));
  }

  #tell(event: keyof HeldStreamEvents): void {
    (this as unknown as Emitter<HeldStreamEvents>).emit(event);
  }
}
