// Append-only streams.
import { clientOf, type WithClient } from "../sync/default_client.js";
import type { DStream } from "./dstream.js";
import type { DStreamOptions } from "./options.js";

export { DStream } from "./dstream.js";
export type { DStreamDeleteOptions, DStreamEvents, DStreamOptions, DStreamPublishOptions } from "./options.js";

/**
 * Opens an append-only stream; the same name and owner give the same object.
 * @throws ConatError 400, 403, 429; other failures are retried for ever.
 */
export async function dstream<T = unknown>({ client, ...options }: DStreamOptions & WithClient): Promise<DStream<T>> {
  return clientOf(client).stores.dstream<T>(options);
}
