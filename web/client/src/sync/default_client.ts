// Structures that are made by their constructors find their client here.
import type { SyncStores } from "./index.js";

/** @internal What a Client shows of itself to the structures on it. */
export interface StoresOwner {
  readonly stores: SyncStores;
}

export interface WithClient {
  /** Default: what `connect()` gives. */
  client?: StoresOwner | undefined;
}

let defaultClient: (() => StoresOwner) | undefined;

/** @internal Set once, by the entry of the package. */
export function setDefaultClient(get: () => StoresOwner): void {
  defaultClient = get;
}

/** @internal */
export function clientOf(client: StoresOwner | undefined): StoresOwner {
  if (client !== undefined) return client;
  if (defaultClient === undefined) throw new Error("conat-client was not loaded through one of its entry points");
  return defaultClient();
}

/** @internal */
export function storesOf(client: StoresOwner | undefined): SyncStores {
  return clientOf(client).stores;
}
