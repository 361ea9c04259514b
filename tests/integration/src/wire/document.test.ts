// docs/protocol.md is true: every example in it is replayed against the broker, and every error text of its table is shown
// by an example or known to the tests.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { decode, encode } from "@msgpack/msgpack";
import { Broker, repository } from "../broker.js";
import { within } from "./queue.js";
import { RawConnection, type Frame } from "./raw.js";

const document = readFileSync(join(repository, "docs/protocol.md"), "utf8");

interface Example {
  readonly section: string;
  readonly kind: string;
  readonly lines: string[];
}

function examples(): Example[] {
  const found: Example[] = [];
  let section = "";
  let open: Example | undefined;
  for (const line of document.split("\n")) {
    if (line.startsWith("## ")) section = line.slice(3);
    if (line.startsWith("```")) {
      if (open) {
        found.push(open);
        open = undefined;
      } else open = { section, kind: line.slice(3), lines: [] };
    } else open?.lines.push(line);
  }
  return found;
}

/** Equal, where `…` in what is expected stands for any text. */
function assertLike(actual: string, expected: string, where: string): void {
  const parts = expected.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  assert.match(actual, new RegExp(`^${parts.join("[^]*")}$`), where);
}

const withoutComment = (line: string): string => line.replace(/\s+# .*$/, "");

/** MessagePack's binary as the document writes it. */
const shown = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, inner: unknown) => {
    const bytes = inner as { type?: string; data?: number[] } | null; // what a Buffer becomes before it gets here
    return bytes?.type === "Buffer" && bytes.data ? { $bin: Buffer.from(bytes.data).toString("hex") } : inner;
  }));

function frameOf(text: string): Frame {
  const sized = /^bin (\d+) bytes$/.exec(text);
  if (sized) return Buffer.alloc(Number(sized[1]));
  if (text.startsWith("bin ")) return Buffer.from(text.slice(4).replace(/ /g, ""), "hex");
  if (text.startsWith("msgpack ")) return Buffer.from(encode(JSON.parse(text.slice(8))));
  return text;
}

async function replay(address: string, { lines, section }: Example): Promise<void> {
  const connections = new Map<string, RawConnection>();
  try {
    for (const line of lines.map(withoutComment)) {
      const where = `${section}: ${line}`;
      const [, name, what] = /^(\w+)(?: |(?=[<>]))(.*)$/.exec(line)!;
      if (what === "opens" || what === "signs in") {
        connections.set(name!, await (what === "opens" ? RawConnection.open(address) : RawConnection.connected(address)));
        continue;
      }
      const connection = connections.get(name!);
      assert.ok(connection && what, where);
      const text = what.slice(2);
      if (what.startsWith(">")) connection.send(frameOf(text));
      else if (text.startsWith("closes ")) assert.equal(await connection.closeCode(), Number(text.slice(7)), where);
      else {
        const frame = await connection.next();
        if (text.startsWith("msgpack ")) {
          assert.ok(Buffer.isBuffer(frame), where);
          const actual = decode(frame) as Record<string, unknown>;
          const expected = JSON.parse(text.slice(8)) as Record<string, unknown>;
          const inOrder = Object.fromEntries(Object.keys(expected).map((key) => [key, actual[key]]));
          assert.deepEqual(Object.keys(actual).sort(), Object.keys(expected).sort(), where);
          assertLike(JSON.stringify(shown(inOrder)), JSON.stringify(expected), where);
        } else if (text.startsWith("bin ")) assert.deepEqual(frame, frameOf(text), where);
        else assertLike(String(frame), text, where);
      }
    }
  } finally {
    for (const connection of connections.values()) connection.close();
  }
}

function http(address: string, method: string, path: string): Promise<string> {
  return within(
    path,
    new Promise<string>((done, failed) => {
      const asked = request(`${address}${path}`, { method, agent: false }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => done(`${response.statusCode} ${Buffer.concat(chunks).toString()}`));
      });
      asked.on("error", failed);
      asked.end();
    }),
  );
}

describe("docs/protocol.md", () => {
  const brokers = new Map<string, Broker>();
  before(async () => {
    const options = ["--shards", "1", "--id", "b1", "--no-persist"];
    brokers.set("", await Broker.start(...options));
    brokers.set("limited", await Broker.start(...options, "--max-subscriptions-per-client", "2"));
    const user = JSON.stringify({ account_id: "ada" });
    brokers.set("users", await Broker.start(...options, "--system-password", "secret", "--anonymous-user", user));
  });
  after(() => Promise.all([...brokers.values()].map((broker) => broker.stop())));

  for (const [number, example] of examples().entries()) {
    const [kind, which = ""] = example.kind.split(" ");
    it(`example ${number + 1}, ${example.section}`, { timeout: 120_000 }, async () => {
      assert.ok(kind === "frames" || kind === "http", `a block of an unknown kind: ${example.kind}`);
      assert.ok(example.lines.length > 0);
      const broker = brokers.get(which)!;
      if (kind === "frames") return replay(broker.address, example);
      for (const line of example.lines) {
        const [, method, path, expected] = /^(\S+) (\S+)\s+(\d.*)$/.exec(line)!;
        assert.equal(await http(broker.address, method!, path!), expected);
      }
    });
  }

  it("every error text of the table occurs in an example", () => {
    const section = document.slice(document.indexOf("\n## 12."), document.indexOf("\n## 13."));
    const rows = [...section.matchAll(/^\| `([^`]+)` \| (\d*) ?\|/gm)].map(([, text, code]) => ({ text: text!, code: code! }));
    assert.ok(rows.length >= 9);
    const frames = examples().filter(({ kind }) => kind.startsWith("frames")).flatMap(({ lines }) => lines).map(withoutComment);
    for (const { text, code } of rows) {
      const pattern = text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\b[NM]\b/g, "\\d+").replaceAll("…", ".*");
      const shownIn = new RegExp(`\\{"error":"${pattern}"${code ? `,"code":${code}` : ""}\\}`);
      assert.ok(frames.some((frame) => shownIn.test(frame)), text);
    }
    for (const [type, doing] of [["pub", "publishing to"], ["sub", "subscribing to"]]) {
      const told = new RegExp(`"permission",\\{"message":"permission denied ${doing} '.*","subject":".*","type":"${type}"\\}`);
      assert.ok(frames.some((frame) => told.test(frame)), `the event permission, ${type}`);
    }
  });
});
