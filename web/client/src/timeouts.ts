// Default timeouts, in ms. They are read at every call, so that a change holds for later calls everywhere.
import { ConatError } from "./errors.js";

export const defaults = {
  request: 30_000,
  publish: 30_000,
  interest: 90_000,
  socketCommand: 10_000,
  socketKeepAlive: 45_000,
  socketKeepAliveTimeout: 30_000,
};

/** @throws ConatError when `value` is not positive. */
export function positive(name: string, value: number): number {
  if (!(value > 0)) throw new ConatError(`${name} must be positive`);
  return value;
}

/**
 * Sets what calls without a `timeout` use from now on, for all clients.
 * @param timeouts ms; `request` (30000) also serves subscriptions and the requests of sockets, `publish` (30000).
 * @throws ConatError when one is not positive.
 */
export function setDefaultTimeouts(timeouts: { request?: number; publish?: number }): void {
  if (timeouts.request !== undefined) defaults.request = positive("request", timeouts.request);
  if (timeouts.publish !== undefined) defaults.publish = positive("publish", timeouts.publish);
}

/**
 * Sets the defaults of sockets made from now on.
 * @param timeouts ms; `command` (10000) is how long the other side may take to answer one of the socket's own
 *   commands, `keepAlive` (45000) the silence after which it is pinged, `keepAliveTimeout` (30000) how long it
 *   has for the answer.
 */
export function setDefaultSocketTimeouts(timeouts: { command?: number; keepAlive?: number; keepAliveTimeout?: number }): void {
  if (timeouts.command !== undefined) defaults.socketCommand = positive("command", timeouts.command);
  if (timeouts.keepAlive !== undefined) defaults.socketKeepAlive = positive("keepAlive", timeouts.keepAlive);
  if (timeouts.keepAliveTimeout !== undefined) {
    defaults.socketKeepAliveTimeout = positive("keepAliveTimeout", timeouts.keepAliveTimeout);
  }
}

/** The timeout of a call in ms: what was asked for, else the default. */
export function timeoutOf(asked: number | undefined, otherwise: number): number {
  if (asked === undefined) return otherwise;
  if (!(asked > 0)) throw new ConatError("timeout must be positive");
  return Math.ceil(asked);
}
