// Options and events of a SyncTable.
import type { ConatError } from "../errors.js";
import type { StoreOptions } from "../sync/options.js";

/** An object of a table. */
export type Row = Record<string, unknown>;

/** `{table: [{field: value or null, ...}]}`: one table, and what its objects are chosen by. */
export type TableQuery = Record<string, readonly [Readonly<Row>]>;

export interface SyncTableOptions extends Omit<StoreOptions, "name"> {
  /**
   * Which table. The same query, in any order of its fields, is the same table. A field that is null is left open. A
   * query with `string_id` and `project_id` is of that project.
   */
  query: TableQuery;
  /** Append-only, for `patches`: writing what is there already is an error. Default false. */
  stream?: boolean | undefined;
  /** Objects are stored, and replaced, as a whole. Default false: each field by itself, so that changes of different fields merge. */
  atomic?: boolean | undefined;
  /**
   * What is given out cannot be changed: it is frozen. Or a function that makes something of each object, for example
   * `fromJS` of the package `immutable`. Default false: copies, that one may change.
   */
  immutable?: boolean | ((row: Row) => unknown) | undefined;
  /**
   * The fields that tell the objects of the table apart. Default: `string_id, time, is_snapshot` for `patches`,
   * `string_id` for `syncstrings`, else `id`.
   */
  primary_keys?: readonly string[] | undefined;
  /** Save only when `save()` is called. Default false. */
  noAutosave?: boolean | undefined;
}

/**
 * - `connected`: up to date with the server
 * - `disconnected`: not now; it comes back by itself, and local work goes on
 * - `closed`: for good
 */
export type SyncTableState = "connected" | "disconnected" | "closed";

/** What changed of an object: a field by itself, or (`atomic`, `stream`) the object. Without `value` it is gone. */
export interface SyncTableChange {
  key: string;
  field?: string | undefined;
  value?: unknown;
}

export type SyncTableEvents = {
  /** The server told a change, one of one's own or another's: the keys of the objects, and what it is. */
  change: [keys: string[], detail: SyncTableChange];
  /** The server refused a local change for good; it is dropped. */
  reject: [rejection: { key: string; error: ConatError }];
  /** Connected (again), and up to date. */
  connected: [];
  disconnected: [];
  closed: [];
};
