// What differs between Node and browsers. The entry points (entry/*.ts) install one implementation before
// anything else runs.

/** One WebSocket. After `close()` its events are no longer reported. */
export interface Transport {
  send(binary: boolean, payload: Uint8Array): void;
  /** Between begin() and end() frames may be held back to leave together. */
  begin(): void;
  end(): void;
  /** Bytes handed over and not yet on their way. */
  readonly bufferedAmount: number;
  close(): void;
}

export interface TransportEvents {
  open(): void;
  /** The bytes are valid during the call only. */
  message(binary: boolean, data: Uint8Array): void;
  closed(): void;
}

export interface TransportRequest {
  url: string;
  /** Ignored where the platform does not allow any (browsers). */
  headers: Record<string, string>;
}

export interface NetworkEvents {
  /** The network is back, or the page woke up. */
  back(): void;
  /** The network is gone, and with it the connections over it, though they may not show it yet. */
  gone(): void;
}

export interface Platform {
  loadWasm(): Promise<Uint8Array>;
  openTransport(request: TransportRequest, events: TransportEvents): Transport;
  /** Where to connect when the program does not say. */
  defaultAddress(): string | undefined;
  environment(name: string): string | undefined;
  /** The same memory in the type that this platform's programs expect: Buffer in Node. */
  bytes(view: Uint8Array): Uint8Array;
  /** Whether stores may be kept here (`offline`). */
  readonly keepsStores?: boolean;
  /** Reports what the platform knows of its network from now on; returns how to stop that. */
  onNetwork(events: NetworkEvents): () => void;
}

let installed: Platform | undefined;

export function installPlatform(platform: Platform): void {
  installed = platform;
}

export function platform(): Platform {
  if (installed === undefined) throw new Error("conat-client was not loaded through one of its entry points");
  return installed;
}
