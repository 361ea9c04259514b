// A WebSocket without Socket.IO on it: frames go in and come out as they are.
import { once } from "node:events";
import { WebSocket } from "ws";
import { Queue, within } from "./queue.js";

export type Frame = string | Buffer;

export class RawConnection {
  readonly frames = new Queue<Frame>("the broker");
  readonly closed: Promise<{ code: number; reason: string }>;
  isOpen = true;

  private constructor(readonly socket: WebSocket) {
    socket.on("message", (data: Buffer, binary: boolean) => this.frames.push(binary ? data : data.toString()));
    socket.on("error", () => undefined);
    this.closed = once(socket, "close").then((args) => {
      this.isOpen = false;
      const [code, reason] = args as [number, Buffer];
      return { code, reason: reason.toString() };
    });
  }

  /** Opened by HTTP, nothing sent yet. */
  static async open(address: string, query = "EIO=4&transport=websocket", slash = "/"): Promise<RawConnection> {
    const url = `${address.replace(/^http/, "ws")}/conat${slash}?${query}`;
    const raw = new RawConnection(new WebSocket(url, { perMessageDeflate: false }));
    await within("the handshake", once(raw.socket, "open"));
    return raw;
  }

  /** After CONNECT, `info` received; it is acknowledged unless the caller does not want that. */
  static async connected(address: string, { acknowledge = true } = {}): Promise<RawConnection> {
    const raw = await RawConnection.open(address);
    await raw.next();
    raw.send("40");
    await raw.next();
    const info = await raw.text();
    if (acknowledge) raw.send(`43${/^42(\d+)/.exec(info)![1]}[]`);
    return raw;
  }

  send(...frames: Frame[]): void {
    for (const frame of frames) this.socket.send(frame);
  }

  next(): Promise<Frame> {
    return this.frames.next();
  }

  async text(): Promise<string> {
    const frame = await this.next();
    if (typeof frame !== "string") throw new Error(`binary in place of text: ${frame.toString("hex")}`);
    return frame;
  }

  /** The code of the broker's close frame; 1005 when it has none. */
  async closeCode(): Promise<number> {
    return (await within("the broker closes the connection", this.closed)).code;
  }

  close(): void {
    this.socket.terminate();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
