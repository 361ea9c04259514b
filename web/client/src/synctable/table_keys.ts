// Which table a query means, and which object of it a key.
import { ConatError } from "../errors.js";
import { stableKey } from "../stream/index.js";
import type { Row, SyncTableOptions } from "./options.js";
import { sha1 } from "./sha1.js";

const knownKeys: Readonly<Record<string, readonly string[]>> = {
  patches: ["string_id", "time", "is_snapshot"],
  syncstrings: ["string_id"],
};

/** The `string_id` of a file of a project. */
export function stringId(project_id: string, path: string): string {
  return sha1(project_id + path);
}

const isRow = (value: unknown): value is Row => typeof value === "object" && value !== null && !Array.isArray(value);

const textOf = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

function keyTextOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A table's name and owner, and its keys. */
export class TableKeys {
  readonly table: string;
  /** Of the store below. */
  readonly name: string;
  readonly string_id: string | undefined;
  readonly project_id: string | undefined;
  readonly account_id: string | undefined;
  readonly primaryKeys: readonly string[];
  readonly #query: Readonly<Row>;
  // Of a table whose every object has the same, it is not stored.
  readonly #implied: boolean;

  /** @throws ConatError for a malformed query. */
  constructor({ query, primary_keys, project_id, account_id }: SyncTableOptions) {
    const tables = isRow(query) ? Object.keys(query) : [];
    const [table = ""] = tables;
    const rows: unknown = query?.[table];
    const row: unknown = Array.isArray(rows) && rows.length === 1 ? rows[0] : undefined;
    if (tables.length !== 1 || table === "" || !isRow(row)) throw new ConatError("the query must be {table: [{...}]}");
    const known = Object.hasOwn(knownKeys, table) ? knownKeys[table] : undefined;
    this.table = table;
    this.primaryKeys = primary_keys ?? known ?? ["id"];
    if (this.primaryKeys.length === 0) throw new ConatError("a table needs a primary key");
    const [ofProject, path] = [textOf(row["project_id"]), textOf(row["path"])];
    const computed = known !== undefined && ofProject !== undefined && path !== undefined ? stringId(ofProject, path) : undefined;
    this.string_id = textOf(row["string_id"]) ?? computed;
    const takesProject = this.string_id !== undefined && ofProject !== undefined;
    this.project_id = takesProject ? ofProject : project_id;
    this.account_id = takesProject ? undefined : account_id;
    this.name = `${table}:${this.string_id ?? stableKey(row)}`;
    this.#query = this.string_id === undefined ? row : { ...row, string_id: this.string_id };
    this.#implied = table === "patches" && this.string_id !== undefined;
  }

  /**
   * The key of an object: its primary key, of several the JSON array. What the object leaves out the query tells.
   * @throws ConatError when one is missing.
   */
  keyOf(row: unknown): string {
    const key = this.#keyOf(row);
    if (key === undefined) throw new ConatError(`an object of '${this.table}' needs ${this.primaryKeys.join(", ")}`);
    return key;
  }

  #keyOf(row: unknown): string | undefined {
    if (!isRow(row)) return undefined;
    const values = this.primaryKeys.map((name) => row[name] ?? this.#query[name] ?? null);
    // Most patches are no snapshots, and do not say so.
    const missing = values.some((value, n) => value === null && this.primaryKeys[n] !== "is_snapshot");
    if (missing) return undefined;
    return values.length === 1 ? keyTextOf(values[0]) : JSON.stringify(values);
  }

  /** What is stored of an object: with its primary keys, but without what the table's name tells. */
  stored(row: Row): Row {
    const stored: Row = { ...row };
    for (const name of this.primaryKeys) {
      const value = row[name] ?? this.#query[name];
      if (value !== undefined && value !== null) stored[name] = value;
    }
    if (this.#implied) delete stored["string_id"];
    return stored;
  }

  /** The object of what is stored; undefined for what is none of this table, which any writer can store. */
  shown(stored: unknown): Row | undefined {
    if (!isRow(stored) || this.#keyOf(stored) === undefined) return undefined;
    return this.#implied ? { string_id: this.string_id, ...stored } : { ...stored };
  }

  /** The same, unless it is not where it should be. */
  shownAt(key: string, stored: unknown): Row | undefined {
    return this.#keyOf(stored) === key ? this.shown(stored) : undefined;
  }

  /** Whether a text is a key of several parts. */
  isCompound(text: string): boolean {
    if (!text.startsWith("[")) return false;
    try {
      const parts = JSON.parse(text) as unknown;
      return Array.isArray(parts) && parts.length === this.primaryKeys.length;
    } catch {
      return false;
    }
  }
}
