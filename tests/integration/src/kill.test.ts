// kill -9 under write load, again and again: what was acknowledged is there afterwards, and the file is
// sound. CONAT_KILL_ROUNDS sets how often.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { connect, type DKV } from "conat-client";
import { Broker, until } from "./broker.js";

const rounds = Number(process.env["CONAT_KILL_ROUNDS"] ?? 50);
const writers = 3;

// SQLite recovers the log of a killed writer when a file is opened. That is left to the broker; a copy is
// what gets checked here.
function checkIntegrity(file: string): void {
  const folder = mkdtempSync(join(tmpdir(), "conat-copy-"));
  const copy = join(folder, "copy.db");
  copyFileSync(file, copy);
  if (existsSync(`${file}-wal`)) copyFileSync(`${file}-wal`, `${copy}-wal`);
  try {
    assert.equal(execFileSync("sqlite3", [copy, "PRAGMA integrity_check"], { encoding: "utf8" }).trim(), "ok");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

it(`${rounds} times kill -9 under write load: no acknowledged write is lost`, { timeout: 600_000 }, async (t) => {
  const broker = await Broker.start();
  const clients = Array.from({ length: writers }, () =>
    connect({ address: broker.address, noCache: true, reconnectionDelay: 20, reconnectionDelayMax: 100 }),
  );
  const acknowledged = new Map<string, number>();
  const before = new Map<string, number>(); // when the round began
  let stop = false;
  let written = 0;

  async function write(store: DKV<number>, writer: number): Promise<void> {
    for (let n = 1; !stop; n++) {
      const key = `${writer}-${n % 50}`;
      store.set(key, n);
      await store.save();
      acknowledged.set(key, n);
      written++;
    }
  }

  try {
    const stores = await Promise.all(clients.map((client) => client.dkv<number>({ name: "kill" })));
    const running = stores.map((store, writer) => write(store, writer));
    for (let round = 0; round < rounds; round++) {
      const target = written + 20 + Math.floor(Math.random() * 60);
      await until(`round ${round}: writes go on`, () => written >= target, 60_000);
      await broker.end("SIGKILL");
      before.clear();
      for (const [key, value] of acknowledged) before.set(key, value);
      checkIntegrity(join(broker.data, "hub/kill.db"));
      await broker.start();
      const reader = connect({ address: broker.address, noCache: true });
      const stored = await reader.dkv<number>({ name: "kill", noCache: true });
      for (const [key, value] of before) {
        const found = stored.get(key);
        assert.ok(found !== undefined && found >= value, `round ${round}: ${key} was saved as ${value}, found ${found}`);
      }
      await stored.close();
      reader.close();
    }
    stop = true;
    await Promise.all(running);
    t.diagnostic(`${written} acknowledged writes over ${rounds} kills`);
    assert.ok(written > rounds * 20);
  } finally {
    stop = true;
    for (const client of clients) client.close();
    await broker.stop();
  }
});
