// The sockets of one client.
import { closed } from "../errors.js";
import type { Responder } from "../message.js";
import { defaults } from "../timeouts.js";
import { wellFormed, type Driver } from "../wasm/driver.js";
import { Record as Kind, type RecordReader } from "../wasm/records.js";
import { ClientSocket, type ClientSocketHost } from "./client_socket.js";
import type { Endpoint } from "./endpoint.js";
import { SocketServer, type ServerHost, type ServerSocket } from "./server.js";
import { numbersOf, type SocketConnectOptions, type SocketListenOptions } from "./types.js";

export { ClientSocket } from "./client_socket.js";
export { ServerSocket, SocketServer, type SocketCommand } from "./server.js";
export { SocketRequest } from "./request.js";
export {
  SOCKET_HEADER_CMD, type SocketConnectOptions, type SocketEvents, type SocketListenOptions, type SocketOptions,
  type SocketServerEvents, type SocketState, type SocketSubscription, type SocketWriteOptions,
} from "./types.js";

/** `client.socket`. */
export class SocketNamespace {
  readonly #sockets: Sockets;

  /** @internal */
  constructor(sockets: Sockets) {
    this.#sockets = sockets;
  }

  /**
   * Listens for sockets; at once, also without a connection.
   * @throws ConatError for an invalid subject, a second server of this client on it, or `closed`.
   */
  listen(subject: string, options: SocketListenOptions = {}): SocketServer {
    return this.#sockets.listen(subject, options);
  }

  /**
   * Connects to one of the servers that listen on the subject; at once, also without a connection: what is
   * written waits.
   * @throws ConatError for an invalid subject, or `closed`.
   */
  connect(subject: string, options: SocketConnectOptions = {}): ClientSocket {
    return this.#sockets.connect(subject, options);
  }
}

export class Sockets implements ClientSocketHost, ServerHost {
  readonly #servers = new Map<number, SocketServer>();
  readonly #endpoints = new Map<number, Endpoint>();
  #closed = false;

  constructor(
    readonly driver: Driver,
    readonly client: Responder & { readonly id: string },
    readonly bigint: boolean,
  ) {}

  listen(subject: string, options: SocketListenOptions): SocketServer {
    if (this.#closed) throw closed();
    const { driver } = this;
    const [keepAlive, keepAliveTimeout, maxQueue] = numbersOf(options);
    const id = options.id ?? this.client.id;
    const handle = driver.check(
      driver.fabric.socketListen(
        driver.now(), wellFormed(subject), wellFormed(id), keepAlive, keepAliveTimeout, defaults.socketCommand, maxQueue,
      ),
    );
    const server = new SocketServer(this, handle, subject, id, options);
    this.#servers.set(handle, server);
    return server;
  }

  connect(subject: string, options: SocketConnectOptions): ClientSocket {
    if (this.#closed) throw closed();
    const { driver } = this;
    const [keepAlive, keepAliveTimeout, maxQueue] = numbersOf(options);
    const handle = driver.check(
      driver.fabric.socketConnect(
        driver.now(), wellFormed(subject), options.loadBalancer !== undefined, options.reconnection ?? true, keepAlive,
        keepAliveTimeout, defaults.socketCommand, maxQueue,
      ),
    );
    const socket = new ClientSocket(this, handle, subject, options);
    this.#endpoints.set(handle, socket);
    return socket;
  }

  adopt(socket: ServerSocket, handle: number): void {
    this.#endpoints.set(handle, socket);
  }

  find(handle: number): Endpoint | undefined {
    return this.#endpoints.get(handle);
  }

  forget(socket: number): void {
    this.#endpoints.delete(socket);
  }

  forgetServer(server: number): void {
    this.#servers.delete(server);
  }

  onRecord(kind: number, reader: RecordReader): void {
    const id = reader.u32();
    switch (kind) {
      case Kind.socketConnected:
      case Kind.socketServerState:
      case Kind.socketCommand:
        this.#servers.get(id)?.onRecord(kind, reader);
        return;
      case Kind.socketServerNeeded: {
        const socket = this.#endpoints.get(id);
        if (socket instanceof ClientSocket) this.driver.later(() => void socket.chooseServer());
        return;
      }
      default:
        this.#endpoints.get(id)?.onRecord(kind, reader);
    }
  }

  close(): void {
    this.#closed = true;
    for (const server of [...this.#servers.values()]) server.close();
    for (const socket of [...this.#endpoints.values()]) socket.close();
  }
}
