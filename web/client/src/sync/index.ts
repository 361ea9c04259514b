// The synchronized data structures of one client.
import type { AKV } from "../akv/akv.js";
import type { AStream } from "../astream/astream.js";
import { CoreStream, type CoreStreamOptions } from "../core_stream/index.js";
import { DkoStores, type DKO, type DKOOptions } from "../dko/index.js";
import { DStream, type DStreamOptions } from "../dstream/index.js";
import { LogStores } from "../log/log_stores.js";
import { locationOf } from "../dkv/options.js";
import { DkvStores, type DKV, type DKVOptions } from "../dkv/index.js";
import { closed } from "../errors.js";
import { InventoryKeeper } from "../inventory/keeper.js";
import type { Responder } from "../message.js";
import { SyncTables, type Row, type SyncTable, type SyncTableOptions } from "../synctable/index.js";
import { Streams, type StreamClient, type StreamOptions } from "../stream/index.js";
import type { Driver } from "../wasm/driver.js";
import { Record as Kind, type RecordReader } from "../wasm/records.js";
import { AsyncStores } from "./async_stores.js";
import type { StoresOwner } from "./default_client.js";
import type { AsyncStoreOptions } from "./options.js";

export type { AsyncStoreEvents, AsyncStoreOptions, StoreOptions } from "./options.js";

/** `client.sync`: opens synchronized data structures. The same functions are methods of the client. */
export interface SyncNamespace {
  /** Opens a key-value store that every client may change at once. */
  dkv<T = unknown>(options: DKVOptions<T>): Promise<DKV<T>>;
  /** Opens a store of objects, whose fields merge. */
  dko<T extends object = Record<string, unknown>>(options: DKOOptions): Promise<DKO<T>>;
  /** Opens an append-only stream. */
  dstream<T = unknown>(options: DStreamOptions): Promise<DStream<T>>;
  /** Opens a stream that is held whole, in order and by key. */
  cstream<T = unknown>(options: CoreStreamOptions): Promise<CoreStream<T>>;
  /** Opens a key-value store without downloading it. */
  akv<T = unknown>(options: AsyncStoreOptions): AKV<T>;
  /** Opens a stream without downloading it. */
  astream<T = unknown>(options: AsyncStoreOptions): AStream<T>;
  /** Opens a table of objects by primary key. */
  synctable<T = Row>(options: SyncTableOptions): Promise<SyncTable<T>>;
  /** Opens a persistent stream as the server has it. */
  stream(options: StreamOptions): StreamClient;
}

type StoresClient = StoresOwner & Responder & { readonly options: { readonly bigint?: boolean | undefined } };

export class SyncStores implements SyncNamespace {
  readonly #dkvs: DkvStores;
  readonly #dkos: DkoStores;
  readonly #tables: SyncTables;
  readonly #streams: Streams;
  readonly #asyncStores: AsyncStores;
  readonly logs: LogStores;
  readonly #keeper: InventoryKeeper;
  readonly #client: StoresOwner;
  #closed = false;

  constructor(client: StoresClient, driver: Driver) {
    this.#client = client;
    this.#streams = new Streams(driver, client, client.options.bigint ?? false);
    this.#keeper = new InventoryKeeper({ akv: (options) => this.akv(options), stream: (options) => this.stream(options) });
    this.#dkvs = new DkvStores(client, driver, this.#streams, this.#keeper);
    this.#dkos = new DkoStores(this.#dkvs);
    this.#tables = new SyncTables(this);
    this.#asyncStores = new AsyncStores(this.#streams);
    this.logs = new LogStores(driver, this.#streams, client.options.bigint ?? false, this.#keeper);
  }

  /** Opens stores for objects that programs make themselves. */
  get dkvOwner(): DkvStores {
    return this.#dkvs;
  }

  async dkv<T = unknown>(options: DKVOptions<T>): Promise<DKV<T>> {
    this.#assertOpen();
    return this.#dkvs.open(options);
  }

  async dko<T extends object = Record<string, unknown>>(options: DKOOptions): Promise<DKO<T>> {
    this.#assertOpen();
    return this.#dkos.open<T>(options);
  }

  async dstream<T = unknown>(options: DStreamOptions): Promise<DStream<T>> {
    this.#assertOpen();
    const key = options.noCache ? undefined : { dstream: locationOf(options) };
    return this.logs.open(key, () => new DStream<T>({ ...options, client: this.#client }));
  }

  async cstream<T = unknown>(options: CoreStreamOptions): Promise<CoreStream<T>> {
    this.#assertOpen();
    const key = options.noCache ? undefined : { cstream: options };
    return this.logs.open(key, () => new CoreStream<T>({ ...options, client: this.#client }));
  }

  akv<T = unknown>(options: AsyncStoreOptions): AKV<T> {
    this.#assertOpen();
    return this.#asyncStores.akv<T>(options);
  }

  astream<T = unknown>(options: AsyncStoreOptions): AStream<T> {
    this.#assertOpen();
    return this.#asyncStores.astream<T>(options);
  }

  async synctable<T = Row>(options: SyncTableOptions): Promise<SyncTable<T>> {
    this.#assertOpen();
    return this.#tables.open<T>(options);
  }

  stream(options: StreamOptions): StreamClient {
    this.#assertOpen();
    return this.#streams.open(options);
  }

  #assertOpen(): void {
    if (this.#closed) throw closed();
  }

  onRecord(kind: number, reader: RecordReader): void {
    if (kind >= Kind.coreStreamOpened) this.logs.onRecord(kind, reader);
    else if (kind >= Kind.streamAnswer) this.#streams.onRecord(kind, reader);
    else this.#dkvs.onRecord(kind, reader);
  }

  close(): void {
    this.#closed = true;
    this.#keeper.close();
    this.#dkvs.close();
    this.#asyncStores.close();
    this.logs.close();
    this.#streams.close();
  }

  /** What the program sees: functions that work detached. */
  namespace(): SyncNamespace {
    return {
      dkv: (options) => this.dkv(options),
      dko: (options) => this.dko(options),
      dstream: (options) => this.dstream(options),
      cstream: (options) => this.cstream(options),
      akv: (options) => this.akv(options),
      astream: (options) => this.astream(options),
      synctable: (options) => this.synctable(options),
      stream: (options) => this.stream(options),
    };
  }
}
