// Options and events of a DStream.
import type { ConatError } from "../errors.js";
import type { MessageHeaders } from "../message.js";
import type { CoreStreamDeleteOptions } from "../core_stream/options.js";
import type { StoreOptions } from "../sync/options.js";

export interface DStreamOptions extends StoreOptions {
  /** What is before this sequence number is not loaded (see `load`). Default: everything is. */
  start_seq?: number | undefined;
  /** Save only when `save()` is called. Default false. */
  noAutosave?: boolean | undefined;
}

export interface DStreamPublishOptions {
  headers?: MessageHeaders | undefined;
  /** ms until it expires; counts only when the stream's `allow_msg_ttl` is set. */
  ttl?: number | undefined;
}

export type DStreamDeleteOptions = Omit<CoreStreamDeleteOptions, "key">;

export type DStreamEvents<T> = {
  /** The stream told a message, one of one's own or another. */
  change: [mesg: T, seq: number];
  /** Everything is saved and told by the stream. */
  stable: [];
  /** The server refused a message for good; it is dropped. */
  reject: [rejection: { err: ConatError; mesg: T | undefined }];
  /** Connected (again), and up to date. */
  connected: [];
  disconnected: [];
  closed: [];
};
