// Options and results of the client's calls.
import type { ConatError } from "./errors.js";
import type { MessageOptions } from "./message.js";
import type { SubscriptionOptions } from "./subscription.js";

/**
 * - `disconnected`: no connection now; it comes back by itself unless it was told to stay away
 * - `connected`: the transport is up
 * - `closed`: for good
 */
export type ClientState = "disconnected" | "connected" | "closed";

/** What the server says about itself and the user at every sign-in. */
export interface ServerInfo {
  /** ms until the user has to be renewed, which the client does when `auth` is a function. Absent: never. */
  expires?: number;
  /** Largest WebSocket message, bytes. Larger payloads travel in chunks. */
  max_payload?: number;
  /** The broker's id. */
  id?: string;
  clusterName?: string;
  /** Who the server takes this client for; `null` without authentication. */
  user?: {
    account_id?: string;
    project_id?: string;
    hub_id?: string;
    /** Why sign-in failed. The client tries again with backoff. */
    error?: string;
    code?: number | string;
  } | null;
  [name: string]: unknown;
}

export interface Traffic {
  messages: number;
  bytes: number;
}

/** Payloads since the client was made; `recv0` since the last connect. */
export interface ClientStats {
  send: Traffic;
  recv: Traffic;
  recv0: Traffic;
  /** Subscriptions at the server, the inbox included. */
  subs: number;
}

/** Events of a Client. */
export type ClientEvents = {
  connected: [];
  disconnected: [];
  closed: [];
  /** At every sign-in, the failed ones (`info.user.error`) included. */
  info: [info: ServerInfo];
};

export interface SubscribeOptions extends SubscriptionOptions {
  /** Of all subscribers with the same queue, one gets each message. Default: everybody gets all. */
  queue?: string | undefined;
  /** ms for the server's confirmation, from sign-in on. Default 30000. */
  timeout?: number | undefined;
}

export interface PublishOptions extends MessageOptions {
  /** ms, from sign-in on. Default 30000. */
  timeout?: number | undefined;
  /** When nobody listens, wait for somebody and publish again. Default false. */
  waitForInterest?: boolean | undefined;
  /** Resolve to `{bytes, count: 0}` instead of rejecting. */
  noThrow?: boolean | undefined;
}

export interface RequestOptions extends MessageOptions {
  /** ms for the answer, from sign-in on. Default 30000. */
  timeout?: number | undefined;
  /** Wait for somebody to ask, instead of failing with 503 at once. Default false. */
  waitForInterest?: boolean | undefined;
}

/** `timeout` is for the delivery of the question. */
export interface RequestManyOptions extends RequestOptions {
  /** End after this many answers. Default: no limit. */
  maxMessages?: number | undefined;
  /** End after this many ms without an answer. Default: `timeout`. */
  maxWait?: number | undefined;
  /** Whether an answer `null` is the last one. Default true. */
  nullEnds?: boolean | undefined;
}

/** What implements a service: `call(subject).name(...args)` calls `implementation.name(...args)`. */
export type ServiceImplementation = object;

/** A service as its callers see it: every function returns a promise. */
export type Remote<Api> = {
  [Name in keyof Api]: Api[Name] extends (...args: infer Args) => infer Result
    ? (...args: Args) => Promise<Awaited<Result>>
    : never;
};

/**
 * The same for many services at once: every function iterates over the answers, errors among them. Its result can be
 * iterated over at once, or awaited first: then it rejects when the question cannot be asked (503 when nobody listens).
 */
export type RemoteMany<Api> = {
  [Name in keyof Api]: Api[Name] extends (...args: infer Args) => infer Result
    ? (...args: Args) => Promise<AsyncIterableIterator<Awaited<Result> | ConatError>> & AsyncIterableIterator<Awaited<Result> | ConatError>
    : never;
};

/** For callers that do not say what the service offers. */
export type AnyApi = Record<string, (...args: unknown[]) => unknown>;
