// The streams that one client holds whole: CoreStreams and DStreams, cached and reference counted.
import { DataEncoding, encodeShared } from "../codec.js";
import { closed } from "../errors.js";
import { applyReconnectDelay, stableKey, type Streams } from "../stream/index.js";
import type { InventoryKeeper, ListedStore } from "../inventory/keeper.js";
import type { StreamClient } from "../stream/stream.js";
import { streamOptionsOf, type StoreOptions } from "../sync/options.js";
import { wellFormed, type Driver } from "../wasm/driver.js";
import { Record as Kind, type RecordReader } from "../wasm/records.js";
import { scopeOf } from "../stream/permission.js";
import type { StreamInventory } from "../stream/types.js";
import type { HeldStreamOptions } from "./held_stream.js";

/** @internal One open stream. */
export interface LogStore {
  init(): Promise<void>;
  inventory(): Promise<StreamInventory>;
  onRelease(release: (store: object) => boolean): void;
  onRecord(kind: number, reader: RecordReader): void;
  end(): void;
}

/** @internal The core's calls for one kind of stream. */
export interface HeldCalls {
  readonly kind: "core" | "dstream";
  open(now: number, scope: string, path: string, service: string, optionsLength: number): number;
  close(now: number, id: number): void;
  /** The number of the stream below. */
  below(id: number): number;
  length(id: number): number;
  ids(id: number, first: number): number;
  entries(id: number, first: number, count: number): number;
  /** 0: from the beginning. */
  start(id: number): number;
  load(now: number, id: number, startSeq: number): number;
  /** Local first, where there is that. */
  kept?(id: number, changes: boolean): number;
  restore?(now: number, id: number, stateLength: number, changesLength: number, openNow: boolean): number;
  hasUnsavedChanges?(id: number): boolean;
  forget(now: number, id: number, count: number): void;
}

interface Entry {
  store: LogStore;
  references: number;
}

export class LogStores {
  readonly #open = { core: new Map<number, LogStore>(), dstream: new Map<number, LogStore>() };
  readonly #cache = new Map<string, Entry>();
  #closed = false;

  constructor(
    readonly driver: Driver,
    readonly streams: Streams,
    readonly bigint: boolean,
    readonly keeper: InventoryKeeper,
  ) {}

  /** Gives the object for `key`, made and opened at the first time; `key` undefined: one of its own. */
  async open<S extends LogStore>(key: unknown, make: () => S): Promise<S> {
    if (this.#closed) throw closed();
    const cacheKey = key === undefined ? undefined : stableKey(key);
    let entry = cacheKey === undefined ? undefined : this.#cache.get(cacheKey);
    if (entry === undefined) {
      const made: Entry = { store: make(), references: 0 };
      const forget = (): void => {
        if (cacheKey !== undefined && this.#cache.get(cacheKey) === made) this.#cache.delete(cacheKey);
      };
      made.store.onRelease(() => {
        made.references -= 1;
        if (made.references > 0) return false;
        forget();
        return true;
      });
      if (cacheKey !== undefined) this.#cache.set(cacheKey, made);
      made.store.init().catch(() => {
        forget();
        made.store.end();
      });
      entry = made;
    }
    entry.references += 1;
    await entry.store.init();
    return entry.store as S;
  }

  /** Opens a stream in the core. @returns its number there. */
  start(store: LogStore, calls: HeldCalls, options: HeldStreamOptions): number {
    if (this.#closed) throw closed();
    const { driver } = this;
    const { user = {}, storage, service = "persist", config } = streamOptionsOf(options);
    const { ephemeral, sync } = storage;
    const where = [wellFormed(scopeOf(user)), wellFormed(storage.path), wellFormed(service)] as const;
    applyReconnectDelay(driver);
    const opening = encodeShared(DataEncoding.MsgPack, { ephemeral, sync, start_seq: options.start_seq, config });
    driver.fill("", opening);
    const id = driver.check(calls.open(driver.now(), ...where, opening.length));
    this.#open[calls.kind].set(id, store);
    if (calls.kind === "dstream") this.keeper.opened(store as LogStore & ListedStore, "stream", options, () => store.inventory());
    return id;
  }

  /** It was closed. */
  ended(store: LogStore, { kind }: HeldCalls, id: number): void {
    this.keeper.closed(store);
    this.#open[kind].delete(id);
  }

  /** The stream below a store, for its commands. */
  below(id: number, options: StoreOptions): StreamClient {
    return this.streams.attach(id, streamOptionsOf(options));
  }

  onRecord(kind: number, reader: RecordReader): void {
    const id = reader.u32();
    this.#open[kind >= Kind.dstreamOpened ? "dstream" : "core"].get(id)?.onRecord(kind, reader);
  }

  close(): void {
    this.#closed = true;
    const { core, dstream } = this.#open;
    for (const store of [...core.values(), ...dstream.values()]) store.end();
    core.clear();
    dstream.clear();
    this.#cache.clear();
  }
}
