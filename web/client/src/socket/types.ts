// Options and events of sockets.
import type { ConatError } from "../errors.js";
import type { MessageHeaders } from "../message.js";
import { defaults, positive } from "../timeouts.js";
import type { SocketRequest } from "./request.js";

export type SocketState = "disconnected" | "connecting" | "ready" | "closed";
export const socketStates: readonly SocketState[] = ["disconnected", "connecting", "ready", "closed"];

/** The header that carries a socket's own commands. */
export const SOCKET_HEADER_CMD = "CN-SocketCmd";

export interface SocketOptions {
  /** ms of silence after which the other side is pinged. Default 45000. */
  keepAlive?: number | undefined;
  /** ms for its answer, else the socket disconnects. Default 30000. */
  keepAliveTimeout?: number | undefined;
  /** Messages written and not yet acknowledged; one more, and `write` throws ENOBUFS. Default 1000. */
  maxQueueSize?: number | undefined;
  /** For people who debug. */
  desc?: string | undefined;
}

const defaultMaxQueue = 1000;

/** @internal keepAlive, keepAliveTimeout and maxQueueSize, with their defaults. */
export function numbersOf(options: SocketOptions): [keepAlive: number, keepAliveTimeout: number, maxQueueSize: number] {
  return [
    positive("keepAlive", options.keepAlive ?? defaults.socketKeepAlive),
    positive("keepAliveTimeout", options.keepAliveTimeout ?? defaults.socketKeepAliveTimeout),
    positive("maxQueueSize", options.maxQueueSize ?? defaultMaxQueue),
  ];
}

/** What an end of a socket listens on. */
export interface SocketSubscription {
  readonly subject: string;
  close(): void;
}

export interface SocketListenOptions extends SocketOptions {
  /** The server's id, one token. Default: the client's id. */
  id?: string | undefined;
}

export interface SocketConnectOptions extends SocketOptions {
  /** Whether to connect again after a loss. Default true. */
  reconnection?: boolean | undefined;
  /** Chooses the server to connect to by its id. Default: whichever answers first. */
  loadBalancer?: ((subject: string) => string | Promise<string>) | undefined;
}

export interface SocketWriteOptions {
  headers?: MessageHeaders | undefined;
}

/** Events of both ends of a connection. */
export type SocketEvents = {
  data: [data: unknown, headers: MessageHeaders];
  /** A request of the other side; answer it with `request.respond(value)`. */
  request: [request: SocketRequest];
  connecting: [];
  ready: [];
  disconnected: [];
  closed: [];
  /** Everything written is acknowledged. */
  drain: [];
};

/** Events of a server, with its ServerSocket. */
export type SocketServerEvents<ServerSocket> = {
  connection: [socket: ServerSocket];
  connecting: [];
  ready: [];
  disconnected: [];
  closed: [];
  /** The broker refused it. */
  error: [error: ConatError];
};
