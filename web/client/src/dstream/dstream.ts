// An append-only stream, with one's own messages at its end at once.
import { Calls } from "../calls.js";
import { DataEncoding, encodeShared } from "../codec.js";
import { ConatError } from "../errors.js";
import { HeldStream } from "../log/held_stream.js";
import { readLogChange } from "../log/log_view.js";
import type { HeldCalls, LogStores } from "../log/log_stores.js";
import { encodeHeaders } from "../message.js";
import type { StreamClient } from "../stream/stream.js";
import type { WithClient } from "../sync/default_client.js";
import { errorFrom } from "../wasm/driver.js";
import { Record as Kind, type RecordReader } from "../wasm/records.js";
import type { DStreamDeleteOptions, DStreamEvents, DStreamOptions, DStreamPublishOptions } from "./options.js";

/**
 * An append-only stream. Reading and publishing is synchronous, on the local copy; what is published is at the end
 * at once, is saved in the background in the order of the calls, and arrives at all others exactly once, through
 * every disconnect. `stream[n]` is `stream.get(n)`.
 *
 * A message has no sequence number before it is saved, and no time and headers before the stream has told it. Values
 * are decoded once and given out as they are: do not change them. A value that is malformed, which any writer can
 * store, reads as undefined.
 *
 * What was published before `close()` is still sent, but with `noAutosave` it is lost; with `offline` it is kept, and
 * sent by another tab or the next opening.
 */
export class DStream<T = unknown> extends HeldStream<T, DStreamOptions, DStreamEvents<T>> {
  readonly #saves = new Calls<true>();
  readonly [n: number]: T | undefined;

  /** Makes an object of its own; `init()` opens it. `dstream()` shares objects. */
  constructor(options: DStreamOptions & WithClient) {
    super(options, (stores) => callsOf(stores, !(options.noAutosave ?? false)));
    return withIndexes(this);
  }

  /** The stream below, for its commands. */
  get stream(): StreamClient {
    return this.below();
  }

  // ---- writing ----

  /**
   * Adds a message to the end: visible at once, saved in the background.
   * @throws ConatError `closed`, 413 (over 32 MiB); Error for undefined, or what cannot be encoded.
   */
  publish(value: T, { headers, ttl = 0 }: DStreamPublishOptions = {}): void {
    this.below();
    if (value === undefined) throw new ConatError("a message must not be 'undefined'");
    const { driver } = this;
    const encodedHeaders = encodeHeaders(headers);
    const raw = encodeShared(DataEncoding.MsgPack, value);
    driver.fill("", encodedHeaders, raw);
    driver.check(
      driver.fabric.dstreamPublish(driver.now(), this.id, encodedHeaders.length, raw.length, DataEncoding.MsgPack, ttl),
    );
    this.offlineChanged();
  }

  /** Adds several messages. @throws as publish. */
  push(...values: T[]): void {
    for (const value of values) this.publish(value);
  }

  /**
   * Resolves when nothing is unsaved: every message is acknowledged, or was rejected. With `noAutosave` it is one
   * attempt, which may fail.
   * @throws ConatError `closed`; with `noAutosave` also what the attempt failed with.
   */
  async save(): Promise<void> {
    this.below();
    const { driver } = this;
    await this.#saves.wait(driver.check(driver.fabric.dstreamSave(driver.now(), this.id)));
  }

  /**
   * With `offline`: resolves when what was published until now is in the browser's storage (or cannot be), and
   * outlives this tab. @throws `closed`
   */
  async kept(): Promise<void> {
    this.below();
    await this.offlineSettled();
  }

  /** Whether something is not acknowledged yet. @throws `closed` */
  hasUnsavedChanges(): boolean {
    this.below();
    return this.driver.fabric.dstreamUnsaved(this.id) > 0;
  }

  /** The messages that are not acknowledged yet. @throws `closed` */
  unsavedChanges(): T[] {
    const view = this.log();
    const length = view.length();
    const unsaved = this.driver.fabric.dstreamUnsaved(this.id);
    return view.entries(length - unsaved, length).map((entry) => view.value(entry) as T);
  }

  /** Whether everything is saved and told by the stream. @throws `closed` */
  isStable(): boolean {
    this.below();
    return this.driver.fabric.dstreamIsStable(this.id);
  }

  /** Saves, then deletes messages for good. @returns the sequence numbers of what was deleted. */
  async delete(options: DStreamDeleteOptions): Promise<{ seqs: number[] }> {
    await this.save();
    return this.deleteMessages(options);
  }

  // ---- inside ----

  protected finishWaits(): void {
    this.#saves.finish();
  }

  /** @internal */
  onRecord(kind: number, reader: RecordReader): void {
    const { driver } = this;
    this.offlineChanged();
    switch (kind) {
      case Kind.dstreamOpened:
        return this.onOpenedRecord(reader);
      case Kind.dstreamChange:
        return this.#onChange(reader);
      case Kind.dstreamRejected: {
        const [value, error] = [reader.value(), errorFrom(reader.error())];
        driver.later(() => this.emit("reject", { err: error, mesg: value && this.view?.decode(value) }));
        return;
      }
      case Kind.dstreamStable:
        driver.later(() => this.emit("stable"));
        return;
      case Kind.dstreamConnection:
        return this.onConnectionRecord(reader);
      case Kind.dstreamSaved:
        return this.onOutcomeRecord(reader, this.#saves);
      case Kind.dstreamLoaded:
        return this.onOutcomeRecord(reader);
    }
  }

  #onChange(reader: RecordReader): void {
    const { isDelete, seq, data } = readLogChange(reader);
    if (isDelete) return this.view?.forget(seq);
    if (this.listenerCount("change") === 0) return;
    this.driver.later(() => {
      if (!this.isClosed()) this.emit("change", this.view?.remember(seq, data) as T, seq);
    });
  }
}

function callsOf({ driver: { fabric } }: LogStores, autosave: boolean): HeldCalls {
  return {
    kind: "dstream",
    open: (...options) => fabric.dstreamOpen(...options, autosave),
    close: (now, id) => fabric.dstreamClose(now, id),
    below: (id) => fabric.dstreamBelow(id),
    length: (id) => fabric.dstreamLength(id),
    ids: (id, first) => fabric.dstreamIds(id, first),
    entries: (id, first, count) => fabric.dstreamEntries(id, first, count),
    start: (id) => fabric.dstreamStart(id),
    kept: (id, changes) => fabric.dstreamKept(id, changes),
    restore: (now, id, stateLength, changesLength, openNow) =>
      fabric.dstreamRestore(now, id, stateLength, changesLength, openNow),
    hasUnsavedChanges: (id) => fabric.dstreamUnsaved(id) > 0,
    load: (now, id, startSeq) => fabric.dstreamLoad(now, id, startSeq),
    forget: (now, id, count) => fabric.dstreamForget(now, id, count),
  };
}

const index = /^(0|[1-9]\d*)$/;

// `stream[n]`.
function withIndexes<T>(stream: DStream<T>): DStream<T> {
  return new Proxy(stream, {
    get: (target, name) => (typeof name === "string" && index.test(name) ? target.get(Number(name)) : Reflect.get(target, name, target)),
    set(target, name) {
      if (name in target) throw new TypeError(`method name '${String(name)}' is read only`);
      throw new TypeError("publish() adds messages; they are not assigned");
    },
    has: (target, name) => (typeof name === "string" && index.test(name) ? Number(name) < target.length : Reflect.has(target, name)),
  });
}
