// A key-value store that is asked at every call instead of being downloaded.
import { DataEncoding } from "../codec.js";
import { messageData, type Message, type MessageHeaders } from "../message.js";
import { newMessageId } from "../stream/message_id.js";
import { setInBatches } from "../stream/set_in_batches.js";
import type { CallTimeout, SetOutcome, StoredAt } from "../stream/types.js";
import { AsyncStore } from "../sync/async_store.js";
import { isTombstone, tombstoneHeaders } from "../sync/options.js";

export interface AKVSetOptions extends CallTimeout {
  headers?: MessageHeaders | undefined;
  /** The key's current message must have this sequence number, else `wrong-last-sequence`. */
  previousSeq?: number | undefined;
  /** ms until it expires; counts only when the store's `allow_msg_ttl` is set. */
  ttl?: number | undefined;
  /** The same id again within two minutes changes nothing. Default: a random one. */
  msgID?: string | undefined;
}

// Of reads of many keys.
const parallelReads = 64;

/**
 * A key-value store without a local copy: every call asks the server. It shares its data with the DKV of the same
 * name. A key that was deleted is still among `keys()`, as its deletion is a message of its own.
 *
 * All calls throw ConatError: 408, 503, `closed`, or 403 and 429 when the store cannot be opened.
 */
export class AKV<T = unknown> extends AsyncStore {
  /** The key's message; its headers have `seq`, `time` and `key`. undefined when there never was one. */
  async getMessage(key: string, options: CallTimeout = {}): Promise<Message<T> | undefined> {
    return this.below().get<T>({ key, ...options });
  }

  /** The value, undefined when there is none or it was deleted. */
  async get(key: string, options: CallTimeout = {}): Promise<T | undefined> {
    const message = await this.getMessage(key, options);
    return message === undefined || isTombstone(message.headers) ? undefined : message.data;
  }

  /** The values of several keys; what has none is left out. */
  async getMany(keys: readonly string[], options: CallTimeout = {}): Promise<Record<string, T>> {
    const values = new Map<string, T>();
    const left = [...new Set(keys)];
    const reader = async (): Promise<void> => {
      for (let key = left.pop(); key !== undefined; key = left.pop()) {
        const value = await this.get(key, options);
        if (value !== undefined) values.set(key, value);
      }
    };
    await Promise.all(Array.from({ length: Math.min(parallelReads, left.length) }, reader));
    const result: Record<string, T> = {};
    for (const key of keys) {
      if (!values.has(key)) continue;
      Object.defineProperty(result, key, { value: values.get(key), writable: true, enumerable: true, configurable: true });
    }
    return result;
  }

  /** The headers of the key's message, with `seq`, `time` (ms) and `key`. */
  async headers(key: string, options: CallTimeout = {}): Promise<MessageHeaders | undefined> {
    return (await this.getMessage(key, options))?.headers;
  }

  /** When the server stored it. */
  async time(key: string, options: CallTimeout = {}): Promise<Date | undefined> {
    const time = (await this.headers(key, options))?.["time"];
    return typeof time === "number" ? new Date(time) : undefined;
  }

  /** The sequence number of the key's message. */
  async seq(key: string, options: CallTimeout = {}): Promise<number | undefined> {
    const seq = (await this.headers(key, options))?.["seq"];
    return typeof seq === "number" ? seq : undefined;
  }

  /** All keys, deleted ones included. */
  async keys(options: CallTimeout = {}): Promise<string[]> {
    return this.below().keys(options);
  }

  /**
   * Sets a key.
   * @throws ConatError `wrong-last-sequence`, `reject`, and as all calls.
   */
  async set(key: string, value: T, { headers, previousSeq, ttl, msgID, timeout }: AKVSetOptions = {}): Promise<StoredAt> {
    const message = messageData(value, { headers });
    return this.below().set({ key, messageData: message, previousSeq, ttl, msgID: msgID ?? newMessageId(), timeout });
  }

  /**
   * Sets several keys; each succeeds or fails on its own.
   * @returns for each, in the order of the object's entries, `{seq, time}` or `{error, code}`.
   */
  async setMany(values: Record<string, T>, options: CallTimeout = {}): Promise<SetOutcome[]> {
    const operations = Object.entries(values).map(([key, value]) => ({ key, messageData: messageData(value), msgID: newMessageId() }));
    return setInBatches(this.below(), operations, options);
  }

  /** Deletes a key: what is stored instead says so, and stays. */
  async delete(key: string, options: CallTimeout & { previousSeq?: number | undefined } = {}): Promise<void> {
    const message = messageData(null, { headers: tombstoneHeaders, encoding: DataEncoding.MsgPack });
    await this.below().set({ key, messageData: message, msgID: newMessageId(), ...options });
  }
}
