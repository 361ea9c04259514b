// Reading the messages that the core holds of a stream, each decoded once.
import { DataEncoding, decodeBytes } from "../codec.js";
import type { MessageHeaders } from "../message.js";
import { platform } from "../platform.js";
import type { Driver } from "../wasm/driver.js";
import type { Blob, EncodedValue, RawData, RecordReader } from "../wasm/records.js";

/** A message as the core has it. */
export interface LogEntry {
  /** The sequence number, or a negative number of its own for what has none yet. */
  readonly id: number;
  readonly seq: number | undefined;
  /** ms since 1970. */
  readonly time: number | undefined;
  readonly key: string | undefined;
  readonly encoding: number;
  readonly headers: Blob;
  readonly raw: Blob;
}

/** The calls of the core that a view reads with. */
export interface LogSource {
  length(): number;
  /** Returns the length of a result with one f64 for each message. */
  ids(first: number): number;
  /** Returns the length of a result with the messages. */
  entries(first: number, count: number): number;
}

// Messages that cross at once.
const partSize = 4096;
// Decoded values of messages that are gone are thrown away when there are so many more than messages.
const toleratedValues = 1000;

const numberOrNone = (value: number): number | undefined => (value < 0 ? undefined : value);

export function bytesOf({ bytes, start, end }: Blob): Uint8Array {
  return platform().bytes(bytes.slice(start, end));
}

export function decodeHeaders({ bytes, start, end }: Blob): MessageHeaders | undefined {
  if (end <= start) return undefined;
  try {
    return decodeBytes(DataEncoding.MsgPack, bytes.subarray(start, end)) as MessageHeaders;
  } catch {
    return undefined;
  }
}

export class LogView<T> {
  readonly #driver: Driver;
  readonly #source: LogSource;
  readonly #bigint: boolean;
  readonly #values = new Map<number, T | undefined>();

  constructor(driver: Driver, source: LogSource, bigint: boolean) {
    this.#driver = driver;
    this.#source = source;
    this.#bigint = bigint;
  }

  length(): number {
    return this.#source.length();
  }

  /** The message at an index, counted from 0. */
  entry(index: number): LogEntry | undefined {
    if (!(index >= 0) || !Number.isInteger(index)) return undefined;
    return this.#read(index, 1)[0];
  }

  entries(first = 0, end = this.length()): LogEntry[] {
    const all: LogEntry[] = [];
    for (let at = first; at < end; at += partSize) {
      for (const entry of this.#read(at, Math.min(partSize, end - at))) all.push(entry);
    }
    return all;
  }

  ids(first = 0): Float64Array {
    const bytes = this.#driver.result(this.#source.ids(first));
    return new Float64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / Float64Array.BYTES_PER_ELEMENT);
  }

  /** The value of a message; undefined when it is malformed, which any writer can store. */
  value(entry: LogEntry): T | undefined {
    if (this.#values.has(entry.id)) return this.#values.get(entry.id);
    const value = this.decode(entry);
    this.#values.set(entry.id, value);
    return value;
  }

  /** All values, in order. */
  values(): (T | undefined)[] {
    const ids = this.ids();
    const values: (T | undefined)[] = new Array(ids.length);
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] as number;
      const value = this.#values.get(id);
      if (value === undefined && !this.#values.has(id)) {
        // Mostly those that follow are new as well.
        for (const entry of this.#read(i, this.#missingFrom(ids, i))) this.value(entry);
      }
      values[i] = this.#values.get(id);
    }
    this.#forgetOld(ids);
    return values;
  }

  #missingFrom(ids: Float64Array, first: number): number {
    let end = first + 1;
    while (end < ids.length && end - first < partSize && !this.#values.has(ids[end] as number)) end += 1;
    return end - first;
  }

  #forgetOld(ids: Float64Array): void {
    if (this.#values.size <= ids.length + toleratedValues) return;
    const there = new Set(ids);
    for (const id of this.#values.keys()) if (!there.has(id)) this.#values.delete(id);
  }

  #read(first: number, count: number): LogEntry[] {
    const reader = this.#driver.resultReader(this.#source.entries(first, count));
    const entries: LogEntry[] = [];
    while (!reader.atEnd) {
      const [id, seq, time] = [reader.f64(), numberOrNone(reader.f64()), numberOrNone(reader.f64())];
      const key = reader.flag() ? reader.text() : undefined;
      entries.push({ id, seq, time, key, encoding: reader.u8(), headers: reader.blob(), raw: reader.blob() });
    }
    return entries;
  }

  decode({ encoding, raw }: EncodedValue): T | undefined {
    try {
      return decodeBytes(encoding, platform().bytes(raw.bytes.subarray(raw.start, raw.end)), this.#bigint) as T;
    } catch {
      return undefined;
    }
  }

  /** The value of a message that has just come. */
  remember(id: number, data: EncodedValue): T | undefined {
    const value = this.decode(data);
    this.#values.set(id, value);
    return value;
  }

  forget(id: number): void {
    this.#values.delete(id);
  }
}

/** A change as the core tells it. */
export interface LogChange {
  isDelete: boolean;
  seq: number;
  time: number;
  key: string | undefined;
  tombstone: boolean;
  data: RawData;
  previous: EncodedValue | undefined;
  msgID: string | undefined;
}

export function readLogChange(reader: RecordReader): LogChange {
  const [isDelete, seq, time] = [reader.flag(), reader.f64(), reader.f64()];
  const key = reader.flag() ? reader.text() : undefined;
  const [tombstone, data, previous, msgID] = [reader.flag(), reader.data(), reader.value(), reader.text()];
  return { isDelete, seq, time, key, tombstone, data, previous, msgID: msgID === "" ? undefined : msgID };
}

/** Sequence numbers as the core takes them. */
export function encodeSeqs(seqs: readonly number[]): Uint8Array {
  return new Uint8Array(Float64Array.from(seqs).buffer);
}
