// Node 20 and newer, with the `ws` package for WebSockets: it can send headers, and its socket can be corked,
// so that a burst of messages leaves with one system call.
import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { WebSocket } from "ws";
import { loadWithFallback } from "./load.js";
import type { Platform, Transport, TransportEvents, TransportRequest } from "../platform.js";

// A peer that does not answer the closing handshake must not keep the process alive.
const closeTimeoutMs = 2000;

class NodeTransport implements Transport {
  readonly #socket: WebSocket;
  #tcp: Socket | undefined;
  #corked = false;
  #events: TransportEvents | undefined;

  constructor(request: TransportRequest, events: TransportEvents) {
    this.#events = events;
    const socket = new WebSocket(request.url, {
      headers: request.headers,
      perMessageDeflate: false,
      skipUTF8Validation: true, // the core checks what it reads
      followRedirects: true,
    });
    this.#socket = socket;
    socket.on("upgrade", (response: IncomingMessage) => (this.#tcp = response.socket));
    socket.on("open", () => this.#events?.open());
    socket.on("message", (data: Buffer, binary: boolean) => this.#events?.message(binary, data));
    socket.on("close", () => this.#events?.closed());
    socket.on("error", () => undefined); // "close" follows and tells all there is to know
  }

  send(binary: boolean, payload: Uint8Array): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    // ws masks into a buffer of its own before it returns, because `payload` is not its to change.
    this.#socket.send(payload, { binary });
  }

  begin(): void {
    if (this.#tcp === undefined || this.#corked) return;
    this.#tcp.cork();
    this.#corked = true;
  }

  end(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.#tcp?.uncork();
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  close(): void {
    this.#events = undefined;
    this.end();
    const socket = this.#socket;
    if (socket.readyState === WebSocket.CONNECTING) {
      socket.terminate();
      return;
    }
    socket.close();
    const timer = setTimeout(() => socket.terminate(), closeTimeoutMs);
    timer.unref();
    socket.once("close", () => clearTimeout(timer));
  }
}

export const nodePlatform: Platform = {
  loadWasm: () => loadWithFallback(() => readFile(new URL("./conat.wasm", import.meta.url))),
  openTransport: (request, events) => new NodeTransport(request, events),
  defaultAddress: () => process.env["CONAT_SERVER"] || undefined,
  environment: (name) => process.env[name],
  bytes: (view) => Buffer.from(view.buffer, view.byteOffset, view.byteLength),
  onNetwork: () => () => undefined,
};
