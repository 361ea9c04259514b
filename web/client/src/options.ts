// The options of connect(), with their defaults, and what they become for the driver.
import { ConatError } from "./errors.js";
import { platform } from "./platform.js";
import type { DriverOptions } from "./wasm/driver.js";
import { runtime } from "./wasm/runtime.js";

/**
 * The Socket.IO `auth` object, or a function that makes one. It is called at every (re)connect, and when three
 * quarters of the time are over that the server gives a user (`info.expires`): then the answer renews it without a
 * new connection. When it throws or rejects, the client tries again later.
 */
export type Auth = Record<string, unknown> | (() => Record<string, unknown> | Promise<Record<string, unknown>>);

export interface ConnectOptions {
  /**
   * Where the server is, for example `https://example.com/base`; the path `/conat` is added. Default: the
   * environment variable `CONAT_SERVER` in Node, the page's origin in browsers.
   */
  address?: string | undefined;
  /** Prefix of the reply subjects, as the server's permissions ask for. Must start with `_INBOX`, the default. */
  inboxPrefix?: string | undefined;
  /** Signs in as the server's system account (Node only). */
  systemAccountPassword?: string | undefined;
  /** A client of its own, instead of the one with the same options. Default false. */
  noCache?: boolean | undefined;
  /** Whether to reconnect by itself. Default true. */
  reconnection?: boolean | undefined;
  /** ms before the first attempt to reconnect. Default 500; doubles with every failure. */
  reconnectionDelay?: number | undefined;
  /** ms, the longest delay. Default 15000. */
  reconnectionDelayMax?: number | undefined;
  /** Delays are randomized by this much up and down. 0 to 1, default 0.5. */
  randomizationFactor?: number | undefined;
  /** Headers of the WebSocket handshake (Node only; browsers send their cookies). */
  extraHeaders?: Record<string, string> | undefined;
  /** Who this is, for servers that ask. Default: nothing. */
  auth?: Auth | undefined;
  /** Connect at once. Default true; otherwise connect() does. */
  autoConnect?: boolean | undefined;
  /**
   * How packets are encoded: "msgpack" (default) is smaller and faster, "text" is what servers without the
   * MessagePack parser of Socket.IO understand.
   */
  packetEncoding?: "msgpack" | "text" | undefined;
  /** Decode integers beyond 2^53 as BigInt instead of numbers that are slightly off. Default false. */
  bigint?: boolean | undefined;
  /** Ignored: the path is always `{address's path}/conat`. */
  path?: string | undefined;
}

const webSocketSchemes: Record<string, string> = { "http:": "ws:", "https:": "wss:", "ws:": "ws:", "wss:": "wss:" };

/** `https://host/base` as `wss://host/base/conat/?EIO=4&transport=websocket`. */
export function webSocketUrl(address: string): string {
  let url: URL;
  try {
    url = new URL(address);
  } catch (cause) {
    throw new ConatError(`invalid address '${address}'`, { cause });
  }
  const scheme = webSocketSchemes[url.protocol];
  if (scheme === undefined) throw new ConatError(`invalid address '${address}': the protocol must be http or https`);
  const path = url.pathname.replace(/\/+$/, "");
  return `${scheme}//${url.host}${path}/conat/?EIO=4&transport=websocket`;
}

// What a cookie's value may be made of (RFC 6265); anything else is encoded as in addresses.
const cookieValue = /^[!#-+\--:<-[\]-~]*$/;

// The system account's cookie goes along with those that the program sends.
function headersOf({ extraHeaders, systemAccountPassword }: ConnectOptions): Record<string, string> {
  const headers = { ...extraHeaders };
  if (systemAccountPassword === undefined) return headers;
  const name = Object.keys(headers).find((header) => header.toLowerCase() === "cookie") ?? "Cookie";
  const fits = cookieValue.test(systemAccountPassword);
  const cookie = `sys=${fits ? systemAccountPassword : encodeURIComponent(systemAccountPassword)}`;
  headers[name] = headers[name] ? `${headers[name]}; ${cookie}` : cookie;
  return headers;
}

export function driverOptions(options: ConnectOptions): DriverOptions {
  if (options.address === undefined || options.address === "") {
    throw new ConatError("the server's address is not known: pass `address`, or set CONAT_SERVER");
  }
  const inboxPrefix = options.inboxPrefix ?? "_INBOX";
  if (!inboxPrefix.startsWith("_INBOX")) throw new ConatError("inboxPrefix must start with _INBOX");
  if (!runtime().isValidSubject(inboxPrefix)) {
    throw new ConatError(`inboxPrefix '${inboxPrefix}' must be a valid subject without wildcards`);
  }
  // Tests restart servers all the time.
  const testing = Boolean(platform().environment("COCALC_TEST_MODE"));
  return {
    url: webSocketUrl(options.address),
    headers: headersOf(options),
    auth: options.auth,
    inboxPrefix,
    textPackets: options.packetEncoding === "text",
    reconnection: options.reconnection ?? true,
    reconnectionDelay: options.reconnectionDelay ?? (testing ? 50 : 500),
    reconnectionDelayMax: options.reconnectionDelayMax ?? (testing ? 500 : 15_000),
    randomizationFactor: options.randomizationFactor ?? 0.5,
  };
}
