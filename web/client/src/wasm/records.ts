// The records of the outbox: their kinds, and reading their fields. wasm/src/outbox.hpp describes both.

/** Mirrors wasm/src/records.def; test/records.test.ts compares them. */
export const Record = {
  openTransport: 1,
  send: 2,
  closeTransport: 3,
  state: 4,
  info: 5,
  subscribeDone: 6,
  subscriptionEnded: 7,
  message: 8,
  publishDone: 9,
  reply: 10,
  interestDone: 11,
  serverAnswered: 12,
  requestDelivered: 13,
  authNeeded: 14,
  messageDiscarded: 15,
  dkvOpened: 20,
  dkvChange: 21,
  dkvRejected: 22,
  dkvStable: 23,
  dkvConnection: 24,
  dkvMerge: 25,
  dkvSaved: 26,
  streamAnswer: 30,
  streamChanges: 31,
  streamConnection: 32,
  streamFailed: 33,
  socketConnected: 40,
  socketState: 41,
  socketData: 42,
  socketRequest: 43,
  socketDrained: 44,
  socketReply: 45,
  socketEnded: 46,
  socketServerState: 47,
  socketServerNeeded: 48,
  socketCommand: 49,
  socketRequestDelivered: 50,
  coreStreamOpened: 60,
  coreStreamChange: 61,
  coreStreamConnection: 62,
  coreStreamLoaded: 63,
  dstreamOpened: 70,
  dstreamChange: 71,
  dstreamConnection: 72,
  dstreamLoaded: 73,
  dstreamSaved: 74,
  dstreamRejected: 75,
  dstreamStable: 76,
} as const;

/** A run of bytes inside a batch, or one of its own. */
export interface Blob {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** A payload with its headers, not decoded. */
export interface RawData {
  readonly encoding: number;
  readonly headers: Blob;
  readonly raw: Blob;
}

export interface EncodedValue {
  readonly encoding: number;
  readonly raw: Blob;
}

export interface RawMessage extends RawData {
  readonly subject: Blob;
}

export interface RawError {
  readonly number: number;
  readonly word: string;
  readonly text: string;
}

const farBit = 0x8000_0000;
const shortText = 48;
const decoder = new TextDecoder();

/** UTF-8 to text; by hand while it is short and ASCII, which is several times faster. */
export function textOf({ bytes, start, end }: Blob): string {
  if (end - start <= shortText) {
    let text = "";
    let i = start;
    for (; i < end; i++) {
      const byte = bytes[i] as number;
      if (byte > 0x7f) break;
      text += String.fromCharCode(byte);
    }
    if (i === end) return text;
  }
  return decoder.decode(bytes.subarray(start, end));
}

/** Goes through the records of one batch. */
export class RecordReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #position = 0;
  #end = 0;

  /** `memory` gives the WASM memory, where the large blobs of the batch still lie. */
  constructor(
    bytes: Uint8Array,
    private readonly memory: () => Uint8Array,
  ) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The kind of the next record, 0 at the end. Skips what was not read of the one before. */
  next(): number {
    this.#position = this.#end;
    if (this.#position >= this.#bytes.length) return 0;
    this.#end = this.#position + this.#view.getUint32(this.#position, true);
    this.#position += 4;
    return this.u8();
  }

  /** Whether the record that next() came to is read up. */
  get atRecordEnd(): boolean {
    return this.#position >= this.#end;
  }

  get atEnd(): boolean {
    return this.#position >= this.#bytes.length;
  }

  u8(): number {
    return this.#bytes[this.#position++] as number;
  }

  flag(): boolean {
    return this.u8() !== 0;
  }

  u32(): number {
    const value = this.#view.getUint32(this.#position, true);
    this.#position += 4;
    return value;
  }

  f64(): number {
    const value = this.#view.getFloat64(this.#position, true);
    this.#position += 8;
    return value;
  }

  blob(): Blob {
    const length = this.u32();
    if (length < farBit) {
      const start = this.#position;
      this.#position += length;
      return { bytes: this.#bytes, start, end: start + length };
    }
    const size = length - farBit;
    const address = this.u32();
    return { bytes: this.memory().slice(address, address + size), start: 0, end: size };
  }

  /** A blob that is used up at once: large ones are not even copied. */
  transient(): Uint8Array {
    const length = this.u32();
    if (length < farBit) {
      this.#position += length;
      return this.#bytes.subarray(this.#position - length, this.#position);
    }
    const address = this.u32();
    return this.memory().subarray(address, address + length - farBit);
  }

  text(): string {
    return textOf(this.blob());
  }

  error(): RawError {
    const number = this.u32() | 0;
    return { number, word: this.text(), text: this.text() };
  }

  /** An error behind a flag `ok`. */
  optionalError(): RawError | undefined {
    return this.flag() ? undefined : this.error();
  }

  value(): EncodedValue | undefined {
    return this.flag() ? { encoding: this.u8(), raw: this.blob() } : undefined;
  }

  data(): RawData {
    return { encoding: this.u8(), headers: this.blob(), raw: this.blob() };
  }

  message(): RawMessage {
    return { subject: this.blob(), encoding: this.u8(), headers: this.blob(), raw: this.blob() };
  }
}
