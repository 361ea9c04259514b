// What a browser keeps of one store, so that it opens without a network and loses nothing with its tab.
//
// In IndexedDB there is the server's state as it was last known, one for all tabs, and the unsaved changes, a record
// for each run of a page ("tab"). Each tab saves its own. A tab holds a Web Lock as long as it lives; when it is
// gone, the next that opens the store (the same page after a reload, mostly), or another one that is connected and
// can save them, takes its changes over: it restores them in
// its own copy and then, in one transaction, replaces both records. Whatever happens between these steps, a change
// is recognized by its number in the stream (see the core's kept.hpp), so that none is lost and none is doubled.
import { openDB, type DBSchema, type IDBPDatabase } from "idb";
import { ConatError } from "../errors.js";
import { platform } from "../platform.js";

/** The store, as the core has it. */
export interface Kept {
  /** Its unsaved changes, or its state. */
  kept(changes: boolean): Uint8Array;
  hasUnsavedChanges(): boolean;
  isConnected(): boolean;
  /** @throws ConatError when it is damaged; then nothing has been restored. */
  restore(state: Uint8Array, changes: Uint8Array, openNow: boolean): void;
}

interface Schema extends DBSchema {
  states: { key: string; value: Uint8Array };
  changes: { key: [store: string, tab: string]; value: Uint8Array };
}

const databaseName = "conat-client-offline";
// More is not kept.
const maxChangesBytes = 64 << 20;
const maxStateBytes = 256 << 20;
// The state is written at most so often, and takes at most a twentieth of the time.
const stateIntervalMs = 1000;
const stateShare = 20;
const cheapStateMs = 50;
// A browser that has nothing of the store yet waits for the network so long before it opens it empty.
const firstLoadMs = 3000;
const nothing = new Uint8Array(0);

export class OfflineCopy {
  readonly #name: string;
  readonly #key: string;
  readonly #tab: string;
  readonly #database: IDBPDatabase<Schema>;
  readonly #channel: BroadcastChannel;
  readonly #unlock: () => void;
  readonly #watched = new Set<string>();
  readonly #ended = new Set<string>(); // tabs that may have left changes
  readonly #stop = new AbortController();
  #store: Kept | undefined;
  #dirty = false;
  #writing: Promise<void> | undefined;
  #recorded = false;
  #stateAt = -Infinity;
  #stateTook = 0;
  #stateTimer: ReturnType<typeof setTimeout> | undefined;
  #openTimer: ReturnType<typeof setTimeout> | undefined;
  #warned = false;

