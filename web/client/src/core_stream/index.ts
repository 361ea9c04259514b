// Streams that the client holds whole.
import { clientOf, type WithClient } from "../sync/default_client.js";
import type { CoreStream } from "./core_stream.js";
import type { CoreStreamOptions } from "./options.js";

export { CoreStream } from "./core_stream.js";
export type {
  CoreStreamChange, CoreStreamDeleteOptions, CoreStreamEvents, CoreStreamOptions, CoreStreamPublishOptions,
  RawStreamMessage,
} from "./options.js";

/**
 * Opens a stream that is held whole; the same options give the same object.
 * @throws ConatError 400, 403, 429; other failures are retried for ever.
 */
export async function cstream<T = unknown>({ client, ...options }: CoreStreamOptions & WithClient): Promise<CoreStream<T>> {
  return clientOf(client).stores.cstream<T>(options);
}
