// Messages as programs see them. Nothing is decoded before it is looked at, and then once.
import { compact, DataEncoding, decodeBytes, encodeShared } from "./codec.js";
import { ConatError } from "./errors.js";
import { platform } from "./platform.js";
import { textOf, type Blob, type RawData, type RawMessage } from "./wasm/records.js";

/**
 * Headers travel with a message as a MessagePack map. Names starting with `CN-` are the protocol's own.
 */
export type MessageHeaders = Record<string, unknown>;

/** How to send a message. */
export interface MessageOptions {
  /** Sent along with it, any values that MessagePack or JSON can hold. */
  headers?: MessageHeaders | undefined;
  /** Default: MessagePack. */
  encoding?: DataEncoding | undefined;
  /** Bytes that are already encoded (as `encoding` says): sent instead of the value. */
  raw?: Uint8Array | undefined;
}

/** What `publish` and `respond` tell. */
export interface PublishResult {
  /** Length of the encoded payload. */
  bytes: number;
  /** How many subscriptions it was delivered to, over the whole cluster. */
  count: number;
}

/** What `publishSync` and `respondSync` tell: they do not learn who got it. */
export interface SyncPublishResult {
  /** Length of the encoded payload. */
  bytes: number;
  /** 0 when nothing was tried: the client is closed, or the message is no request. */
  count?: 0;
}

const noBytes = new Uint8Array(0);

export function encodeHeaders(headers: unknown): Uint8Array {
  if (headers === undefined || headers === null || headers === false || headers === "" || headers === 0) return noBytes;
  const shared = encodeShared(DataEncoding.MsgPack, headers);
  return shared.slice();
}

/** A payload and its headers as bytes; both may be overwritten by the next encoding of a payload. */
export interface EncodedParts {
  encoding: DataEncoding;
  headers: Uint8Array;
  raw: Uint8Array;
}

/** @throws ConatError for an unknown encoding, or `raw` that is not bytes. */
export function encodeParts(value: unknown, options: MessageOptions): EncodedParts {
  const encoding = options.encoding ?? DataEncoding.MsgPack;
  const headers = encodeHeaders(options.headers);
  const { raw } = options;
  if (raw === undefined) return { encoding, headers, raw: encodeShared(encoding, value) };
  if (!(raw instanceof Uint8Array)) throw new ConatError("raw must be a Uint8Array");
  if (DataEncoding[encoding] === undefined) throw new ConatError(`unknown encoding ${String(encoding)}`);
  return { encoding, headers, raw };
}

function viewOf({ bytes, start, end }: Blob): Uint8Array {
  return platform().bytes(bytes.subarray(start, end));
}

/** A payload with headers: a message without a subject. */
export class MessageData<T = unknown> {
  /** What `raw` is encoded with. */
  readonly encoding: DataEncoding;
  readonly #raw: Blob;
  readonly #headers: Blob;
  readonly #bigint: boolean;
  #rawView: Uint8Array | undefined;
  #decodedHeaders: MessageHeaders | undefined;
  #hasHeaders = false;
  #data: T | undefined;
  #hasData = false;

  /** @internal */
  constructor(data: RawData, bigint = false) {
    this.encoding = data.encoding;
    this.#raw = data.raw;
    this.#headers = data.headers;
    this.#bigint = bigint;
  }

  /** The encoded payload: a Buffer in Node, a Uint8Array in browsers. */
  get raw(): Uint8Array {
    return (this.#rawView ??= compact(viewOf(this.#raw)));
  }

  /** Absent when the message has none. */
  get headers(): MessageHeaders | undefined {
    if (!this.#hasHeaders) {
      this.#hasHeaders = true;
      if (this.#headers.end > this.#headers.start) {
        this.#decodedHeaders = decodeBytes(DataEncoding.MsgPack, viewOf(this.#headers)) as MessageHeaders;
      }
    }
    return this.#decodedHeaders;
  }

  /**
   * The decoded value, decoded at the first access.
   * @throws ConatError when the payload is malformed; a message comes from whoever may publish there.
   */
  get data(): T {
    if (!this.#hasData) {
      this.#data = decodeBytes(this.encoding, viewOf(this.#raw), this.#bigint) as T;
      this.#hasData = true;
    }
    return this.#data as T;
  }

  /** Length of the encoded payload in bytes. */
  get length(): number {
    return this.#raw.end - this.#raw.start;
  }
}

/** What a Message needs of its client. */
export interface Responder {
  publish(subject: string, value: unknown, options: MessageOptions & RespondOptions): Promise<PublishResult>;
  publishSync(subject: string, value: unknown, options: MessageOptions): SyncPublishResult;
}

export interface RespondOptions {
  /** ms, default 30000. */
  timeout?: number | undefined;
  /** Wait until the asker listens. Default true. */
  waitForInterest?: boolean | undefined;
  /** Resolve instead of rejecting when it fails. */
  noThrow?: boolean | undefined;
}

export function respondTo(
  client: Responder, subject: string, value: unknown, options: MessageOptions & RespondOptions,
): Promise<PublishResult> {
  const responded = client.publish(subject, value, { ...options, waitForInterest: options.waitForInterest ?? true });
  responded.catch(() => undefined); // whoever awaits it learns of it all the same
  return responded;
}

/** A message that arrived. */
export class Message<T = unknown> extends MessageData<T> {
  readonly #subject: Blob;
  readonly #client: Responder;
  #subjectText: string | undefined;

  /** @internal */
  constructor(message: RawMessage, client: Responder, bigint: boolean) {
    super(message, bigint);
    this.#subject = message.subject;
    this.#client = client;
  }

  /** The concrete subject that it was published to. */
  get subject(): string {
    return (this.#subjectText ??= textOf(this.#subject));
  }

  #replySubject(): string | undefined {
    const reply = this.headers?.["CN-Reply"];
    return typeof reply === "string" && reply !== "" ? reply : undefined;
  }

  /** Whether its sender waits for an answer. */
  isRequest(): boolean {
    return this.#replySubject() !== undefined;
  }

  /**
   * Answers a request; does nothing for a message that is none. An asker may be gone: a failure that nobody
   * awaits is not reported as an unhandled rejection.
   * @returns how many got it.
   * @throws ConatError as `publish` does, 408 when the asker is gone.
   */
  respond(value: unknown, options: MessageOptions & RespondOptions = {}): Promise<PublishResult> {
    const subject = this.#replySubject();
    if (subject === undefined) return Promise.resolve({ bytes: 0, count: 0 });
    return respondTo(this.#client, subject, value, options);
  }

  /** Answers a request without waiting; the answer is lost when there is no connection. */
  respondSync(value: unknown, options: MessageOptions = {}): SyncPublishResult {
    const subject = this.#replySubject();
    if (subject === undefined) return { bytes: 0, count: 0 };
    return this.#client.publishSync(subject, value, options);
  }
}

/**
 * Encodes a value as a message without a subject.
 * @throws Error when the value cannot be encoded.
 */
export function messageData<T>(value: T, options: MessageOptions = {}): MessageData<T> {
  const { encoding, headers, raw: shared } = encodeParts(value, options);
  const raw = options.raw ?? shared.slice();
  return new MessageData<T>({
    encoding,
    raw: { bytes: raw, start: 0, end: raw.length },
    headers: { bytes: headers, start: 0, end: headers.length },
  });
}
