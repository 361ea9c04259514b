// The stored form of an inventory.
import type { StreamConfig } from "../dkv/options.js";
import type { StreamInventory } from "../stream/types.js";

/** The name of the key-value store that an owner's inventory is. */
export const inventoryName = "CoCalc-Inventory";

export type StoreType = "kv" | "stream";

/** What an inventory knows of one store. */
export interface InventoryRecord {
  /** What the store was opened with as `desc`. */
  desc?: unknown;
  /** When it was first entered, ms since 1970. */
  created: number;
  /** When it was last entered, ms since 1970. */
  last: number;
  /** Bytes of its encoded values. */
  bytes: number;
  /** Number of its messages. */
  count: number;
  /** Of its configuration, what differs from the default. */
  limits: StreamConfig;
  /** The highest sequence number present. */
  seq: number;
}

/** What is entered now for a store that has so much; its creation and its description stay. */
export function recordAfter(before: InventoryRecord | undefined, { bytes, count, limits, seq }: StreamInventory, desc: unknown): InventoryRecord {
  const last = Date.now();
  return { desc: desc ?? before?.desc, created: before?.created ?? last, last, bytes, count, limits, seq };
}

export function keyOf(name: string, type: StoreType): string {
  return JSON.stringify({ name, type });
}

/** Undefined for a key that is none of an inventory. */
export function fromKey(key: string): { name: string; type: StoreType } | undefined {
  try {
    const { name, type } = JSON.parse(key) as { name: unknown; type: unknown };
    if (typeof name === "string" && (type === "kv" || type === "stream")) return { name, type };
  } catch {
    // any writer can store any key
  }
  return undefined;
}
