// A real broker for the benchmarks, and how they print.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const binary = process.env.CONATD ?? fileURLToPath(new URL("../../../build/native-release/bin/conatd", import.meta.url));

/** Starts `conatd` (CONATD: which) with a data directory of its own; `stop()` removes it. */
export async function startBroker(...options) {
  const data = mkdtempSync(join(process.env.CONAT_BENCH_DIRECTORY ?? tmpdir(), "conat-bench-"));
  const broker = spawn(binary, ["--port", "0", "--data", data, ...options], { stdio: ["ignore", "pipe", "ignore"] });
  const address = await new Promise((resolve, reject) => {
    once(broker, "exit").then(() => reject(new Error(`${binary} ended`)));
    createInterface({ input: broker.stdout }).on("line", (line) => {
      const found = /listening on (http:\/\/[^ ]+:\d+)/.exec(line);
      if (found) resolve(found[1]);
    });
  });
  const stop = async () => {
    broker.kill("SIGTERM");
    await once(broker, "exit");
    rmSync(data, { recursive: true, force: true });
  };
  return { address, stop };
}

/** Prints how many of something there were in a second. */
export function report(name, count, start) {
  const rate = (count * 1000) / (performance.now() - start);
  console.log(`${name.padEnd(60)} ${Math.round(rate).toLocaleString("en").padStart(10)} /s`);
}
