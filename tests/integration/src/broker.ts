// Starts the real conatd for a test, and stops, kills or restarts it on the same port and data.
// CONATD names the binary (default: the release build).
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const repository = resolve(fileURLToPath(import.meta.url), "../../../..");
export const binary = process.env["CONATD"] ?? join(repository, "build/native-release/bin/conatd");

export class Broker {
  private child: ChildProcess | undefined;
  private readonly ownsData: boolean;
  readonly data: string;
  port = 0;
  private scheme = "http";
  /** What it wrote to stderr since the last start. */
  log = "";

  private constructor(
    private readonly options: readonly string[],
    data?: string,
  ) {
    this.ownsData = data === undefined;
    this.data = data ?? mkdtempSync(join(tmpdir(), "conat-test-"));
  }

  static async start(...options: string[]): Promise<Broker> {
    const broker = new Broker(options);
    await broker.start();
    return broker;
  }

  /** A broker that is not started yet, for a port that is known; `start()` starts it. */
  static prepare(port: number, ...options: string[]): Broker {
    const broker = new Broker(options);
    broker.port = port;
    return broker;
  }

  get address(): string {
    return `${this.scheme}://127.0.0.1:${this.port}`;
  }
  get pid(): number {
    if (this.child?.pid === undefined) throw new Error("the broker does not run");
    return this.child.pid;
  }

  async start(): Promise<void> {
    this.log = "";
    const child = spawn(binary, ["--port", String(this.port), "--data", this.data, ...this.options], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child = child;
    child.stderr.on("data", (chunk: Buffer) => (this.log = (this.log + chunk.toString()).slice(-200_000)));
    const exited = once(child, "exit").then(([code, signal]) => {
      throw new Error(`conatd ended at start (${code ?? signal}): ${this.log}`);
    });
    const listening = new Promise<void>((done) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
        const [, scheme, port] = /listening on (https?):\/\/[^ ]+:(\d+)/.exec(line) ?? [];
        if (scheme === undefined) return;
        this.scheme = scheme;
        this.port = Number(port);
        done();
      });
    });
    exited.catch(() => undefined);
    await Promise.race([listening, exited]);
    await this.untilReady();
  }

  private async untilReady(): Promise<void> {
    const end = Date.now() + 10_000;
    for (;;) {
      if ((await this.readiness().catch(() => 0)) === 200) return;
      if (Date.now() > end) throw new Error(`conatd is not ready after 10 s: ${this.log}`);
      await new Promise((done) => setTimeout(done, 10));
    }
  }

  private async readiness(): Promise<number> {
    const address = `${this.address}/readyz`;
    if (this.scheme === "http") return (await fetch(address)).status;
    return new Promise((done, failed) => {
      get(address, { rejectUnauthorized: false }, (response) => done(response.resume().statusCode ?? 0)).on("error", failed);
    });
  }

  /** Ends it with a signal and returns the exit code (null if the signal killed it). */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    const child = this.child;
    if (child === undefined) return null;
    this.child = undefined;
    if (child.exitCode !== null) return child.exitCode;
    const exit = once(child, "exit");
    child.kill(signal);
    const [code] = (await exit) as [number | null];
    return code;
  }

  /** Stops it in its tracks: its connections stay open and nothing moves. `thaw` lets it go on. */
  freeze(): void {
    process.kill(this.pid, "SIGSTOP");
  }
  thaw(): void {
    process.kill(this.pid, "SIGCONT");
  }

  async restart(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    await this.end(signal);
    await this.start();
  }

  running(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Resident memory, KiB. */
  rss(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
  }

  /** What the broker's memory grew by at most, bytes, while it worked. */
  async growth(work: () => Promise<void>): Promise<number> {
    const before = this.rss();
    let peak = before;
    const timer = setInterval(() => (peak = Math.max(peak, this.rss())), 5);
    try {
      await work();
    } finally {
      clearInterval(timer);
    }
    return (Math.max(peak, this.rss()) - before) * 1024;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Ends it and removes the data that it made. */
  async stop(): Promise<void> {
    await this.end("SIGTERM");
    if (this.ownsData) rmSync(this.data, { recursive: true, force: true });
  }
}

/** Waits until `condition` holds, looking again every few ms; fails after `timeoutMs`. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, timeoutMs = 15_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`after ${timeoutMs} ms still not: ${what}`);
    await new Promise((done) => setTimeout(done, 5));
  }
}
