// Values to bytes and back. MessagePack by @msgpack/msgpack, with three things put right for a messaging
// system: BigInt, decoding that cannot be made to allocate much more than it was given, and binary values that
// do not keep a whole batch of messages in memory.
import { Decoder, Encoder, type DecoderOptions, type EncoderOptions } from "@msgpack/msgpack";
import { ConatError } from "./errors.js";
import { platform } from "./platform.js";

/** How a payload is encoded; the number travels with the message. */
export enum DataEncoding {
  /** MessagePack, with dates and binary. */
  MsgPack = 0,
  /** UTF-8 JSON text. */
  JsonCodec = 1,
}

// The parts of the library's classes that are extended below. They are private there; the version is bundled
// and test/codec.test.ts covers each.
interface EncoderParts {
  encodeSharedRef(value: unknown): Uint8Array;
  encodeObject(value: unknown, depth: number): void;
  encodeBigInt64(value: bigint): void;
}
interface DecoderParts {
  decode(bytes: Uint8Array): unknown;
  decodeBinary(byteLength: number, headOffset: number): Uint8Array;
  pushArrayState(size: number): void;
  pushMapState(size: number): void;
}
const EncoderBase = Encoder as unknown as new (options: EncoderOptions) => EncoderParts;
const DecoderBase = Decoder as unknown as new (options: DecoderOptions) => DecoderParts;

const maxDepth = 1000;
const minInt64 = -(2n ** 63n);
const maxUint64 = 2n ** 64n - 1n;

class ValueEncoder extends EncoderBase {
  override encodeObject(value: unknown, depth: number): void {
    if (typeof value !== "bigint") return super.encodeObject(value, depth);
    if (value < minInt64 || value > maxUint64) throw new RangeError(`${value} does not fit into 64 bits`);
    this.encodeBigInt64(value);
  }
}

class ValueDecoder extends DecoderBase {
  // What array and map headers may still announce: every element takes at least a byte.
  #budget = 0;

  override decode(bytes: Uint8Array): unknown {
    this.#budget = bytes.length;
    return super.decode(bytes);
  }

  override decodeBinary(byteLength: number, headOffset: number): Uint8Array {
    return compact(super.decodeBinary(byteLength, headOffset));
  }

  override pushArrayState(size: number): void {
    this.#spend(size);
    super.pushArrayState(size);
  }

  override pushMapState(size: number): void {
    this.#spend(2 * size);
    super.pushMapState(size);
  }

  #spend(elements: number): void {
    this.#budget -= elements;
    if (this.#budget < 0) throw new RangeError("malformed MessagePack: more elements than bytes");
  }
}

const encoderOptions: EncoderOptions = { ignoreUndefined: true, maxDepth };
// An encoder keeps its buffer; one that a large value has blown up is not kept.
const keepBufferBytes = 1 << 20;
let encoder = new ValueEncoder(encoderOptions);
const decoder = new ValueDecoder({});
const bigIntDecoder = new ValueDecoder({ useBigInt64: true });
const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder();

// A view that uses little of its memory is replaced by a copy, so that it does not keep the rest alive.
const minShare = 4;
export function compact(view: Uint8Array): Uint8Array {
  if (view.byteLength * minShare >= view.buffer.byteLength) return view;
  const copy = new Uint8Array(view.byteLength);
  copy.set(view);
  return platform().bytes(copy);
}

// Binary in JSON is what Node's Buffer makes of itself, everywhere.
function jsonReplacer(_key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return { type: "Buffer", data: Array.from(value) };
  if (typeof value === "bigint") return Number(value);
  return value;
}

/** Encodes; the result may be overwritten by the next call. */
export function encodeShared(encoding: DataEncoding, value: unknown): Uint8Array {
  if (encoding === DataEncoding.JsonCodec) return textEncoder.encode(JSON.stringify(value, jsonReplacer) ?? "null");
  if (encoding !== DataEncoding.MsgPack) throw new ConatError(`unknown encoding ${String(encoding)}`);
  const bytes = encoder.encodeSharedRef(value);
  if (bytes.buffer.byteLength > keepBufferBytes) encoder = new ValueEncoder(encoderOptions);
  return bytes;
}

/** Whole numbers within 2^53 as numbers again, in place: the library's BigInt mode makes all 64-bit ones BigInt. */
function narrow(value: unknown): unknown {
  if (typeof value === "bigint") {
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
  }
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = narrow(value[i]);
  } else if (value !== null && typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype) {
    const object = value as Record<string, unknown>;
    for (const key of Object.keys(object)) object[key] = narrow(object[key]);
  }
  return value;
}

/** Decodes; throws a ConatError when the bytes are no such value. */
export function decodeBytes(encoding: number, bytes: Uint8Array, bigint = false): unknown {
  try {
    if (encoding === DataEncoding.JsonCodec) return JSON.parse(textDecoder.decode(bytes));
    if (encoding === DataEncoding.MsgPack) return bigint ? narrow(bigIntDecoder.decode(bytes)) : decoder.decode(bytes);
  } catch (cause) {
    throw new ConatError(`malformed payload: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  throw new ConatError(`unknown encoding ${encoding}`);
}

/**
 * Encodes a value as a message's payload.
 *
 * MessagePack: `undefined` entries of objects are left out, other `undefined` becomes null; dates and binary
 * values (Uint8Array, Buffer) keep their type; BigInt must fit into 64 bits. JSON: as JSON.stringify, binary as
 * `{type: "Buffer", data: [...]}`.
 * @throws Error for a value that cannot be encoded (a function, a cycle).
 */
export function encode({ encoding = DataEncoding.MsgPack, mesg }: { encoding?: DataEncoding; mesg: unknown }): Uint8Array {
  const shared = encodeShared(encoding, mesg);
  const bytes = new Uint8Array(shared.byteLength);
  bytes.set(shared);
  return platform().bytes(bytes);
}

/**
 * Decodes a payload.
 *
 * Integers beyond 2^53 lose precision, unless `bigint` is set: then they are BigInt. MessagePack extensions
 * other than dates come as `{type, data}`.
 * @throws ConatError when the bytes are malformed.
 */
export function decode({
  encoding = DataEncoding.MsgPack,
  data,
  bigint = false,
}: {
  encoding?: DataEncoding;
  data: Uint8Array;
  bigint?: boolean;
}): unknown {
  return decodeBytes(encoding, platform().bytes(data), bigint);
}
