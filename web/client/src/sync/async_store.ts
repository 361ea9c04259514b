// What AKV and AStream have in common: a store that is asked at every call.
import { bindMethods } from "../dkv/properties.js";
import type { StreamConfig } from "../dkv/options.js";
import { Emitter } from "../emitter.js";
import { closed } from "../errors.js";
import type { StreamClient } from "../stream/stream.js";
import type { CallTimeout, StreamInventory } from "../stream/types.js";
import type { AsyncStoreEvents, AsyncStoreOptions } from "./options.js";

export abstract class AsyncStore extends Emitter<AsyncStoreEvents> {
  /** What it was opened with. */
  readonly opts: Readonly<AsyncStoreOptions>;
  /** The stream below. */
  readonly stream: StreamClient;
  readonly #release: (store: object) => boolean;
  #closed = false;

  /** @internal */
  constructor(options: AsyncStoreOptions, stream: StreamClient, release: (store: object) => boolean) {
    super();
    this.opts = options;
    this.stream = stream;
    this.#release = release;
    stream.on("error", this.#onError);
    bindMethods(this);
  }

  readonly #onError = (error: AsyncStoreEvents["error"][0]): void => {
    this.emit("error", error);
  };

  /** The stream below. @throws `closed` */
  protected below(): StreamClient {
    if (this.#closed) throw closed();
    return this.stream;
  }

  /** The configuration, after what `config` has changed of it. */
  async config(config?: StreamConfig, options: CallTimeout = {}): Promise<Required<StreamConfig>> {
    return this.below().config({ config, ...options });
  }

  /** How much there is. */
  async inventory(options: CallTimeout = {}): Promise<StreamInventory> {
    return this.below().inventory(options);
  }

  /** For servers that allow it; Conat's own refuses. */
  async sqlite(statement: string, params?: unknown, options: CallTimeout = {}): Promise<unknown> {
    return this.below().sqlite({ statement, params, ...options });
  }

  isClosed(): boolean {
    return this.#closed;
  }

  /** Closes it; of an object that was opened several times, the last close counts. Never throws. */
  close(): void {
    if (this.#closed || !this.#release(this)) return;
    this.end();
  }

  /** @internal */
  end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.stream.off("error", this.#onError);
    this.stream.close();
    this.emit("closed");
    this.removeAllListeners();
  }
}
