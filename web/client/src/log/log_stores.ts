// The streams that one client holds whole: CoreStreams and DStreams, cached and reference counted.
import { DataEncoding, encodeShared } from "../codec.js";
import type { CoreStreamOptions } from "../core_stream/options.js";
import type { DStream } from "../dstream/dstream.js";
import type { DStreamOptions } from "../dstream/options.js";
import { closed } from "../errors.js";
import { applyReconnectDelay, stableKey, type Streams } from "../stream/index.js";
import type { InventoryKeeper } from "../inventory/keeper.js";
import type { StreamClient } from "../stream/stream.js";
import { streamOptionsOf, type StoreOptions } from "../sync/options.js";
import { wellFormed, type Driver } from "../wasm/driver.js";
import { Record as Kind, type RecordReader } from "../wasm/records.js";
import { scopeOf } from "../stream/permission.js";

/** @internal One open stream. */
export interface LogStore {
  init(): Promise<void>;
  onRelease(release: (store: object) => boolean): void;
  onRecord(kind: number, reader: RecordReader): void;
  end(): void;
}

interface Entry {
  store: LogStore;
  references: number;
}

export class LogStores {
  readonly #core = new Map<number, LogStore>();
  readonly #dstreams = new Map<number, LogStore>();
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

  #openingBytes(options: StoreOptions & { start_seq?: number | undefined }): Uint8Array {
    if (this.#closed) throw closed();
    const { config, storage: { ephemeral, sync } } = streamOptionsOf(options);
    applyReconnectDelay(this.driver);
    const { start_seq } = options;
    return encodeShared(DataEncoding.MsgPack, { ephemeral, sync, start_seq, config });
  }

  #where(options: StoreOptions): [scope: string, path: string, service: string] {
    const { user = {}, storage, service = "persist" } = streamOptionsOf(options);
    return [wellFormed(scopeOf(user)), wellFormed(storage.path), wellFormed(service)];
  }

  openCore(store: LogStore, options: CoreStreamOptions): number {
    const { driver } = this;
    const [scope, path, service] = this.#where(options);
    const opening = this.#openingBytes(options);
    driver.fill("", opening);
    const id = driver.check(driver.fabric.coreStreamOpen(driver.now(), scope, path, service, opening.length));
    this.#core.set(id, store);
    return id;
  }

  closedCore(id: number): void {
    this.#core.delete(id);
  }

  openDStream(store: DStream, options: DStreamOptions): number {
    const { driver } = this;
    const [scope, path, service] = this.#where(options);
    const opening = this.#openingBytes(options);
    driver.fill("", opening);
    const autosave = !(options.noAutosave ?? false);
    const id = driver.check(driver.fabric.dstreamOpen(driver.now(), scope, path, service, opening.length, autosave));
    this.#dstreams.set(id, store);
    this.keeper.opened(store, "stream", options, () => store.stream.inventory());
    return id;
  }

  closedDStream(id: number): void {
    const store = this.#dstreams.get(id);
    if (store !== undefined) this.keeper.closed(store);
    this.#dstreams.delete(id);
  }

  /** The stream below a store, for its commands. */
  below(id: number, options: StoreOptions): StreamClient {
    return this.streams.attach(id, streamOptionsOf(options));
  }

  onRecord(kind: number, reader: RecordReader): void {
    const id = reader.u32();
    (kind >= Kind.dstreamOpened ? this.#dstreams : this.#core).get(id)?.onRecord(kind, reader);
  }

  close(): void {
    this.#closed = true;
    for (const store of [...this.#core.values(), ...this.#dstreams.values()]) store.end();
    this.#core.clear();
    this.#dstreams.clear();
    this.#cache.clear();
  }
}
