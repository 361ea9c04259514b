// The record kinds of C++ and TypeScript agree, and so does the reading of their fields.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { Record, RecordReader, textOf } from "../src/wasm/records.js";

const source = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
const camel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

it("lists the same kinds as records.def", () => {
  const native = [...source("wasm/src/records.def").matchAll(/CONAT_RECORD\((\w+), (\d+)\)/g)];
  assert.ok(native.length > 20);
  const expected = Object.fromEntries(native.map(([, name, number]) => [camel(name as string), Number(number)]));
  delete expected["name"]; // the comment
  assert.deepEqual({ ...Record }, expected);
  assert.equal(new Set(Object.values(Record)).size, native.length);
});

it("declares the functions that bindings.cpp binds, and no others", () => {
  const bound = [...source("wasm/src/bindings.cpp").matchAll(/\.function\("(\w+)"/g)].map((match) => match[1] as string);
  const declaration = source("web/client/src/wasm/module.ts");
  const declared = [...(declaration.split("interface FabricHandle")[1] ?? "").split("interface ConatModule")[0]!.matchAll(/^ {2}(\w+)\(/gm)];
  const names = declared.map((match) => match[1] as string).filter((name) => name !== "delete");
  assert.ok(bound.length > 50);
  assert.deepEqual(names.sort(), bound.sort());
  const exported = [...source("wasm/src/hot_path.cpp").matchAll(/KEEPALIVE \S+ (\w+)\(/g)].map((match) => `_${match[1]}`);
  const plain = [...declaration.matchAll(/^ {2}(_conat\w+)\(/gm)].map((match) => match[1] as string);
  assert.deepEqual(plain.sort(), exported.sort());
});

function batch(...records: number[][]): Uint8Array {
  return Uint8Array.from(records.flatMap((fields) => [fields.length + 4, 0, 0, 0, ...fields]));
}

it("reads fields, and skips what was not read", () => {
  const memory = Uint8Array.from([9, 9, 0xe2, 0x82, 0xac]);
  const reader = new RecordReader(
    batch([2, 1, 3, 0, 0, 0, 97, 98, 99], [8, 7, 0, 0, 0, 1, 1, 1], [6, 3, 0, 0, 0x80, 2, 0, 0, 0]),
    () => memory,
  );
  assert.equal(reader.next(), Record.send);
  assert.equal(reader.flag(), true);
  assert.equal(reader.text(), "abc");
  assert.equal(reader.next(), Record.message);
  assert.equal(reader.u32(), 7);
  assert.equal(reader.next(), Record.subscribeDone); // three bytes were left unread
  const far = reader.blob();
  memory.fill(0);
  assert.equal(textOf(far), "€", "a far blob is copied when it is read");
  assert.equal(reader.next(), 0);
  assert.equal(reader.atEnd, true);
});

it("reads long and non-ASCII text", () => {
  for (const text of ["", "a", "x".repeat(48), "y".repeat(49), "é", "a€b", "😀".repeat(30), `${"z".repeat(40)}ü`]) {
    const bytes = new TextEncoder().encode(text);
    assert.equal(textOf({ bytes, start: 0, end: bytes.length }), text);
  }
});
