// The structures as functions that take the client among their options.
import type { Client } from "../client.js";
import type { StreamClient, StreamOptions } from "../stream/index.js";

/**
 * Opens a persistent stream as the server has it.
 * @throws ConatError 403 when the owner may not write there, `closed`.
 */
export function stream({ client, ...options }: StreamOptions & { client: Client }): StreamClient {
  return client.sync.stream(options);
}
