// The open streams of one client, cached and reference counted.
import { DataEncoding, encodeShared } from "../codec.js";
import type { StreamConfig } from "../dkv/options.js";
import { ConatError } from "../errors.js";
import type { Responder } from "../message.js";
import { wellFormed, type Driver } from "../wasm/driver.js";
import type { RecordReader } from "../wasm/records.js";
import { assertHasWritePermission, scopeOf } from "./permission.js";
import { StreamClient, type StreamOwner } from "./stream.js";
import type { StreamOptions } from "./types.js";

export { assertHasWritePermission } from "./permission.js";
export { StreamClient } from "./stream.js";
export type {
  CallTimeout, DeleteChange, DeleteOptions, RangeOptions, SetChange, SetOperation, SetOutcome, StorageOptions,
  StoredAt, StoredMessage, StreamChange, StreamEvents, StreamInventory, StreamOptions, StreamUser,
} from "./types.js";

let reconnectDelay: number | undefined;

/**
 * Sets the first delay before a new connection to the persistence server (1500 ms), for streams and stores that
 * are opened from now on, of all clients.
 */
export function setDefaultReconnectDelay(delay: number): void {
  if (!(delay > 0)) throw new RangeError("the delay must be positive");
  reconnectDelay = Math.ceil(delay);
}

/** @internal To be called before something is opened. */
export function applyReconnectDelay(driver: Driver): void {
  if (reconnectDelay !== undefined) driver.fabric.streamSetReconnectDelay(reconnectDelay);
}

interface Entry {
  id: number;
  stream: StreamClient;
  references: number;
  cacheKey: string | undefined;
}

/** Keys in a fixed order, so that equal options have equal texts. */
export function stableKey(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) => {
    if (part === null || typeof part !== "object" || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

export class Streams implements StreamOwner {
  readonly #entries = new Map<number, Entry>();
  readonly #cache = new Map<string, Entry>();

  constructor(
    readonly driver: Driver,
    readonly client: Responder,
    readonly bigint: boolean,
  ) {}

  /** `config` is applied whenever the stream is opened. */
  open({ user = {}, storage, service = "persist", noCache = false }: StreamOptions, config?: StreamConfig): StreamClient {
    if (typeof storage?.path !== "string") throw new ConatError("storage.path must be a text");
    const scope = scopeOf(user);
    assertHasWritePermission({ subject: `${service}.${scope}`, path: storage.path, service });
    const cacheKey = noCache ? undefined : stableKey({ scope, storage, service, config });
    const cached = cacheKey === undefined ? undefined : this.#cache.get(cacheKey);
    if (cached !== undefined) {
      cached.references += 1;
      return cached.stream;
    }
    const { driver } = this;
    applyReconnectDelay(driver);
    const { ephemeral, sync, compression } = storage;
    const options = encodeShared(DataEncoding.MsgPack, { ephemeral, sync, compression, config });
    driver.fill("", options);
    const id = driver.check(
      driver.fabric.streamOpen(driver.now(), wellFormed(scope), wellFormed(storage.path), wellFormed(service), options.length),
    );
    const stream = new StreamClient({ user, storage, service }, id, this);
    const entry: Entry = { id, stream, references: 1, cacheKey };
    this.#entries.set(id, entry);
    if (cacheKey !== undefined) this.#cache.set(cacheKey, entry);
    return stream;
  }

  /** The client of a stream that a store of the core has opened, and will close. */
  attach(id: number, { user = {}, storage, service = "persist" }: StreamOptions): StreamClient {
    const stream = new StreamClient({ user, storage, service }, id, this, true);
    this.#entries.set(id, { id, stream, references: 1, cacheKey: undefined });
    return stream;
  }

  #find(stream: object): Entry | undefined {
    for (const entry of this.#entries.values()) {
      if (entry.stream === stream) return entry;
    }
    return undefined;
  }

  forget(stream: object): void {
    const entry = this.#find(stream);
    if (entry?.cacheKey !== undefined && this.#cache.get(entry.cacheKey) === entry) this.#cache.delete(entry.cacheKey);
  }

  release(stream: object): boolean {
    const entry = this.#find(stream);
    if (entry === undefined) return true;
    entry.references -= 1;
    if (entry.references > 0) return false;
    this.forget(stream);
    this.#entries.delete(entry.id);
    return true;
  }

  onRecord(kind: number, reader: RecordReader): void {
    this.#entries.get(reader.u32())?.stream.onRecord(kind, reader);
  }

  close(): void {
    for (const { stream } of [...this.#entries.values()]) stream.end();
    this.#entries.clear();
    this.#cache.clear();
  }
}
