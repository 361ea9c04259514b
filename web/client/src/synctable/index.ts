// The SyncTables of one client, cached and reference counted.
import type { DKO, DKOOptions } from "../dko/index.js";
import type { DKV, DKVOptions } from "../dkv/index.js";
import type { DStream, DStreamOptions } from "../dstream/index.js";
import { ConatError } from "../errors.js";
import { stableKey } from "../stream/index.js";
import type { Row, SyncTableOptions } from "./options.js";
import { SyncTable } from "./synctable.js";
import { TableKeys } from "./table_keys.js";
import { AtomicStore, FieldStore, LogStore, type TableListener, type TableStore } from "./table_store.js";

export type { Row, SyncTableChange, SyncTableEvents, SyncTableOptions, SyncTableState, TableQuery } from "./options.js";
export { SyncTable } from "./synctable.js";
export { stringId } from "./table_keys.js";

/** What tables need of what opens their stores. */
interface Stores {
  dkv(options: DKVOptions): Promise<DKV>;
  dko(options: DKOOptions): Promise<DKO>;
  dstream(options: DStreamOptions): Promise<DStream>;
}

interface Entry {
  opening: Promise<SyncTable>;
  references: number;
}

export class SyncTables {
  readonly #stores: Stores;
  readonly #cache = new Map<string, Entry>();

  constructor(stores: Stores) {
    this.#stores = stores;
  }

  async open<T>(options: SyncTableOptions): Promise<SyncTable<T>> {
    const keys = new TableKeys(options);
    if (options.stream && keys.string_id === undefined) throw new ConatError("a table that is a stream needs a string_id in its query");
    const { stream = false, atomic = false, immutable = false } = options;
    const { name, account_id, project_id, primaryKeys } = keys;
    // Two functions are not compared: each has objects of its own, on the same store.
    const cacheKey = options.noCache || typeof immutable === "function" ? undefined
      : stableKey({ name, account_id, project_id, primaryKeys, stream, atomic, immutable });
    let entry = cacheKey === undefined ? undefined : this.#cache.get(cacheKey);
    if (entry === undefined) {
      const made: Entry = { references: 0, opening: this.#make(options, keys, () => release()) };
      const forget = (): void => {
        if (cacheKey !== undefined && this.#cache.get(cacheKey) === made) this.#cache.delete(cacheKey);
      };
      const release = (): boolean => {
        made.references -= 1;
        if (made.references > 0) return false;
        forget();
        return true;
      };
      if (cacheKey !== undefined) this.#cache.set(cacheKey, made);
      made.opening.then((table) => table.once("closed", forget), forget);
      entry = made;
    }
    entry.references += 1;
    return (await entry.opening) as unknown as SyncTable<T>;
  }

  async #make(options: SyncTableOptions, keys: TableKeys, release: () => boolean): Promise<SyncTable> {
    const open = await this.#openStore(options, keys);
    return new SyncTable<Row>(options, keys, open, release);
  }

  async #openStore(options: SyncTableOptions, keys: TableKeys): Promise<(listener: TableListener) => TableStore> {
    const { query, stream, atomic, immutable, primary_keys, ...rest } = options;
    const { name, account_id, project_id } = keys;
    const store = { ...rest, name, account_id, project_id };
    if (stream) {
      const below = await this.#stores.dstream(store);
      return (listener) => new LogStore(below, keys, listener);
    }
    if (atomic) {
      const below = await this.#stores.dkv(store);
      return (listener) => new AtomicStore(below, keys, listener);
    }
    const below = await this.#stores.dko(store);
    return (listener) => new FieldStore(below, keys, listener);
  }
}
