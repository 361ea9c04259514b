// Options and events of a DStream.
import type { ConatError } from "../errors.js";
import type { MessageHeaders } from "../message.js";
import type { HeldDeleteOptions, HeldStreamEvents, HeldStreamOptions } from "../log/held_stream.js";

export interface DStreamOptions extends HeldStreamOptions {
  /** Save only when `save()` is called. Default false. */
  noAutosave?: boolean | undefined;
  /** Local first, in browsers: see the same option of a DKV. */
  offline?: boolean | undefined;
}

export interface DStreamPublishOptions {
  headers?: MessageHeaders | undefined;
  /** ms until it expires; counts only when the stream's `allow_msg_ttl` is set. */
  ttl?: number | undefined;
}

export type DStreamDeleteOptions = HeldDeleteOptions;

export type DStreamEvents<T> = HeldStreamEvents & {
  /** The stream told a message, one of one's own or another. */
  change: [mesg: T, seq: number];
  /** Everything is saved and told by the stream. */
  stable: [];
  /** The server refused a message for good; it is dropped. */
  reject: [rejection: { err: ConatError; mesg: T | undefined }];
};
