// connect(): clients cached by their options.
import { Client } from "./client.js";
import type { ConnectOptions } from "./options.js";
import { platform } from "./platform.js";

const cache = new Map<string, Client>();
const functionIds = new WeakMap<object, number>();
let nextFunctionId = 1;

function functionId(value: object): number {
  let id = functionIds.get(value);
  if (id === undefined) functionIds.set(value, (id = nextFunctionId++));
  return id;
}

// Equal options in any order have equal keys; functions are themselves.
function cacheKey(options: ConnectOptions): string {
  const entries = Object.entries(options).filter(([name, value]) => value !== undefined && name !== "noCache" && name !== "path");
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(entries, (_name, value: unknown) => (typeof value === "function" ? `function ${functionId(value)}` : value));
}

/**
 * Connects to a server; the client is returned at once and connects by itself. The same options give the same
 * client, which closes when it was closed as often as it was returned. Without `address` it is any client that is
 * there already, if there is one: preferably that with the same other options.
 * @throws ConatError when the address is not known or invalid, or for an invalid `inboxPrefix`.
 */
export function connect(options: ConnectOptions = {}): Client {
  const address = options.address ?? platform().defaultAddress();
  if (options.noCache) return new Client({ ...options, address });
  const key = cacheKey({ ...options, address });
  const any = options.address === undefined ? cache.values().next().value : undefined;
  const cached = cache.get(key) ?? any;
  if (cached !== undefined) return cached.addReference();
  const client = new Client({ ...options, address }, () => cache.delete(key));
  cache.set(key, client);
  return client;
}

/** The same as `connect`. */
export function getClient(options: ConnectOptions = {}): Client {
  return connect(options);
}
