// Options and events of a CoreStream.
import type { MessageHeaders } from "../message.js";
import type { HeldDeleteOptions, HeldStreamEvents, HeldStreamOptions } from "../log/held_stream.js";
import type { CallTimeout } from "../stream/types.js";

export interface CoreStreamOptions extends HeldStreamOptions {
  /** For the other structures' sake; writes of a CoreStream are awaited. */
  noAutosave?: boolean | undefined;
}

/** A message as it is stored. */
export interface RawStreamMessage {
  seq: number;
  /** ms since 1970, on the server's clock. */
  timestamp: number;
  key?: string;
  headers?: MessageHeaders;
  /** The encoded value. */
  raw: Uint8Array;
}

export interface CoreStreamPublishOptions extends CallTimeout {
  /** Replaces the previous message of the same key. */
  key?: string | undefined;
  headers?: MessageHeaders | undefined;
  /** The same id again within two minutes stores nothing. Default: a random one. */
  msgID?: string | undefined;
  /** The key's current message must have this sequence number, else `wrong-last-sequence`. */
  previousSeq?: number | undefined;
  /** ms until it expires; counts only when the stream's `allow_msg_ttl` is set. */
  ttl?: number | undefined;
}

export interface CoreStreamDeleteOptions extends HeldDeleteOptions {
  /** The message of this key. */
  key?: string | undefined;
}

export interface CoreStreamChange<T> {
  /** undefined: the message is gone, or it deletes its key. */
  mesg: T | undefined;
  raw: RawStreamMessage;
  key?: string;
  /** The key's value before. */
  prev?: T;
  msgID?: string;
}

export type CoreStreamEvents<T> = HeldStreamEvents & {
  change: [change: CoreStreamChange<T>];
};
