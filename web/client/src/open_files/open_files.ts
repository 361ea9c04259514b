// Which files of a project are open, or should be: what browsers and the project's servers tell each other of them.
import { toPath } from "../dko/dko.js";
import type { DKO } from "../dko/index.js";
import { bindMethods } from "../dkv/properties.js";
import { Emitter } from "../emitter.js";
import { closed } from "../errors.js";
import { clientOf, type WithClient } from "../sync/default_client.js";

/** The store's name in its project. */
const storeName = "open-files";
const day = 24 * 60 * 60 * 1000;

/** What is known of one file. All times are ms since 1970. */
export interface OpenFileEntry {
  path: string;
  /** When somebody last touched it. */
  time?: number;
  /** What kind of document it is, as who touched it says. */
  doctype?: unknown;
  /** Why it could not be opened. */
  error?: { time: number; error: string };
  /** Whether it was deleted, or is there again. */
  deleted?: { deleted: boolean; time: number };
  /** Which server has it open. */
  backend?: { id: string; time: number };
}

export interface OpenFilesOptions extends WithClient {
  /** An object of its own, instead of one that shares what is open already. Default false. */
  noCache?: boolean | undefined;
  /** Save only when `save()` is called. Default false. */
  noAutosave?: boolean | undefined;
  /** ms; what nobody writes for that long is forgotten. It counts for everybody. Default: one day. */
  maxAge?: number | undefined;
}

export type OpenFilesEvents = {
  /** Something changed of a file, by oneself or another. An entry with nothing but its `path` is gone. */
  change: [entry: OpenFileEntry];
  connected: [];
  disconnected: [];
  closed: [];
};

type Stored = Omit<OpenFileEntry, "path">;

/**
 * The open files of a project, by path. Everybody who may use the project has them and may change them; different
 * things about one file merge. Methods work detached from the object.
 */
export class OpenFiles extends Emitter<OpenFilesEvents> {
  readonly project_id: string;
  readonly #dko: DKO<Stored>;
  readonly #renewAfter: number; // ms
  readonly #changed = new Set<string>();
  #closed = false;

