// The native C++ client as a peer: the program `native_peer`, told what to do through its standard input and output.
// NATIVE_PEER names the binary (default: the release build).
import { decode, encode } from "@msgpack/msgpack";
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { join } from "node:path";
import { repository } from "../broker.js";
import type { Credentials, Outgoing, Peer, Received } from "./peers.js";
import { Queue, within } from "./queue.js";

export const nativePeer = process.env["NATIVE_PEER"] ?? join(repository, "build/native-release/bin/native_peer");

type Frame = Record<string, unknown>;

const limit = 150_000; // ms; longer than the program's own

export class NativePeer implements Peer {
  readonly #calls = new Map<number, { resolve(answer: Frame): void; reject(error: Error): void }>();
  readonly #inboxes = new Map<string, Queue<Received>>();
  #last = 0;
  #pieces: Buffer[] = [];
  #size = 0;

  private constructor(
    readonly name: string,
    private readonly program: ChildProcessWithoutNullStreams,
  ) {
    program.stdout.on("data", (piece: Buffer) => this.#read(piece));
    program.stderr.pipe(process.stderr);
    program.stdin.on("error", () => undefined); // it has ended: the calls are told below
    program.on("exit", (code, signal) => {
      for (const call of this.#calls.values()) call.reject(new Error(`native_peer ended: ${code ?? signal}`));
      this.#calls.clear();
    });
  }

  static async open(name: string, address: string, packets: "msgpack" | "text", credentials: Credentials = {}): Promise<NativePeer> {
    const program = spawn(nativePeer, [], { stdio: "pipe" });
    await within("native_peer starts (is it built?)", new Promise((done, failed) => program.once("spawn", done).once("error", failed)));
    const peer = new NativePeer(name, program);
    await peer.#call("open", { address, packets, ...credentials });
    return peer;
  }

  async subscribe(pattern: string, queue?: string): Promise<Queue<Received>> {
    const whole = new Queue<Received>(`'${pattern}' at ${this.name}`);
    this.#inboxes.set(pattern, whole);
    await this.#call("subscribe", { subject: pattern, queue });
    return whole;
  }

  async unsubscribe(pattern: string): Promise<void> {
    await this.#call("unsubscribe", { subject: pattern });
  }

  async publish(subject: string, message: Outgoing): Promise<number> {
    return (await this.#call("publish", { subject, ...message }))["count"] as number;
  }

  send(subject: string, message: Outgoing): void {
    void this.#call("send", { subject, ...message }).catch(() => undefined);
  }

  async interest(subject: string, timeout: number): Promise<boolean> {
    return (await this.#call("interest", { subject, timeout }))["interest"] as boolean;
  }

  async subscriptions(): Promise<Set<string>> {
    return new Set((await this.#call("subscriptions", {}))["patterns"] as string[]);
  }

  /** Listens for sockets: echoes data, and answers a request with its value in an array. */
  async socketListen(subject: string): Promise<void> {
    await this.#call("socket_listen", { subject });
  }

  /** Connects a socket, writes 0 to `count` - 1 with headers `{n}`, and asks "question"; what came of it. */
  async socketTalk(subject: string, count: number): Promise<{ echoes: unknown; answer: unknown }> {
    return (await this.#call("socket_talk", { subject, count })) as { echoes: unknown; answer: unknown };
  }

  /** What `tests/native/peer/stores.hpp` does with a synchronized structure. */
  async store(command: Frame): Promise<unknown> {
    return (await this.#call("store", command))["result"];
  }

  close(): void {
    this.program.stdin.end();
  }

  #call(op: string, fields: Frame): Promise<Frame> {
    const id = ++this.#last;
    const answer = new Promise<Frame>((resolve, reject) => this.#calls.set(id, { resolve, reject }));
    const body = encode({ id, op, ...fields }, { ignoreUndefined: true });
    const head = Buffer.alloc(4);
    head.writeUInt32BE(body.length);
    this.program.stdin.write(head);
    this.program.stdin.write(body);
    return within(`${this.name}: ${op}`, answer, limit);
  }

  #read(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#size += piece.length;
    for (;;) {
      if (this.#size < 4) return;
      if (this.#pieces[0]!.length < 4) this.#pieces = [Buffer.concat(this.#pieces)];
      const length = this.#pieces[0]!.readUInt32BE(0);
      if (this.#size < 4 + length) return;
      const all = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
      this.#pieces = [all.subarray(4 + length)];
      this.#size -= 4 + length;
      this.#take(decode(all.subarray(4, 4 + length)) as Frame);
    }
  }

  #take({ id, error, code, ...frame }: Frame): void {
    if (id === undefined) {
      const { pattern, subject, raw, encoding, headers } = frame as { pattern: string; subject: string; raw: Uint8Array; encoding: number; headers?: unknown };
      this.#inboxes.get(pattern)?.push({ subject, raw: Buffer.from(raw), encoding, headers });
      return;
    }
    const call = this.#calls.get(id as number);
    this.#calls.delete(id as number);
    if (error === undefined) call?.resolve(frame);
    else call?.reject(Object.assign(new Error(String(error)), { code }));
  }
}
