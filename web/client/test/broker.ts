// The real conatd for a test. CONATD names the binary (default: the release build).
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { connect, type Client } from "conat-client";

export const binary = process.env["CONATD"] ?? fileURLToPath(new URL("../../../build/native-release/bin/conatd", import.meta.url));

export class Broker {
  readonly #data = mkdtempSync(join(tmpdir(), "conat-client-test-"));
  #child: ChildProcess | undefined;
  #log = "";
  port = 0;

  constructor(private readonly options: readonly string[] = []) {}

  static async start(...options: string[]): Promise<Broker> {
    const broker = new Broker(options);
    await broker.start();
    return broker;
  }

  get address(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const child = spawn(binary, ["--port", String(this.port), "--data", this.#data, ...this.options], { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    child.stderr.on("data", (chunk: Buffer) => (this.#log = (this.#log + chunk.toString()).slice(-50_000)));
    const listening = new Promise<number>((resolve) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
        const port = /listening on http:\/\/[^ ]+:(\d+)/.exec(line)?.[1];
        if (port !== undefined) resolve(Number(port));
      });
    });
    const ended = once(child, "exit").then(() => {
      throw new Error(`conatd ended at start: ${this.#log}`);
    });
    ended.catch(() => undefined);
    this.port = await Promise.race([listening, ended]);
  }

  /** Kills it as a power cut would, and waits until it is gone. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  }

  async stop(): Promise<void> {
    await this.kill("SIGTERM");
    rmSync(this.#data, { recursive: true, force: true });
  }
}

/** Resolves with the arguments of the next `event`; rejects after `timeout` ms. */
export function nextEvent<Args extends unknown[]>(
  emitter: { once(event: never, listener: never): unknown }, event: string, timeout = 15_000,
): Promise<Args> {
  const once = emitter.once.bind(emitter) as (event: string, listener: (...args: Args) => void) => unknown;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no '${event}' within ${timeout} ms`)), timeout);
    once(event, (...args) => {
      clearTimeout(timer);
      resolve(args);
    });
  });
}

/** Resolves when `condition` holds, looked at again and again; rejects after `timeout` ms. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, timeout = 15_000): Promise<void> {
  const end = performance.now() + timeout;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`still not after ${timeout} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A broker and two clients of it, which come back quickly. */
export async function startWithClients(): Promise<[Broker, Client, Client]> {
  const broker = await Broker.start();
  const options = { address: broker.address, noCache: true, reconnectionDelay: 50, reconnectionDelayMax: 200 };
  return [broker, connect(options), connect(options)];
}

export async function stopWithClients(broker: Broker, ...clients: Client[]): Promise<void> {
  for (const client of clients) client.close();
  await broker.stop();
}
