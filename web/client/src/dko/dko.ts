// Objects in a key-value store, each field by itself.
import type { DKV, DKVOptions, MergeInput } from "../dkv/index.js";
import { Emitter } from "../emitter.js";
import { closed, ConatError } from "../errors.js";

export type DKOOptions = Omit<DKVOptions, "merge">;

/** Events of a DKO. */
export type DKOEvents = {
  /**
   * A field changed, on this side or the other; without `value` it is gone. Without `field` the object as such
   * came, went, or has other fields.
   */
  change: [change: { key: string; field?: string; value?: unknown }];
  /** Everything is saved and echoed. */
  stable: [];
  /** The server refused a local change for good; it is dropped. */
  reject: [rejection: { key: string; field?: string; value?: unknown; error: ConatError }];
  connected: [];
  disconnected: [];
  closed: [];
};

/** A field's place in the store below. */
export interface FieldPath {
  key: string;
  field?: string;
}

const prefix = "__dko__";

/** The name of the store below. */
export const dkvNameOf = (name: string): string => prefix + name;

export function toPath(key: string, field: string): string {
  return JSON.stringify([key, field]);
}

/** Which object and field a key of the store below stands for; without a field the object itself. */
export function fromPath(path: string): FieldPath {
  if (path.startsWith("[")) {
    try {
      const parts = JSON.parse(path) as unknown;
      if (Array.isArray(parts) && parts.length === 2 && parts.every((part) => typeof part === "string")) {
        return { key: parts[0] as string, field: parts[1] as string };
      }
    } catch {
      // a key like any other
    }
  }
  return { key: path };
}

const isFieldList = (value: unknown): value is string[] => Array.isArray(value) && value.every((field) => typeof field === "string");

/**
 * Decides conflicts in the store below: of the fields of an object what either side added, without what either side
 * removed; of everything else the local side wins.
 * @internal
 */
