// WebSockets by hand, for what no client would send.
import { connect as tcp, type Socket } from "node:net";

/** A handshake; `headers` end in CRLF each. */
export const upgrade = (headers = ""): string =>
  "GET /conat/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${headers}\r\n`;

/** A masked client frame. */
export function frame(opcode: number, payload: Buffer | string, { fin = true, rsv = 0 } = {}): Buffer {
  const data = Buffer.from(payload);
  const mask = Buffer.from([1, 2, 3, 4]);
  const head = [(fin ? 0x80 : 0) | rsv | opcode];
  if (data.length < 126) head.push(0x80 | data.length);
  else if (data.length < 65536) head.push(0x80 | 126, data.length >> 8, data.length & 255);
  else head.push(0x80 | 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (data.length >>> shift) & 255));
  return Buffer.concat([Buffer.from(head), mask, data.map((byte, i) => byte ^ mask[i & 3]!)]);
}
export const text = (payload: string): Buffer => frame(1, payload);

/** A connection that collects what comes. */
export class RawSocket {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  closed = false;
  private wake: () => void = () => undefined;

  constructor(port: number, first: Buffer | string) {
    this.socket = tcp(port, "127.0.0.1");
    this.socket.on("connect", () => this.socket.write(first));
    this.socket.on("data", (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.wake();
    });
    this.socket.on("error", () => undefined);
    this.socket.on("close", () => {
      this.closed = true;
      this.wake();
    });
  }

  send(bytes: Buffer | string): void {
    this.socket.write(bytes);
  }

  /** Waits until the condition holds, looking whenever something has come. */
  async until(what: string, condition: () => boolean, timeoutMs = 20_000): Promise<void> {
    const timer = setTimeout(() => this.wake(), timeoutMs);
    const end = Date.now() + timeoutMs;
    while (!condition()) {
      if (Date.now() >= end) throw new Error(`after ${timeoutMs} ms still not: ${what}; got ${this.text().slice(-300)}`);
      if (this.closed) throw new Error(`closed before: ${what}; got ${this.text().slice(-300)}`);
      await new Promise<void>((done) => (this.wake = done));
    }
    clearTimeout(timer);
  }
  async untilText(part: string | RegExp): Promise<void> {
    await this.until(String(part), () => (typeof part === "string" ? this.text().includes(part) : part.test(this.text())));
  }
  async untilClosed(timeoutMs = 20_000): Promise<void> {
    if (this.closed) return;
    const timer = setTimeout(() => this.socket.destroy(new Error("stays open")), timeoutMs);
    let late = false;
    this.socket.once("error", (error) => (late = error.message === "stays open"));
    await new Promise<void>((done) => this.socket.once("close", () => done()));
    clearTimeout(timer);
    if (late) throw new Error(`stays open for ${timeoutMs} ms; got ${this.text().slice(-300)}`);
  }
  text(): string {
    return this.received.toString("latin1");
  }
  /** The code of the close frame, which is the last thing that came; 0 for none. */
  closeCode(): number {
    const { received } = this;
    return received.length >= 4 && received.at(-4) === 0x88 && received.at(-3) === 2 ? received.readUInt16BE(received.length - 2) : 0;
  }
  /** Waits for the opening, sends CONNECT, and acknowledges `info`. */
  async signIn(): Promise<void> {
    await this.untilText('0{"sid"');
    this.send(text("40"));
    await this.untilText('["info",');
    this.send(text("430[]"));
  }
}

/** The sum of a metric over the shards. */
export async function metric(address: string, name: string): Promise<number> {
  const body = await (await fetch(`${address}/metrics`)).text();
  const values = [...body.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))];
  return values.reduce((sum, match) => sum + Number(match[1]), 0);
}
