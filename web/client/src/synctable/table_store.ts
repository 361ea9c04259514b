// Where a table's objects are: in a key-value store, or in a stream.
import { fromPath, type DKO, type FieldPath } from "../dko/dko.js";
import type { DKV } from "../dkv/index.js";
import type { DStream } from "../dstream/index.js";
import { ConatError } from "../errors.js";
import type { Row, SyncTableChange } from "./options.js";
import type { TableKeys } from "./table_keys.js";

/** What a store tells its table. */
export interface TableListener {
  change(change: SyncTableChange): void;
  reject(key: string, error: ConatError): void;
  connected(): void;
  disconnected(): void;
  closed(): void;
}

/** Objects by key. What it gives out is not shared with anybody. */
export interface TableStore {
  get(key: string): Row | undefined;
  entries(): [key: string, row: Row][];
  set(key: string, row: Row): void;
  delete(key: string): void;
  save(): Promise<void>;
  hasUnsavedChanges(): boolean;
  isConnected(): boolean;
  close(): void;
}

interface Connection {
  on(event: "connected" | "disconnected" | "closed", listener: () => void): unknown;
  off(event: "connected" | "disconnected" | "closed", listener: () => void): unknown;
}

// Listens to a connection; returns how to end that.
function follow(connection: Connection, { connected, disconnected, closed }: TableListener): () => void {
  connection.on("connected", connected);
  connection.on("disconnected", disconnected);
  connection.on("closed", closed);
  return () => {
    connection.off("connected", connected);
    connection.off("disconnected", disconnected);
    connection.off("closed", closed);
  };
}

/** Objects as a whole. */
export class AtomicStore implements TableStore {
  readonly #unfollow: () => void;

