// Options of a key-value store, and which stream they mean.
import { ConatError } from "../errors.js";
import type { MessageHeaders } from "../message.js";

/**
 * The merges of the core, which every client decides alike:
 * - `lww`: the last write wins
 * - `fields`: objects field by field, recursively; changed on both sides: local
 * - `counter`: numbers; both differences count
 * - `set`: arrays as sets; additions and removals of both
 * - `text`: three-way merge of texts
 */
export type BuiltInMerge = "lww" | "fields" | "counter" | "set" | "text";

/** Both sides of a conflict; `undefined` for absent. */
export interface MergeInput<T> {
  key: string;
  local: T | undefined;
  remote: T | undefined;
  /** The last value that both sides had in common. */
  prev: T | undefined;
}

/**
 * Decides a conflict, at once. All clients of a store end with the same value whatever it returns; to lose nothing
 * it should depend on its input alone. When it throws or returns undefined, the local value wins.
 */
export type MergeFunction<T> = (input: MergeInput<T>) => T | undefined;

/** Limits of the stream below; what is absent stays as it is. */
export interface StreamConfig {
  max_msgs?: number;
  /** ms */
  max_age?: number;
  max_bytes?: number;
  max_msg_size?: number;
  max_bytes_per_second?: number;
  max_msgs_per_second?: number;
  discard_policy?: "old" | "new";
  allow_msg_ttl?: boolean;
  desc?: unknown;
}

export interface DKVOptions<T = unknown> {
  /** Which store; any text. */
  name: string;
  /** The store of this account; without owner it belongs to the hub. */
  account_id?: string | undefined;
  /** The store of this project. */
  project_id?: string | undefined;
  /** How conflicting changes are decided. Default: the last write wins. */
  merge?: BuiltInMerge | MergeFunction<T> | undefined;
  config?: StreamConfig | undefined;
  /** Kept in the server's memory while somebody has it open. Default false. */
  ephemeral?: boolean | undefined;
  /** Every write reaches stable storage before it is acknowledged, whatever the server's default. */
  sync?: boolean | undefined;
  /** Save only when `save()` is called. Default false. */
  noAutosave?: boolean | undefined;
  /** An object of its own, instead of the one that is open already. Default false. */
  noCache?: boolean | undefined;
  /** Not listed in the inventory of its owner. Default false. */
  noInventory?: boolean | undefined;
  /** Another persistence service than `persist`. */
  service?: string | undefined;
  /**
   * Local first, in browsers: the store and its unsaved changes are kept in IndexedDB. It opens at once, also without
   * a network (with what was kept; the first time after 3 s at most, empty), survives reloads and crashes of its tab,
   * and what is unsaved is saved exactly once when the connection is back, by this tab or another. Elsewhere opening
   * fails with 400; a browser that keeps nothing (private mode) warns and works without. Default false.
   */
  offline?: boolean | undefined;
  /** A description, kept in the store's configuration. */
  desc?: unknown;
}

export interface SetOptions {
  headers?: MessageHeaders | undefined;
}

/** Events of a DKV. */
export type DKVEvents<T> = {
  /** The server's echo of a local change, or a remote one. `value` is undefined for a delete. */
  change: [change: { key: string; value: T | undefined; prev: T | undefined }];
  /** Everything is saved and echoed. */
  stable: [];
  /** The server refused a local change for good; it is dropped. */
  reject: [rejection: { key: string; value: T | undefined; error: ConatError }];
  /** Connected to the store (again), and up to date. */
  connected: [];
  disconnected: [];
  closed: [];
};

export interface StreamLocation {
  scope: string;
  path: string;
}

export function locationOf({ name, account_id, project_id }: { name: string; account_id?: string | undefined; project_id?: string | undefined }): StreamLocation {
  if (typeof name !== "string" || name === "") throw new ConatError("the store's name must be a text that is not empty");
  if (account_id !== undefined && project_id !== undefined) throw new ConatError("give account_id or project_id, not both");
  if (account_id !== undefined) return { scope: `account-${account_id}`, path: `accounts/${account_id}/${name}` };
  if (project_id !== undefined) return { scope: `project-${project_id}`, path: `projects/${project_id}/${name}` };
  return { scope: "hub", path: `hub/${name}` };
}
