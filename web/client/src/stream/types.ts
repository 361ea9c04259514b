// What a client of a persistent stream asks for and gets.
import type { StreamConfig } from "../dkv/options.js";
import type { ConatError, ErrorCode } from "../errors.js";
import type { MessageData, MessageHeaders } from "../message.js";

/** Whose stream; nothing, or a hub: the hub's. */
export interface StreamUser {
  account_id?: string | undefined;
  project_id?: string | undefined;
  hub_id?: string | undefined;
}

/** Which stream, and how it is kept. The first one that opens it decides for all. */
export interface StorageOptions {
  /** `accounts/{id}/{name}`, `projects/{id}/{name}` or `hub/{name}`. */
  path: string;
  /** Kept in the server's memory while somebody has it open. Default false. */
  ephemeral?: boolean | undefined;
  /** Every write reaches stable storage before it is acknowledged, whatever the server's default. */
  sync?: boolean | undefined;
  /** As the server knows it; default: its own choice. */
  compression?: unknown;
}

export interface StreamOptions {
  user?: StreamUser | undefined;
  storage: StorageOptions;
  /** Another persistence service than `persist`. */
  service?: string | undefined;
  /** An object of its own, instead of the one that is open already. Default false. */
  noCache?: boolean | undefined;
}

export interface CallTimeout {
  /** ms; default 30000 (see setDefaultTimeouts). */
  timeout?: number | undefined;
}

/** One message to store. */
export interface SetOperation {
  /** The message: value, encoding and headers (see `messageData`). */
  messageData: MessageData;
  /** Replaces the previous message of the same key. */
  key?: string | undefined;
  /** ms until it expires; counts only when the stream's `allow_msg_ttl` is set. */
  ttl?: number | undefined;
  /** With a key: its current message must have this sequence number, else `wrong-last-sequence`. */
  previousSeq?: number | undefined;
  /** The same id again within two minutes stores nothing and gives the first answer. */
  msgID?: string | undefined;
}

export interface StoredAt {
  seq: number;
  /** ms since 1970, on the server's clock. */
  time: number;
}

/** What one of many operations came to. */
export type SetOutcome = StoredAt | { error: string; code?: ErrorCode };

/** A stored message, not decoded. */
export interface StoredMessage extends StoredAt {
  key?: string;
  encoding: number;
  raw: Uint8Array;
  headers?: MessageHeaders;
}

/** A message that was set. */
export interface SetChange extends StoredMessage {
  op?: undefined;
  msgID?: string;
}

/** Messages that are gone, by a delete, a limit or their age. */
export interface DeleteChange {
  op: "delete";
  seqs: number[];
}

export type StreamChange = SetChange | DeleteChange;

/** Which messages to delete; the first of these that is given counts. */
export interface DeleteOptions {
  all?: boolean | undefined;
  /** This one and all before it. */
  last_seq?: number | undefined;
  seq?: number | undefined;
  seqs?: number[] | undefined;
}

export interface RangeOptions {
  /** Default: from the beginning. */
  start_seq?: number | undefined;
  /** The last one, inclusive. Default: to the end. */
  end_seq?: number | undefined;
}

export interface StreamInventory {
  bytes: number;
  count: number;
  /** Of the configuration, what differs from the default. */
  limits: StreamConfig;
  /** The highest sequence number present, 0 when the stream is empty. */
  seq: number;
}

export type StreamEvents = {
  /** It could not be opened, for good (400, 403, 429): every request fails with the same error. */
  error: [error: ConatError];
  connected: [];
  disconnected: [];
  closed: [];
};
