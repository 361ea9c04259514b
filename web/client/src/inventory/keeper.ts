// Enters the open stores of one client in the inventories of their owners, now and then.
import { streamOptionsOf, type StoreOptions } from "../sync/options.js";
import type { AKV } from "../akv/akv.js";
import type { StreamInventory } from "../stream/types.js";
import { inventoryName, keyOf, recordAfter, type InventoryRecord, type StoreType } from "./records.js";

/** What a keeper needs of what it serves. */
export interface KeeperStores {
  akv<T>(options: StoreOptions): AKV<T>;
  stream(options: ReturnType<typeof streamOptionsOf>): { inventory(): Promise<StreamInventory>; close(): void };
}

/** An open store. `stable` tells that something was saved, which is what is worth entering. */
export interface ListedStore {
  on(event: "stable", listener: () => void): unknown;
}

// Stores that are open for moments only are not worth a request.
const firstDelay = 5_000; // ms
const delay = 30_000; // ms between entries of one store

interface Listing {
  type: StoreType;
  options: StoreOptions;
  read: () => Promise<StreamInventory>;
  timer: ReturnType<typeof setTimeout> | undefined;
  dirty: boolean;
  entered: boolean;
}

export class InventoryKeeper {
  readonly #stores: KeeperStores;
  readonly #listings = new Map<object, Listing>();
  #closed = false;

  constructor(stores: KeeperStores) {
    this.#stores = stores;
  }

  /** A store was opened. `read` asks its server how much it has. */
  opened(store: ListedStore & object, type: StoreType, options: StoreOptions & { noInventory?: boolean | undefined },
    read: () => Promise<StreamInventory>): void {
    if (options.noInventory || options.name === inventoryName) return;
    const listing: Listing = { type, options, read, timer: undefined, dirty: true, entered: false };
    this.#listings.set(store, listing);
    this.#schedule(listing, firstDelay);
    store.on("stable", () => {
      listing.dirty = true;
      if (listing.timer === undefined && this.#listings.has(store)) this.#schedule(listing, firstDelay);
    });
  }

  /** It is closed: what changed since its last entry is entered over a stream of its own. */
  closed(store: object): void {
    const listing = this.#listings.get(store);
    if (listing === undefined) return;
    this.#listings.delete(store);
    clearTimeout(listing.timer);
    if (this.#closed || !listing.dirty || !listing.entered) return;
    const { options } = listing;
    void this.#enter(listing, async () => {
      const stream = this.#stores.stream(streamOptionsOf(options));
      try {
        return await stream.inventory();
      } finally {
        stream.close();
      }
    });
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#listings.values()) clearTimeout(timer);
    this.#listings.clear();
  }

  #schedule(listing: Listing, wait: number): void {
    listing.timer = setTimeout(() => {
      // Holds further entries back, whether or not there is anything to enter then.
      listing.timer = undefined;
      if (!listing.dirty) return;
      this.#schedule(listing, delay);
      void this.#enter(listing, listing.read);
    }, wait);
    // Keeps no process alive.
    (listing.timer as { unref?: () => void }).unref?.();
  }

  // The inventory informs; a store works as well without, so that failures are left to the next time.
  async #enter(listing: Listing, read: () => Promise<StreamInventory>): Promise<void> {
    listing.dirty = false;
    const { type, options: { name, account_id, project_id, service, desc } } = listing;
    let akv: AKV<InventoryRecord> | undefined;
    try {
      const figures = await read();
      akv = this.#stores.akv<InventoryRecord>({ name: inventoryName, account_id, project_id, service, noCache: true });
      const key = keyOf(name, type);
      await akv.set(key, recordAfter(await akv.get(key), figures, desc));
      listing.entered = true;
    } catch {
      listing.dirty = true;
    } finally {
      akv?.close();
    }
  }
}
