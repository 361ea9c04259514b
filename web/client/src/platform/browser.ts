// Browsers and their workers.
import { loadWithFallback } from "./load.js";
import type { Platform, Transport, TransportEvents, TransportRequest } from "../platform.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const longSleepMs = 30_000;

class BrowserTransport implements Transport {
  readonly #socket: WebSocket;

  constructor(request: TransportRequest, events: TransportEvents) {
    const socket = new WebSocket(request.url);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => events.open();
    socket.onclose = () => events.closed();
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (typeof data === "string") events.message(false, encoder.encode(data));
      else events.message(true, new Uint8Array(data));
    };
  }

  send(binary: boolean, payload: Uint8Array): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    // The view is on WASM memory, never a shared buffer; send() copies it before it returns.
    this.#socket.send(binary ? (payload as Uint8Array<ArrayBuffer>) : decoder.decode(payload));
  }

  begin(): void {}
  end(): void {}

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  close(): void {
    const socket = this.#socket;
    socket.onopen = socket.onclose = socket.onmessage = null;
    socket.close();
  }
}

async function fetchWasm(): Promise<Uint8Array> {
  const response = await fetch(new URL("./conat.wasm", import.meta.url));
  if (!response.ok) throw new Error(`loading ${response.url}: HTTP ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

export const browserPlatform: Platform = {
  keepsStores: true,
  loadWasm: () => loadWithFallback(fetchWasm),
  openTransport: (request, events) => new BrowserTransport(request, events),
  defaultAddress: () => (typeof location === "undefined" || location.origin === "null" ? undefined : location.origin),
  environment: () => undefined,
  bytes: (view) => view,
  onNetwork({ back, gone }) {
    // A machine that slept has lost its connections, which nothing here shows: its monotonic clock slept too.
    const ahead = (): number => Date.now() - performance.now();
    let before = ahead();
    const onWake = (): void => {
      const slept = ahead() - before;
      before += slept;
      if (slept > longSleepMs) gone();
      back();
    };
    const onVisible = (): void => {
      if (document.visibilityState === "visible") onWake();
    };
    globalThis.addEventListener?.("online", back);
    globalThis.addEventListener?.("pageshow", onWake);
    globalThis.addEventListener?.("offline", gone);
    if (typeof document !== "undefined") document.addEventListener("visibilitychange", onVisible);
    return () => {
      globalThis.removeEventListener?.("online", back);
      globalThis.removeEventListener?.("pageshow", onWake);
      globalThis.removeEventListener?.("offline", gone);
      if (typeof document !== "undefined") document.removeEventListener("visibilitychange", onVisible);
    };
  },
};
