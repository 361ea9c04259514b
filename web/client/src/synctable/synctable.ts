// A table of objects by primary key, that everybody has and may change.
import { bindMethods } from "../dkv/properties.js";
import { Emitter } from "../emitter.js";
import { closed, timedOut, type ConatError } from "../errors.js";
import type { Row, SyncTableChange, SyncTableEvents, SyncTableOptions, SyncTableState } from "./options.js";
import type { TableKeys } from "./table_keys.js";
import type { TableListener, TableStore } from "./table_store.js";

const identity = (row: Row): unknown => row;

function freeze(value: unknown): unknown {
  // Bytes cannot be frozen.
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  for (const part of Object.values(value)) freeze(part);
  return Object.freeze(value);
}

/**
 * A table of objects by primary key. Reading and writing is synchronous, on the local copy; changes are saved in the
 * background. An object's key is its primary key; of several primary keys it is the JSON array of their values.
 *
 * There are three kinds: objects stored by field (the default; changes of different fields merge), as a whole
 * (`atomic`), and append-only (`stream`). Methods work detached from the object; after `close()` they throw `closed`.
 */
export class SyncTable<T = Row> extends Emitter<SyncTableEvents> {
  /** What it was opened with. */
  readonly opts: Readonly<SyncTableOptions>;
  /** The table's name in the query. */
  readonly table: string;
  /** The name of the store below: `{table}:{string_id}`, or of the table and its query. */
  readonly name: string;
  readonly #keys: TableKeys;
  readonly #store: TableStore;
  readonly #make: (row: Row) => unknown;
  readonly #release: () => boolean;
  #closed = false;

  /** @internal Use `client.synctable()`. */
  constructor(options: SyncTableOptions, keys: TableKeys, open: (listener: TableListener) => TableStore, release: () => boolean) {
    super();
    const { immutable } = options;
    this.opts = options;
    this.table = keys.table;
    this.name = keys.name;
    this.#keys = keys;
    this.#make = typeof immutable === "function" ? immutable : immutable ? freeze : identity;
    this.#release = release;
    this.#store = open({
      change: (change: SyncTableChange) => this.emit("change", [change.key], change),
      reject: (key: string, error: ConatError) => this.emit("reject", { key, error }),
      connected: () => this.emit("connected"),
      disconnected: () => this.emit("disconnected"),
      closed: () => this.end(),
    });
    bindMethods(this);
  }

  // ---- reading ----

  /**
   * The object of a key, or of an object's primary keys; undefined when there is none. Without either all objects by
   * their keys.
   * @throws ConatError `closed`, or when a primary key is missing.
   */
  get(): Record<string, T>;
  get(key: string | Readonly<Row>): T | undefined;
  get(key?: string | Readonly<Row>): T | Record<string, T> | undefined {
    const store = this.#open();
    if (key !== undefined) return this.#shown(store.get(this.#keyOf(key)));
    const all: Record<string, T> = {};
    for (const [each, row] of store.entries()) {
      // `__proto__` is a key like any other.
      Object.defineProperty(all, each, { value: this.#shown(row), writable: true, enumerable: true, configurable: true });
    }
    return all;
  }

  /** The first object, or that of a key; undefined when there is none. @throws as `get`. */
  get_one(key?: string | Readonly<Row>): T | undefined {
    return key === undefined ? this.#shown(this.#open().entries()[0]?.[1]) : this.get(key);
  }

  /** The field `time` of all objects that have one, in order. @throws `closed` */
  getSortedTimes(): Date[] {
    const times = this.#open().entries().map(([, { time }]) => (time instanceof Date ? time : new Date(time as string | number)).getTime());
    return times.filter((time) => !Number.isNaN(time)).sort((a, b) => a - b).map((time) => new Date(time));
  }

  /** The key of an object. @throws ConatError when a primary key is missing. */
  getKey(row: Readonly<Row>): string {
    return this.#keys.keyOf(row);
  }

  /** Whether it is connected and up to date. */
  get_state(): SyncTableState {
    if (this.#closed) return "closed";
    return this.#store.isConnected() ? "connected" : "disconnected";
  }

  // ---- writing ----

  /**
   * Writes an object: its fields; others that are there already stay, but for `atomic` and `stream`, where it is the
   * whole object. Visible at once, saved in the background.
   * @throws ConatError `closed`; when a primary key is missing; of a `stream` when the key is there already; and as
   *   `DKV.set` and `DStream.publish`.
   */
  set(row: Readonly<Row>): void {
    this.#open().set(this.#keys.keyOf(row), row);
  }

  /** Deletes the object of a key, or of an object's primary keys. @throws ConatError as `get`; a `stream` cannot. */
  delete(key: string | Readonly<Row>): void {
    this.#open().delete(this.#keyOf(key));
  }

  /** Resolves when nothing is unsaved. @throws as `save` of the store below. */
  async save(): Promise<void> {
    await this.#open().save();
  }

  /** Whether something is not saved yet. @throws `closed` */
  has_uncommitted_changes(): boolean {
    return this.#open().hasUnsavedChanges();
  }

  /** The same as `has_uncommitted_changes`. @throws `closed` */
  hasUnsavedChanges(): boolean {
    return this.has_uncommitted_changes();
  }

  // ---- the rest ----

  /**
   * Resolves with what `predicate` returns (or resolves to) of this table as soon as that counts as true: asked at
   * once, and again with every change.
   * @param seconds How long to wait, default 30; 0: for ever.
   * @throws ConatError 408, `closed`; and what the predicate throws.
   */
  async wait<Result>(predicate: (table: this) => Result, seconds = 30): Promise<NonNullable<Awaited<Result>>> {
    this.#open();
    return new Promise((resolve, reject) => {
      let latest = 0;
      const ask = async (): Promise<void> => {
        const mine = ++latest;
        try {
          const result = await predicate(this);
          if (result) finish(() => resolve(result));
        } catch (error) {
          // A later asking knows more.
          if (mine === latest) finish(() => reject(error as Error));
        }
      };
      const onChange = (): void => void ask();
      const onClosed = (): void => finish(() => reject(closed()));
      const timer = seconds > 0 ? setTimeout(() => finish(() => reject(timedOut())), seconds * 1000) : undefined;
      const finish = (settle: () => void): void => {
        clearTimeout(timer);
        this.off("change", onChange);
        this.off("closed", onClosed);
        settle();
      };
      this.on("change", onChange);
      this.on("closed", onClosed);
      onChange();
    });
  }

  isClosed(): boolean {
    return this.#closed;
  }

  /** Closes it; of an object that was opened several times, the last close counts. What was written is still saved. Never throws. */
  close(): void {
    if (this.#closed || !this.#release()) return;
    this.end();
  }

  // ---- inside ----

  /** @internal */
  end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#store.close();
    this.emit("closed");
    this.removeAllListeners();
  }

  #open(): TableStore {
    if (this.#closed) throw closed();
    return this.#store;
  }

  #keyOf(key: string | Readonly<Row>): string {
    return typeof key === "string" ? key : this.#keys.keyOf(key);
  }

  #shown(row: Row | undefined): T | undefined {
    return row && (this.#make(row) as T);
  }
}
