// Options that all synchronized structures share.
import { locationOf, type DKVOptions } from "../dkv/options.js";
import type { ConatError } from "../errors.js";
import type { MessageHeaders } from "../message.js";
import type { StreamConfig } from "../dkv/options.js";
import type { StreamOptions } from "../stream/types.js";

/** Which store, and how it is kept. */
export type StoreOptions = Omit<DKVOptions, "merge" | "noAutosave" | "offline">;

/** Options of `akv` and `astream`. */
export type AsyncStoreOptions = StoreOptions;

export type AsyncStoreEvents = {
  /** The store could not be opened, for good (400, 403, 429): every call fails with the same error. */
  error: [error: ConatError];
  closed: [];
};

const tombstone = "CN-Tombstone";

/** What a message that deletes its key is marked with. */
export const tombstoneHeaders: MessageHeaders = { [tombstone]: true };

export function isTombstone(headers: MessageHeaders | undefined): boolean {
  return headers?.[tombstone] === true;
}

/** The stream that a store lives in. */
export function streamOptionsOf(options: StoreOptions): StreamOptions & { config: StreamConfig | undefined } {
  const { account_id, project_id, ephemeral, sync, service, desc } = options;
  const { path } = locationOf(options);
  const config = desc === undefined ? options.config : { desc, ...options.config };
  return { user: { account_id, project_id }, storage: { path, ephemeral, sync }, service, config };
}
