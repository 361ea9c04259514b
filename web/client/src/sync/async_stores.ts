// The AKVs and AStreams of one client, cached and reference counted.
import { AKV } from "../akv/akv.js";
import { AStream } from "../astream/astream.js";
import { stableKey, type Streams } from "../stream/index.js";
import { streamOptionsOf, type AsyncStoreOptions } from "./options.js";

interface Store {
  end(): void;
}
interface Entry {
  store: Store;
  references: number;
  cacheKey: string;
}

export class AsyncStores {
  readonly #entries = new Set<Entry>();
  readonly #cache = new Map<string, Entry>();
  readonly #streams: Streams;

  constructor(streams: Streams) {
    this.#streams = streams;
  }

  akv<T>(options: AsyncStoreOptions): AKV<T> {
    return this.#open("akv", options, (stream, release) => new AKV<T>(options, stream, release));
  }

  astream<T>(options: AsyncStoreOptions): AStream<T> {
    return this.#open("astream", options, (stream, release) => new AStream<T>(options, stream, release, this.#streams.bigint));
  }

  #open<S extends Store>(
    kind: string, options: AsyncStoreOptions,
    make: (stream: ReturnType<Streams["open"]>, release: (store: object) => boolean) => S,
  ): S {
    const { config, ...streamOptions } = streamOptionsOf(options);
    const cacheKey = stableKey({ kind, config, ...streamOptions });
    const cached = options.noCache ? undefined : this.#cache.get(cacheKey);
    if (cached !== undefined) {
      cached.references += 1;
      return cached.store as S;
    }
    // The stream below counts its users itself.
    const stream = this.#streams.open({ ...streamOptions, noCache: options.noCache }, config);
    const store = make(stream, () => this.#release(entry));
    const entry: Entry = { store, references: 1, cacheKey };
    this.#entries.add(entry);
    if (options.noCache) return store;
    this.#cache.set(cacheKey, entry);
    // Who opens it again after a failure tries again.
    stream.once("error", () => this.#forget(entry));
    return store;
  }

  #forget(entry: Entry): void {
    if (this.#cache.get(entry.cacheKey) === entry) this.#cache.delete(entry.cacheKey);
  }

  #release(entry: Entry): boolean {
    entry.references -= 1;
    if (entry.references > 0) return false;
    this.#forget(entry);
    this.#entries.delete(entry);
    return true;
  }

  close(): void {
    for (const { store } of [...this.#entries]) store.end();
    this.#entries.clear();
    this.#cache.clear();
  }
}