export function mergeFieldLists({ key, local, remote, prev }: MergeInput<unknown>): unknown {
  if (fromPath(key).field !== undefined || !isFieldList(local) || !isFieldList(remote)) return undefined;
  const before = new Set(isFieldList(prev) ? prev : []);
  const kept = remote.filter((field) => local.includes(field) || !before.has(field));
  const added = local.filter((field) => !remote.includes(field) && !before.has(field));
  return [...kept, ...added];
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * A key-value store of objects. Every field is stored by itself, so that changes of different fields of an object
 * merge; of the same field the last write wins. Reading and writing is synchronous, on the local copy.
 *
 * Keys are properties too: `dko.a = { x: 1 }`, `delete dko.a`. A key that is the name of a method is reached by `get`
 * and `set` alone.
 */
export class DKO<T extends object = Record<string, unknown>> extends Emitter<DKOEvents> {
  /** What it was opened with. */
  readonly opts: Readonly<DKOOptions>;
  /** The store below. */
  readonly dkv: DKV;
  readonly #release: () => boolean;
  #closed = false;
  [key: string]: unknown;

  /** @internal Use `client.dko()`. */
  constructor(options: DKOOptions, dkv: DKV, release: () => boolean) {
    super();
    this.opts = options;
    this.dkv = dkv;
    this.#release = release;
    dkv.on("change", this.#onChange);
    dkv.on("reject", this.#onReject);
    dkv.on("stable", this.#onStable);
    dkv.on("connected", this.#onConnected);
    dkv.on("disconnected", this.#onDisconnected);
    dkv.on("closed", this.#onClosed);
  }

  // ---- reading ----

  /** The object of a key, undefined when there is none; without a key all. @throws `closed` */
  get(): Record<string, T>;
  get(key: string): T | undefined;
  get(key?: string): T | Record<string, T> | undefined {
    if (key === undefined) return this.getAll();
    const fields = this.#fields(key);
    if (fields === undefined) return undefined;
    const object: Record<string, unknown> = {};
    for (const field of fields) {
      const value = this.dkv.get(toPath(key, field));
      if (value !== undefined) define(object, field, value);
    }
    return object as T;
  }

  /**
   * All keys with their objects, in the order of insertion. A key that is the JSON of two texts also shows as the
   * field that it would be.
   * @throws `closed`
   */
  getAll(): Record<string, T> {
    this.#assertOpen();
    const entries = this.dkv.getAll();
    const has = (path: string): boolean => Object.hasOwn(entries, path);
    const all: Record<string, Record<string, unknown>> = {};
    for (const [path, value] of Object.entries(entries)) {
      const { key, field } = fromPath(path);
      if (field === undefined) {
        if (isFieldList(value) && !Object.hasOwn(all, key)) define(all, key, {});
        continue;
      }
      const fields = has(key) ? entries[key] : undefined;
      // What is left of an object that is gone is not shown.
      const shown = isFieldList(fields) ? fields.includes(field) : isFieldList(value) && value.every((each) => has(toPath(path, each)));
      if (!shown) continue;
      if (!Object.hasOwn(all, key)) define(all, key, {});
      define(all[key] as Record<string, unknown>, field, value);
    }
    return all as Record<string, T>;
  }

  /** Whether the key has an object. @throws `closed` */
  has(key: string): boolean {
    return this.#fields(key) !== undefined;
  }

  /** All keys, in the order of insertion. @throws `closed` */
  keys(): string[] {
    return Object.keys(this.getAll());
  }

  /** How many objects there are. @throws `closed` */
  get length(): number {
    return this.keys().length;
  }

  /** When the server stored the latest change of the object; undefined before its echo. @throws `closed` */
  time(key: string): Date | undefined {
    const fields = this.#fields(key);
    if (fields === undefined) return undefined;
    const times = [key, ...fields.map((field) => toPath(key, field))].map((path) => this.dkv.time(path)?.getTime() ?? 0);
    const latest = Math.max(...times);
    return latest === 0 ? undefined : new Date(latest);
  }

  // ---- writing ----

  /**
   * Sets the object of a key: its fields that differ are written, those that it does not have are removed.
   * undefined and null delete.
   * @throws ConatError `values must be objects`, `closed`, and as `DKV.set`.
   */
  set(key: string, object: T | null | undefined): void {
    this.#assertOpen();
    if (object === undefined || object === null) return this.delete(key);
    if (!isObject(object)) throw new ConatError("values must be objects");
    const fields = Object.keys(object).filter((field) => object[field] !== undefined);
    const before = this.#fields(key);
    const same = before !== undefined && before.length === fields.length && fields.every((field) => before.includes(field));
    if (!same) this.dkv.set(key, fields);
    for (const field of fields) this.dkv.set(toPath(key, field), object[field]);
    for (const field of before ?? []) {
      if (!fields.includes(field)) this.dkv.delete(toPath(key, field));
    }
  }

  /** Sets several. @throws as `set`. */
  setMany(objects: Record<string, T | null | undefined>): void {
    for (const [key, object] of Object.entries(objects)) this.set(key, object);
  }

  /** Deletes the object of a key. @throws `closed` */
  delete(key: string): void {
    const fields = this.#fields(key);
    if (fields === undefined) return;
    this.dkv.delete(key);
    for (const field of fields) this.dkv.delete(toPath(key, field));
  }

  /** Deletes all that this client knows now. @throws `closed` */
  clear(): void {
    this.#assertOpen();
    this.dkv.clear();
  }

  /** Resolves when nothing is unsaved. @throws as `DKV.save`. */
  async save(): Promise<void> {
    this.#assertOpen();
    await this.dkv.save();
  }

  /** Whether something is not acknowledged and echoed yet. @throws `closed` */
  hasUnsavedChanges(): boolean {
    this.#assertOpen();
    return this.dkv.hasUnsavedChanges();
  }

  /** What is unsaved; without a field the object as such. @throws `closed` */
  unsavedChanges(): FieldPath[] {
    this.#assertOpen();
    return this.dkv.unsavedChanges().map(fromPath);
  }

  /** Whether all is saved and echoed. @throws `closed` */
  isStable(): boolean {
    this.#assertOpen();
    return this.dkv.isStable();
  }

  isClosed(): boolean {
    return this.#closed;
  }

  /** Which object and field a key of the store below stands for. */
  fromPath(path: string): FieldPath {
    return fromPath(path);
  }

  /** Closes it; of an object that was opened several times, the last close counts. Never throws. */
  close(): void {
    if (this.#closed || !this.#release()) return;
    this.end();
  }

  // ---- inside ----

  /** @internal */
  end(): void {
    if (this.#closed) return;
    this.#closed = true;
    const { dkv } = this;
    dkv.off("change", this.#onChange);
    dkv.off("reject", this.#onReject);
    dkv.off("stable", this.#onStable);
    dkv.off("connected", this.#onConnected);
    dkv.off("disconnected", this.#onDisconnected);
    dkv.off("closed", this.#onClosed);
    dkv.close();
    this.emit("closed");
    this.removeAllListeners();
  }

  #assertOpen(): void {
    if (this.#closed) throw closed();
  }

  #fields(key: string): string[] | undefined {
    this.#assertOpen();
    const fields = this.dkv.get(key);
    return isFieldList(fields) ? fields : undefined;
  }

  readonly #onChange = ({ key: path, value }: { key: string; value: unknown }): void => {
    const { key, field } = fromPath(path);
    if (field === undefined) {
      this.emit("change", { key });
    } else if (value !== undefined) {
      this.emit("change", { key, field, value });
    } else if (this.has(key)) {
      // Of an object that is deleted, only the object is told.
      this.emit("change", { key, field });
    }
  };

  readonly #onReject = ({ key: path, value, error }: { key: string; value: unknown; error: ConatError }): void => {
    this.emit("reject", { ...fromPath(path), value, error });
  };

  readonly #onStable = (): void => void this.emit("stable");
  readonly #onConnected = (): void => void this.emit("connected");
  readonly #onDisconnected = (): void => void this.emit("disconnected");
  readonly #onClosed = (): void => this.end();
}

// `__proto__` is a name like any other.
function define(object: object, name: string, value: unknown): void {
  Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
}
