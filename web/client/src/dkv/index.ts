// The open key-value stores of one client, cached and reference counted.
import { DataEncoding, encodeShared } from "../codec.js";
import { ConatError } from "../errors.js";
import type { Driver } from "../wasm/driver.js";
import type { RecordReader } from "../wasm/records.js";
import { DKV, type StoreOwner } from "./dkv.js";
import { applyReconnectDelay, type StreamClient, type Streams } from "../stream/index.js";
import type { InventoryKeeper } from "../inventory/keeper.js";
import { streamOptionsOf } from "../sync/options.js";
import { locationOf, type BuiltInMerge, type DKVOptions } from "./options.js";
import { withProperties } from "./properties.js";

export { DKV } from "./dkv.js";
export type {
  BuiltInMerge, DKVEvents, DKVOptions, MergeFunction, MergeInput, SetOptions, StreamConfig,
} from "./options.js";

// MergeKind of the core.
const mergeKinds: Record<BuiltInMerge, number> = { lww: 1, fields: 2, counter: 3, set: 4, text: 5 };
const mergeNone = 0;
const mergeCustom = 6;

function mergeKind(merge: DKVOptions["merge"]): number {
  if (merge === undefined) return mergeNone;
  if (typeof merge === "function") return mergeCustom;
  if (!Object.hasOwn(mergeKinds, merge)) throw new ConatError(`unknown merge '${String(merge)}'`);
  return mergeKinds[merge];
}

interface Entry {
  store: DKV; // the object itself
  face: DKV; // the same with its keys as properties
  references: number;
  cacheKey: string | undefined;
}

export class DkvStores implements StoreOwner {
  readonly bigint: boolean;
  readonly #open = new Map<number, DKV>();
  readonly #entries = new Set<Entry>();
  readonly #cache = new Map<string, Entry>();

  constructor(
    client: { readonly options: { readonly bigint?: boolean | undefined } },
    readonly driver: Driver,
    readonly streams: Streams,
    readonly keeper: InventoryKeeper,
  ) {
    this.bigint = client.options.bigint ?? false;
  }

  async open<T>(options: DKVOptions<T>): Promise<DKV<T>> {
    const entry = this.#find(options as DKVOptions);
    entry.references += 1;
    try {
      await entry.store.init();
    } catch (error) {
      this.#forget(entry);
      entry.store.end();
      throw error;
    }
    return entry.face as DKV<T>;
  }

  #find(options: DKVOptions): Entry {
    const cacheKey = options.noCache ? undefined : JSON.stringify(locationOf(options));
    const cached = cacheKey === undefined ? undefined : this.#cache.get(cacheKey);
    if (cached !== undefined) return cached;
    const store = new DKV(options, this);
    const entry: Entry = { store, face: withProperties(store), references: 0, cacheKey };
    this.#entries.add(entry);
    if (cacheKey !== undefined) this.#cache.set(cacheKey, entry);
    return entry;
  }

  start(store: DKV, options: DKVOptions): number {
    const { driver } = this;
    const { scope, path } = locationOf(options);
    const merge = mergeKind(options.merge);
    const { config } = streamOptionsOf(options);
    const configBytes = config === undefined ? new Uint8Array(0) : encodeShared(DataEncoding.MsgPack, config);
    applyReconnectDelay(driver);
    driver.fill("", configBytes);
    const id = driver.check(
      driver.fabric.dkvOpen(
        driver.now(), scope, path, options.service ?? "persist", options.ephemeral ?? false, options.sync ?? false,
        configBytes.length, merge, !(options.noAutosave ?? false),
      ),
    );
    this.#open.set(id, store);
    this.keeper.opened(store, "kv", options, () => store.kv.inventory());
    return id;
  }

  below(id: number, options: DKVOptions): StreamClient {
    return this.streams.attach(this.driver.fabric.dkvBelow(id), streamOptionsOf(options));
  }

  #forget(entry: Entry): void {
    this.#entries.delete(entry);
    if (entry.cacheKey !== undefined && this.#cache.get(entry.cacheKey) === entry) this.#cache.delete(entry.cacheKey);
  }

  release(store: object): boolean {
    for (const entry of this.#entries) {
      if (entry.store !== store) continue;
      entry.references -= 1;
      if (entry.references > 0) return false;
      this.#forget(entry);
      break;
    }
    return true;
  }

  closed(id: number): void {
    const store = this.#open.get(id);
    if (store !== undefined) this.keeper.closed(store);
    this.#open.delete(id);
  }

  onRecord(kind: number, reader: RecordReader): void {
    this.#open.get(reader.u32())?.onRecord(kind, reader);
  }

  close(): void {
    for (const store of [...this.#open.values()]) store.end();
    this.#open.clear();
    this.#entries.clear();
    this.#cache.clear();
  }
}