  private constructor(name: string, key: string, tab: string, database: IDBPDatabase<Schema>, unlock: () => void) {
    this.#name = name;
    this.#key = key;
    this.#tab = tab;
    this.#database = database;
    this.#unlock = unlock;
    this.#channel = new BroadcastChannel(key);
    this.#channel.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (typeof data === "string" && data.length <= 100) this.#watch(data);
    };
  }

  /**
   * @param key which store, of which server
   * @returns undefined where the browser keeps nothing (private mode, for example): the store works without.
   * @throws ConatError 400 outside of browsers
   */
  static async open(name: string, key: string): Promise<OfflineCopy | undefined> {
    if (!platform().keepsStores) throw new ConatError("'offline' is for browsers: there is no IndexedDB here", { code: 400 });
    let unlock: (() => void) | undefined;
    try {
      if (globalThis.indexedDB === undefined || globalThis.navigator.locks === undefined) {
        throw new Error("there is no IndexedDB, or the page is not secure");
      }
      const database = await openDB<Schema>(databaseName, 1, {
        upgrade(made) {
          made.createObjectStore("states");
          made.createObjectStore("changes");
        },
        // A newer version of the package in another tab.
        blocking: (_current, _blocked, event) => (event.target as IDBDatabase).close(),
      });
      const tab = crypto.randomUUID();
      unlock = await hold(lockName(key, tab));
      return new OfflineCopy(name, key, tab, database, unlock);
    } catch (error) {
      unlock?.();
      console.warn(`conat-client: '${name}' is not kept in this browser:`, error);
      return undefined;
    }
  }

  /** Restores what is kept, and keeps what changes from now on. */
  async attach(store: Kept): Promise<void> {
    this.#store = store;
    let found = false;
    try {
      const state = await this.#database.get("states", this.#key);
      if (state !== undefined) found = this.#restore(state, nothing);
      const range = IDBKeyRange.bound([this.#key, ""], [this.#key, "\uffff"]);
      const tabs = (await this.#database.getAllKeys("changes", range)).map(([, tab]) => tab);
      const locks = await navigator.locks.query();
      const living = new Set([...(locks.held ?? [])].map((lock) => lock.name));
      for (const tab of tabs) {
        if (living.has(lockName(this.#key, tab))) this.#watch(tab);
        else found = (await this.#adopt(tab)) || found;
      }
    } catch (error) {
      this.#warn(error);
    }
    if (this.#store === undefined) return;
    // From now on the core names its changes, whether anything was there or not.
    this.#restore(nothing, nothing, found || !navigator.onLine);
    this.#openTimer = setTimeout(() => this.#restore(nothing, nothing, true), firstLoadMs);
    this.#channel.postMessage(this.#tab);
  }

  /** Something has changed. */
  changed(): void {
    if (this.#store === undefined) return;
    this.#dirty = true;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Resolves when what has changed until now is kept (or cannot be). */
  async settled(): Promise<void> {
    this.changed();
    await this.#writing;
  }

  /** Keeps what is unsaved; another tab, or the next one, goes on with it. To be called before the store is closed. */
  close(): void {
    const store = this.#store;
    if (store === undefined) return this.#release();
    const changes = store.hasUnsavedChanges() ? store.kept(true) : undefined;
    this.#store = undefined;
    clearTimeout(this.#stateTimer);
    clearTimeout(this.#openTimer);
    void Promise.resolve(this.#writing)
      .then(() => this.#writeChanges(changes))
      .catch((error: unknown) => this.#warn(error))
      .finally(() => this.#release());
  }

  #release(): void {
    this.#stop.abort();
    this.#channel.close();
    this.#database.close();
    this.#unlock();
  }

  /** Returns whether it was sound. */
  #restore(state: Uint8Array, changes: Uint8Array, openNow = false): boolean {
    try {
      this.#store?.restore(state, changes, openNow);
      return true;
    } catch (error) {
      console.error(`conat-client: what was kept of '${this.#name}' cannot be used:`, error);
      return false;
    }
  }

  // Waits for the end of another tab.
  #watch(tab: string): void {
    if (tab === this.#tab || this.#watched.has(tab)) return;
    this.#watched.add(tab);
    // It shall know of this one, too.
    this.#channel.postMessage(this.#tab);
    navigator.locks
      .request(lockName(this.#key, tab), { signal: this.#stop.signal }, () => {
        this.#watched.delete(tab);
        this.#ended.add(tab);
      })
      .then(() => this.#adoptEnded())
      .catch((error: unknown) => this.#onLockError(error));
  }

  // Without a connection there is no hurry: the page that is loaded again shall find its own changes.
  #adoptEnded(): void {
    if (this.#store?.isConnected() !== true) return;
    for (const tab of this.#ended) this.#adopt(tab).catch((error: unknown) => this.#onLockError(error));
    this.#ended.clear();
  }

  #onLockError(error: unknown): void {
    if (!this.#stop.signal.aborted) this.#warn(error);
  }

  // One at a time adopts the changes of a tab.
  async #adopt(tab: string): Promise<boolean> {
    return navigator.locks.request(lockName(this.#key, tab), { signal: this.#stop.signal }, async () => {
      const bytes = await this.#database.get("changes", [this.#key, tab]);
      if (bytes === undefined || this.#store === undefined) return false;
      const sound = this.#restore(nothing, bytes);
      await this.#writing;
      if (this.#store === undefined) return false;
      const own = this.#store.hasUnsavedChanges() ? this.#store.kept(true) : undefined;
      await this.#writeChanges(own, tab);
      return sound;
    });
  }

  async #write(): Promise<void> {
    // What one turn changes is kept together.
    await undefined;
    this.#adoptEnded();
    while (this.#dirty && this.#store !== undefined) {
      this.#dirty = false;
      try {
        const unsaved = this.#store.hasUnsavedChanges();
        const saved = this.#recorded && !unsaved;
        if (unsaved || saved) await this.#writeChanges(unsaved ? this.#store.kept(true) : undefined);
        await this.#writeState(saved);
      } catch (error) {
        this.#warn(error);
      }
    }
  }

  /** Replaces the record of this tab, and takes away that of an adopted one. */
  async #writeChanges(changes: Uint8Array | undefined, adopted?: string): Promise<void> {
    if (changes !== undefined && changes.length > maxChangesBytes) {
      throw new Error(`${changes.length} bytes of unsaved changes are more than are kept (${maxChangesBytes})`);
    }
    const transaction = this.#database.transaction("changes", "readwrite");
    if (changes === undefined) await transaction.store.delete([this.#key, this.#tab]);
    else await transaction.store.put(changes, [this.#key, this.#tab]);
    if (adopted !== undefined) await transaction.store.delete([this.#key, adopted]);
    await transaction.done;
    this.#recorded = changes !== undefined;
  }

  async #writeState(atOnce: boolean): Promise<void> {
    const started = performance.now();
    const wait = this.#stateAt + Math.max(stateIntervalMs, this.#stateTook * stateShare) - started;
    if (this.#store === undefined) return;
    if (wait > 0 && !(atOnce && this.#stateTook < cheapStateMs)) {
      this.#stateTimer ??= setTimeout(() => {
        this.#stateTimer = undefined;
        this.changed();
      }, wait);
      return;
    }
    const state = this.#store.kept(false);
    this.#stateAt = started;
    if (state.length > maxStateBytes) throw new Error(`its ${state.length} bytes are more than are kept (${maxStateBytes})`);
    await this.#database.put("states", state, this.#key);
    this.#stateTook = performance.now() - started;
  }

  #warn(error: unknown): void {
    if (this.#warned) return;
    this.#warned = true;
    console.warn(`conat-client: '${this.#name}' cannot be kept in this browser, and works without:`, error);
  }
}

function lockName(key: string, tab: string): string {
  return `${key} ${tab}`;
}

/** Holds a lock until the returned function is called, or the page is gone. */
function hold(name: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, () => new Promise<void>((release) => resolve(release)))
      .catch(reject);
  });
}
