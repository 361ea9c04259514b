// The synchronized data structures of one client.
import { DkoStores, type DKO, type DKOOptions } from "../dko/index.js";
import { DkvStores, type DKV, type DKVOptions } from "../dkv/index.js";
import { closed } from "../errors.js";
import type { Driver } from "../wasm/driver.js";
import type { RecordReader } from "../wasm/records.js";

/** `client.sync`: opens synchronized data structures. The same functions are methods of the client. */
export interface SyncNamespace {
  /** Opens a key-value store that every client may change at once. */
  dkv<T = unknown>(options: DKVOptions<T>): Promise<DKV<T>>;
  /** Opens a store of objects, whose fields merge. */
  dko<T extends object = Record<string, unknown>>(options: DKOOptions): Promise<DKO<T>>;
}

export class SyncStores implements SyncNamespace {
  readonly #dkvs: DkvStores;
  readonly #dkos: DkoStores;
  #closed = false;

  constructor(client: { readonly options: { readonly bigint?: boolean | undefined } }, driver: Driver) {
    this.#dkvs = new DkvStores(client, driver);
    this.#dkos = new DkoStores(this.#dkvs);
  }

  async dkv<T = unknown>(options: DKVOptions<T>): Promise<DKV<T>> {
    this.#assertOpen();
    return this.#dkvs.open(options);
  }

  async dko<T extends object = Record<string, unknown>>(options: DKOOptions): Promise<DKO<T>> {
    this.#assertOpen();
    return this.#dkos.open<T>(options);
  }

  #assertOpen(): void {
    if (this.#closed) throw closed();
  }

  onRecord(kind: number, reader: RecordReader): void {
    this.#dkvs.onRecord(kind, reader);
  }

  close(): void {
    this.#closed = true;
    this.#dkvs.close();
  }

  /** What the program sees: functions that work detached. */
  namespace(): SyncNamespace {
    return {
      dkv: (options) => this.dkv(options),
      dko: (options) => this.dko(options),
    };
  }
}
