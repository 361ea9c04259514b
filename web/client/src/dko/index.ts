// The DKOs of one client, cached and reference counted.
import type { DkvStores, DKV } from "../dkv/index.js";
import { locationOf } from "../dkv/options.js";
import { withProperties } from "../dkv/properties.js";
import { DKO, dkvNameOf, mergeFieldLists, type DKOOptions } from "./dko.js";

export { DKO, type DKOEvents, type DKOOptions, type FieldPath } from "./dko.js";

interface Entry {
  opening: Promise<DKO>;
  references: number;
}

export class DkoStores {
  readonly #dkvs: DkvStores;
  readonly #cache = new Map<string, Entry>();

  constructor(dkvs: DkvStores) {
    this.#dkvs = dkvs;
  }

  async open<T extends object>(options: DKOOptions): Promise<DKO<T>> {
    const cacheKey = JSON.stringify(locationOf(options));
    let entry = options.noCache ? undefined : this.#cache.get(cacheKey);
    if (entry === undefined) {
      const made: Entry = { references: 0, opening: this.#make(options, () => release()) };
      const forget = (): void => {
        if (this.#cache.get(cacheKey) === made) this.#cache.delete(cacheKey);
      };
      const release = (): boolean => {
        made.references -= 1;
        if (made.references > 0) return false;
        forget();
        return true;
      };
      if (!options.noCache) this.#cache.set(cacheKey, made);
      made.opening.then((dko) => dko.once("closed", forget), forget);
      entry = made;
    }
    entry.references += 1;
    return (await entry.opening) as unknown as DKO<T>;
  }

  async #make(options: DKOOptions, release: () => boolean): Promise<DKO> {
    const dkv = await this.#dkvs.open({ ...options, name: dkvNameOf(options.name), merge: mergeFieldLists });
    return withProperties(new DKO<Record<string, unknown>>(options, dkv as DKV, release));
  }
}
