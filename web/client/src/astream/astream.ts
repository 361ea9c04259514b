// A stream that is asked at every call instead of being downloaded.
import { feedOf, type Feed } from "../async_queue.js";
import { decodeBytes } from "../codec.js";
import { messageData, type Message, type MessageHeaders } from "../message.js";
import { newMessageId } from "../stream/message_id.js";
import { setInBatches } from "../stream/set_in_batches.js";
import type { StreamClient } from "../stream/stream.js";
import type {
  CallTimeout, DeleteChange, DeleteOptions, RangeOptions, SetOutcome, StoredAt, StoredMessage, StreamChange,
} from "../stream/types.js";
import { AsyncStore } from "../sync/async_store.js";
import type { AsyncStoreOptions } from "../sync/options.js";

export interface AStreamPublishOptions extends CallTimeout {
  headers?: MessageHeaders | undefined;
  /** Replaces the previous message of the same key. */
  key?: string | undefined;
  /** The key's current message must have this sequence number, else `wrong-last-sequence`. */
  previousSeq?: number | undefined;
  /** ms until it expires; counts only when the stream's `allow_msg_ttl` is set. */
  ttl?: number | undefined;
  /** The same id again within two minutes stores nothing. Default: a random one. */
  msgID?: string | undefined;
}

/** A stored message with its value. */
export interface AStreamMessage<T> extends StoredAt {
  mesg: T;
  key?: string;
  headers?: MessageHeaders;
}

export type AStreamChange<T> = ({ op: "set" } & AStreamMessage<T>) | DeleteChange;

/**
 * A stream without a local copy: every call asks the server. It shares its data with the DStream of the same name.
 *
 * All calls throw ConatError: 408, 503, `closed`, or 403 and 429 when the stream cannot be opened.
 */
export class AStream<T = unknown> extends AsyncStore {
  readonly #bigint: boolean;

  /** @internal Use `client.astream()`. */
  constructor(options: AsyncStoreOptions, stream: StreamClient, release: (store: object) => boolean, bigint: boolean) {
    super(options, stream, release);
    this.#bigint = bigint;
  }

  /** The message with this sequence number, or of this key; its headers have `seq`, `time` and `key`. */
  async getMessage(seqOrKey: number | string, options: CallTimeout = {}): Promise<Message<T> | undefined> {
    return this.below().get<T>({ ...(typeof seqOrKey === "number" ? { seq: seqOrKey } : { key: seqOrKey }), ...options });
  }

  /** The value with this sequence number, or of this key; undefined when there is none. */
  async get(seqOrKey: number | string, options: CallTimeout = {}): Promise<T | undefined> {
    return (await this.getMessage(seqOrKey, options))?.data;
  }

  /** The headers of a message, with `seq`, `time` (ms), and `key` if it has one. */
  async headers(seqOrKey: number | string, options: CallTimeout = {}): Promise<MessageHeaders | undefined> {
    return (await this.getMessage(seqOrKey, options))?.headers;
  }

  /** All messages in order, or those from `start_seq` to `end_seq`, as they come. */
  async *getAll(options: RangeOptions & CallTimeout = {}): AsyncGenerator<AStreamMessage<T>, void, void> {
    for await (const messages of this.below().getAllIter(options)) {
      for (const message of messages) yield this.#decoded(message);
    }
  }

  /**
   * What changes from now on, in order, one by one. Await it to know that it has begun, or iterate over it at once;
   * end it by `return()`, or by leaving the loop.
   */
  changefeed(): Feed<AStreamChange<T>> {
    const feed = this.below().changefeed();
    const changes = this.#singly(feed);
    const iterator: AsyncIterableIterator<AStreamChange<T>> = {
      next: () => changes.next(),
      // A generator that was never asked for anything would not end what it iterates over.
      return: async () => {
        await feed.return?.();
        return changes.return();
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return feedOf(iterator, feed.then(() => undefined));
  }

  async *#singly(feed: AsyncIterableIterator<StreamChange[]>): AsyncGenerator<AStreamChange<T>, void, void> {
    for await (const changes of feed) {
      for (const change of changes) {
        if (change.op === "delete") yield change;
        else yield { op: "set", ...this.#decoded(change) };
      }
    }
  }

  #decoded({ seq, time, key, encoding, raw, headers }: StoredMessage): AStreamMessage<T> {
    const message: AStreamMessage<T> = { mesg: decodeBytes(encoding, raw, this.#bigint) as T, seq, time };
    if (key !== undefined && key !== null) message.key = key;
    if (headers !== undefined && headers !== null) message.headers = headers;
    return message;
  }

  /**
   * Stores a message at the end.
   * @throws ConatError `wrong-last-sequence`, `reject`, and as all calls.
   */
  async publish(value: T, { headers, key, previousSeq, ttl, msgID, timeout }: AStreamPublishOptions = {}): Promise<StoredAt> {
    const message = messageData(value, { headers });
    return this.below().set({ key, messageData: message, previousSeq, ttl, msgID: msgID ?? newMessageId(), timeout });
  }

  /**
   * Stores several messages, in order; each succeeds or fails on its own.
   * @returns for each `{seq, time}` or `{error, code}`.
   */
  async push(...values: T[]): Promise<SetOutcome[]> {
    const operations = values.map((value) => ({ messageData: messageData(value), msgID: newMessageId() }));
    return setInBatches(this.below(), operations, {});
  }

  /** Deletes messages for good. @returns the sequence numbers of what was deleted. */
  async delete(options: DeleteOptions & CallTimeout): Promise<{ seqs: number[] }> {
    return this.below().delete(options);
  }
}