  constructor(private readonly dkv: DKV, private readonly keys: TableKeys, private readonly listener: TableListener) {
    this.#unfollow = follow(dkv as Connection, listener);
    dkv.on("change", this.#onChange);
    dkv.on("reject", this.#onReject);
  }

  readonly #onChange = ({ key, value }: { key: string; value: unknown }): void => {
    const row = this.keys.shownAt(key, value);
    if (row !== undefined) this.listener.change({ key, value: row });
    else if (value === undefined) this.listener.change({ key });
  };
  readonly #onReject = ({ key, error }: { key: string; error: ConatError }): void => this.listener.reject(key, error);

  get(key: string): Row | undefined {
    return this.keys.shownAt(key, this.dkv.get(key));
  }

  entries(): [string, Row][] {
    return Object.entries(this.dkv.getAll()).flatMap(([key, value]): [string, Row][] => {
      const row = this.keys.shownAt(key, value);
      return row === undefined ? [] : [[key, row]];
    });
  }

  set(key: string, row: Row): void {
    this.dkv.set(key, this.keys.stored(row));
  }

  delete(key: string): void {
    this.dkv.delete(key);
  }

  save(): Promise<void> {
    return this.dkv.save();
  }

  hasUnsavedChanges(): boolean {
    return this.dkv.hasUnsavedChanges();
  }

  isConnected(): boolean {
    return this.dkv.isConnected();
  }

  close(): void {
    this.#unfollow();
    this.dkv.off("change", this.#onChange);
    this.dkv.off("reject", this.#onReject);
    this.dkv.close();
  }
}

/** Objects by field. */
export class FieldStore implements TableStore {
  readonly #unfollow: () => void;

  constructor(private readonly dko: DKO, private readonly keys: TableKeys, private readonly listener: TableListener) {
    this.#unfollow = follow(dko as Connection, listener);
    // The store below tells every change with its place, which of a compound key is not what a DKO takes it for.
    dko.dkv.on("change", this.#onChange);
    dko.dkv.on("reject", this.#onReject);
  }

  readonly #onChange = ({ key: path, value }: { key: string; value: unknown }): void => {
    const { key, field } = this.#placeOf(path);
    if (field === undefined) this.listener.change({ key });
    else if (this.dko.has(key)) this.listener.change(value === undefined ? { key, field } : { key, field, value });
    // Of an object that is gone, the object alone is told.
  };
  readonly #onReject = ({ key, error }: { key: string; error: ConatError }): void =>
    this.listener.reject(this.#placeOf(key).key, error);

  // An object's key may look like the place of a field.
  #placeOf(path: string): FieldPath {
    const place = fromPath(path);
    if (place.field === undefined) return place;
    const isField = this.keys.primaryKeys.length > 1 ? this.keys.isCompound(place.key) : this.dko.has(place.key) || !this.dko.has(path);
    return isField ? place : { key: path };
  }

  get(key: string): Row | undefined {
    return this.keys.shownAt(key, this.dko.get(key));
  }

  entries(): [string, Row][] {
    return Object.entries(this.dko.getAll()).flatMap(([key, value]): [string, Row][] => {
      const row = this.keys.shownAt(key, value);
      return row === undefined ? [] : [[key, row]];
    });
  }

  set(key: string, row: Row): void {
    this.dko.set(key, { ...this.dko.get(key), ...this.keys.stored(row) });
  }

  delete(key: string): void {
    this.dko.delete(key);
  }

  save(): Promise<void> {
    return this.dko.save();
  }

  hasUnsavedChanges(): boolean {
    return this.dko.hasUnsavedChanges();
  }

  isConnected(): boolean {
    return this.dko.dkv.isConnected();
  }

  close(): void {
    this.#unfollow();
    this.dko.dkv.off("change", this.#onChange);
    this.dko.dkv.off("reject", this.#onReject);
    this.dko.close();
  }
}

/**
 * Objects one after the other. When two clients write the same key at once, the one that the stream has first is
 * the object, for everybody.
 */
export class LogStore implements TableStore {
  readonly #rows = new Map<string, Row>();
  // Written here, and not told by the stream yet: another may be before it.
  readonly #own = new Set<string>();
  readonly #unfollow: () => void;

  constructor(private readonly stream: DStream, private readonly keys: TableKeys, private readonly listener: TableListener) {
    this.#unfollow = follow(stream as Connection, listener);
    stream.on("change", this.#onChange);
    stream.on("reject", this.#onReject);
    for (const value of stream.getAll()) this.#add(value);
  }

  #add(value: unknown): string | undefined {
    const row = this.keys.shown(value);
    if (row === undefined) return undefined;
    const key = this.keys.keyOf(row);
    if (this.#own.delete(key) || !this.#rows.has(key)) this.#rows.set(key, row);
    return key;
  }

  readonly #onChange = (value: unknown): void => {
    const key = this.#add(value);
    if (key !== undefined) this.listener.change({ key, value: this.get(key) });
  };

  readonly #onReject = ({ err, mesg }: { err: ConatError; mesg: unknown }): void => {
    const row = this.keys.shown(mesg);
    if (row === undefined) return;
    const key = this.keys.keyOf(row);
    if (this.#own.delete(key)) this.#rows.delete(key);
    this.listener.reject(key, err);
  };

  get(key: string): Row | undefined {
    const row = this.#rows.get(key);
    return row && { ...row };
  }

  entries(): [string, Row][] {
    return [...this.#rows].map(([key, row]) => [key, { ...row }]);
  }

  set(key: string, row: Row): void {
    if (this.#rows.has(key)) throw new ConatError(`object with key ${key} was already written to the stream`);
    const stored = this.keys.stored(row);
    this.stream.publish(stored);
    this.#rows.set(key, this.keys.shown(stored) as Row);
    this.#own.add(key);
  }

  delete(_key: string): void {
    throw new ConatError("objects of a stream cannot be deleted: it is append-only");
  }

  save(): Promise<void> {
    return this.stream.save();
  }

  hasUnsavedChanges(): boolean {
    return this.stream.hasUnsavedChanges();
  }

  isConnected(): boolean {
    return this.stream.isConnected();
  }

  close(): void {
    this.#unfollow();
    this.stream.off("change", this.#onChange);
    this.stream.off("reject", this.#onReject);
    this.stream.close();
  }
}
