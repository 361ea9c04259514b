// Which stores an owner has.
import type { DKV } from "../dkv/index.js";
import { bindMethods } from "../dkv/properties.js";
import type { DStream } from "../dstream/index.js";
import { clientOf, type WithClient } from "../sync/default_client.js";
import type { SyncStores } from "../sync/index.js";
import { fromKey, inventoryName, keyOf, recordAfter, type InventoryRecord, type StoreType } from "./records.js";

/** Whose inventory; without an account or a project the hub's. */
export interface InventoryScope {
  account_id?: string | undefined;
  project_id?: string | undefined;
  /** Another persistence service than `persist`. */
  service?: string | undefined;
}

/** One store of an inventory. */
export interface InventoryEntry extends InventoryRecord {
  name: string;
  type: StoreType;
}

export interface InventoryFilter {
  /** Only stores whose name or description has this text in it, in capitals or not. Default: all. */
  filter?: string | undefined;
}

/**
 * The stores of an owner. Every DKV and DStream that is open for some seconds enters itself, unless `noInventory`:
 * first after 5 s, then 5 s after a save but at most every 30 s, and when it closes. The figures are as old as that.
 */
export class Inventory {
  readonly scope: InventoryScope;
  readonly #dkv: DKV<InventoryRecord>;
  readonly #stores: SyncStores;

  /** @internal Use `inventory()`. */
  constructor(scope: InventoryScope, dkv: DKV<InventoryRecord>, stores: SyncStores) {
    this.scope = scope;
    this.#dkv = dkv;
    this.#stores = stores;
    bindMethods(this);
  }

  /** Enters a store; when it was created stays as it was, and the description too unless there is a new one. @throws `closed` */
  set({ name, type, desc, ...figures }: Omit<InventoryEntry, "created" | "last">): void {
    const key = keyOf(name, type);
    this.#dkv.set(key, recordAfter(this.#dkv.get(key), figures, desc));
  }

  /** What is known of a store; by its name alone the key-value store first, then the stream. @throws `closed` */
  get(store: string | { name: string; type: StoreType }): InventoryEntry | undefined {
    const places = typeof store === "string" ? (["kv", "stream"] as const).map((type) => ({ name: store, type })) : [store];
    for (const { name, type } of places) {
      const record = this.#dkv.get(keyOf(name, type));
      if (record !== undefined) return { ...record, name, type };
    }
    return undefined;
  }

  /** All stores, in the order in which they were entered first. @throws `closed` */
  getAll({ filter = "" }: InventoryFilter = {}): InventoryEntry[] {
    const wanted = filter.toLowerCase();
    const entries: InventoryEntry[] = [];
    for (const [key, record] of Object.entries(this.#dkv.getAll())) {
      const place = fromKey(key);
      if (place === undefined) continue;
      const text = `${place.name} ${record.desc === undefined ? "" : JSON.stringify(record.desc)}`;
      if (text.toLowerCase().includes(wanted)) entries.push({ ...record, ...place });
    }
    return entries;
  }

  /** Opens the stores; close each of them. @throws ConatError 403, 429, `closed` */
  async getStores(options: InventoryFilter = {}): Promise<(DKV | DStream)[]> {
    const opening = this.getAll(options).map(({ name, type }) => {
      const store = { ...this.scope, name, noInventory: true };
      return type === "kv" ? this.#stores.dkv(store) : this.#stores.dstream(store);
    });
    const settled = await Promise.allSettled<DKV | DStream>(opening);
    const failure = settled.find(({ status }) => status === "rejected") as PromiseRejectedResult | undefined;
    const open = settled.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    if (failure === undefined) return open;
    for (const store of open) store.close();
    throw failure.reason;
  }

  /** Prints a table for people. @returns the same text. @throws `closed` */
  ls(options: InventoryFilter = {}): string {
    const rows = this.getAll(options).map(({ name, type, count, bytes, last, desc }) =>
      [type, name, String(count), String(bytes), new Date(last).toISOString(), desc === undefined ? "" : JSON.stringify(desc)]);
    const table = [["TYPE", "NAME", "COUNT", "BYTES", "LAST", "DESCRIPTION"], ...rows];
    const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
    const text = table.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()).join("\n");
    console.log(text);
    return text;
  }

  /** Takes a store out of the inventory; the store itself stays. Whoever has it open enters it again. @throws `closed` */
  delete({ name, type }: { name: string; type: StoreType }): void {
    this.#dkv.delete(keyOf(name, type));
  }

  /** Resolves when what was set and deleted is saved. @throws as `DKV.save`. */
  async save(): Promise<void> {
    await this.#dkv.save();
  }

  /** Closes it; what was set before is still saved. Never throws. */
  close(): void {
    this.#dkv.close();
  }
}

/**
 * Opens the inventory of an owner.
 * @throws ConatError 400, 403, 429; other failures are retried for ever.
 */
export async function inventory({ client, account_id, project_id, service }: InventoryScope & WithClient = {}): Promise<Inventory> {
  const { stores } = clientOf(client);
  const scope = { account_id, project_id, service };
  const dkv = await stores.dkv<InventoryRecord>({ ...scope, name: inventoryName, noInventory: true });
  return new Inventory(scope, dkv, stores);
}
