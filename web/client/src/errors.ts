// The one error of this package, and the texts that callers compare with.

/** HTTP-like number (403 permission, 408 timeout, 429 limit, 503 nobody there) or a word such as `EPIPE`, `reject`. */
export type ErrorCode = number | string;

/** What every failed call throws or rejects with. */
export class ConatError extends Error {
  override readonly name = "ConatError";
  /** Absent when the failure has none, for example an invalid subject. */
  readonly code?: ErrorCode;

  constructor(message: string, options: { code?: ErrorCode; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    if (options.code !== undefined) this.code = options.code;
  }
}

export const timedOut = (): ConatError => new ConatError("timeout - Error: operation has timed out", { code: 408 });
export const closed = (): ConatError => new ConatError("closed");

/** Reports what a listener of the user threw, as an uncaught error, without disturbing what goes on here. */
export function reportUncaught(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