  /** @internal Use `openFiles()`. */
  constructor(project_id: string, dko: DKO<Stored>, maxAge: number) {
    super();
    this.#renewAfter = maxAge / 2;
    this.project_id = project_id;
    this.#dko = dko;
    bindMethods(this);
    dko.on("change", this.#onChange);
    dko.on("connected", this.#onConnected);
    dko.on("disconnected", this.#onDisconnected);
    dko.on("closed", this.close);
  }

  /** `connected` and up to date, `disconnected` for now, or `closed` for good. */
  get state(): "connected" | "disconnected" | "closed" {
    if (this.#closed) return "closed";
    return this.#dko.dkv.isConnected() ? "connected" : "disconnected";
  }

  /** What is known of a file; undefined for nothing. @throws `closed` */
  get(path: string): OpenFileEntry | undefined {
    const stored = this.#store().get(path);
    return stored && { path, ...stored };
  }

  /** All files that something is known of, those that were touched last at the end. @throws `closed` */
  getAll(): OpenFileEntry[] {
    const entries = Object.entries(this.#store().getAll()).map(([path, stored]) => ({ path, ...stored }));
    return entries.sort((a, b) => (a.time ?? 0) - (b.time ?? 0));
  }

  /** Somebody has, or wants to have, the file open. @throws `closed` */
  touch(path: string, doctype?: unknown): void {
    this.#set(path, doctype === undefined ? { time: Date.now() } : { time: Date.now(), doctype });
  }

  /** Why the file cannot be opened; without an error there is none any more. @throws `closed` */
  setError(path: string, error?: unknown): void {
    this.#set(path, { error: error ? { time: Date.now(), error: String(error) } : undefined });
  }

  /** The file was deleted. @throws `closed` */
  setDeleted(path: string): void {
    this.#set(path, { deleted: { deleted: true, time: Date.now() } });
  }

  /** It is there (again). @throws `closed` */
  setNotDeleted(path: string): void {
    this.#set(path, { deleted: { deleted: false, time: Date.now() } });
  }

  /** Whether the file was deleted. @throws `closed` */
  isDeleted(path: string): boolean {
    return this.get(path)?.deleted?.deleted ?? false;
  }

  /** A server has the file open. @throws `closed` */
  setBackend(path: string, id: string): void {
    this.#set(path, { backend: { id, time: Date.now() } });
  }

  /** Which server has the file open, and since when. @throws `closed` */
  getBackend(path: string): OpenFileEntry["backend"] {
    return this.get(path)?.backend;
  }

  /** It has it open no more: the server of that id, or whichever. @throws `closed` */
  setNotBackend(path: string, id?: string): void {
    const backend = this.getBackend(path);
    if (backend !== undefined && (id === undefined || backend.id === id)) this.#set(path, { backend: undefined });
  }

  /** Forgets a file. @throws `closed` */
  delete(path: string): void {
    this.#store().delete(path);
  }

  /** Forgets all files. @throws `closed` */
  clear(): void {
    this.#store().clear();
  }

  /** Resolves when nothing is unsaved. @throws `closed` */
  async save(): Promise<void> {
    await this.#store().save();
  }

  /** Whether something is not saved yet. @throws `closed` */
  hasUnsavedChanges(): boolean {
    return this.#store().hasUnsavedChanges();
  }

  /** Closes it; what was written is still saved. Never throws. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const dko = this.#dko;
    dko.off("change", this.#onChange);
    dko.off("connected", this.#onConnected);
    dko.off("disconnected", this.#onDisconnected);
    dko.off("closed", this.close);
    dko.close();
    this.emit("closed");
    this.removeAllListeners();
  }

  #store(): DKO<Stored> {
    if (this.#closed) throw closed();
    return this.#dko;
  }

  // Fields that are undefined are removed, others stay.
  #set(path: string, change: { [Name in keyof Stored]: Stored[Name] | undefined }): void {
    const store = this.#store();
    store.set(path, { ...store.get(path), ...change } as Stored);
    this.#renew(path);
  }

  // What stays the same is not written, and would be forgotten of a file that is used all the time: it is written anew
  // before that.
  #renew(path: string): void {
    const { dkv } = this.#dko;
    const fields = Object.keys(this.#dko.get(path) ?? {});
    for (const each of [path, ...fields.map((field) => toPath(path, field))]) {
      const written = dkv.time(each)?.getTime();
      if (written === undefined || written > Date.now() - this.#renewAfter) continue;
      // Other headers make it another write.
      dkv.set(each, dkv.get(each), { headers: { renewed: Date.now() } });
    }
  }

  // The fields of one file change together: it is told once.
  readonly #onChange = ({ key: path }: { key: string }): void => {
    if (this.#changed.size === 0) queueMicrotask(() => this.#tellChanges());
    this.#changed.add(path);
  };

  #tellChanges(): void {
    const paths = [...this.#changed];
    this.#changed.clear();
    for (const path of paths) {
      if (!this.#closed) this.emit("change", this.get(path) ?? { path });
    }
  }

  readonly #onConnected = (): void => void this.emit("connected");
  readonly #onDisconnected = (): void => void this.emit("disconnected");
}

/**
 * Opens the open files of a project.
 * @throws ConatError 400, 403, 429; other failures are retried for ever.
 */
export async function createOpenFiles({ project_id, client, noCache, noAutosave, maxAge = day }: OpenFilesOptions & { project_id: string }): Promise<OpenFiles> {
  const { stores } = clientOf(client);
  const dko = await stores.dko<Stored>({ name: storeName, project_id, noCache, noAutosave, config: { max_age: maxAge } });
  return new OpenFiles(project_id, dko, maxAge);
}

/** The same, by the project's id. @throws as `createOpenFiles`. */
export async function openFiles(project_id: string, options: OpenFilesOptions = {}): Promise<OpenFiles> {
  return createOpenFiles({ ...options, project_id });
}
