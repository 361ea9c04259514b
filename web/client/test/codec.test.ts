// Values keep their meaning through encode and decode, and hostile bytes do no harm.
import assert from "node:assert/strict";
import { it } from "node:test";
import { ConatError, DataEncoding, decode, encode, messageData } from "conat-client";

const roundTrip = (value: unknown, encoding = DataEncoding.MsgPack): unknown => decode({ encoding, data: encode({ encoding, mesg: value }) });
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

it("keeps plain values", () => {
  const values = [null, true, 0, -1, 127, -33, 65536, 2 ** 40, -(2 ** 40), Number.MAX_SAFE_INTEGER, 1.5, -0.1, 1e300, "", "é😀", [], [1, [2]], {}, { a: { b: [null] } }];
  for (const value of values) {
    assert.deepEqual(roundTrip(value), value);
    assert.deepEqual(roundTrip(value, DataEncoding.JsonCodec), value);
  }
});

it("keeps dates and binary, and leaves undefined out", () => {
  for (const date of [new Date(0), new Date("2038-01-19T03:14:08.123Z"), new Date("1950-06-01T00:00:00.007Z")]) {
    assert.deepEqual(roundTrip(date), date);
  }
  const binary = roundTrip({ b: Uint8Array.from([1, 2, 3]) }) as { b: Uint8Array };
  assert.ok(Buffer.isBuffer(binary.b));
  assert.deepEqual([...binary.b], [1, 2, 3]);
  assert.deepEqual(roundTrip({ a: undefined, b: 1 }), { b: 1 });
  assert.ok(!("a" in (roundTrip({ a: undefined }) as object)));
  assert.equal(roundTrip(undefined), null);
  assert.deepEqual(roundTrip([undefined, 1]), [null, 1]);
});

it("encodes what the wire says", () => {
  assert.deepEqual([...encode({ mesg: { a: 1 } })], [0x81, 0xa1, 0x61, 0x01]);
  assert.deepEqual([...encode({ mesg: new Date(1000) })], [0xd6, 0xff, 0, 0, 0, 1]);
  assert.deepEqual([...encode({ mesg: Buffer.from([7]) })], [0xc4, 1, 7]);
  assert.equal(new TextDecoder().decode(encode({ encoding: DataEncoding.JsonCodec, mesg: { b: bytes(1, 2), d: new Date(0) } })),
    '{"b":{"type":"Buffer","data":[1,2]},"d":"1970-01-01T00:00:00.000Z"}');
  assert.equal(new TextDecoder().decode(encode({ encoding: DataEncoding.JsonCodec, mesg: undefined })), "null");
});

it("handles integers beyond 2^53", () => {
  const big = 2n ** 63n + 1n;
  const data = encode({ mesg: { big, small: 2 ** 40, negative: -(2n ** 62n) } });
  assert.deepEqual(decode({ data }), { big: Number(big), small: 2 ** 40, negative: -(2 ** 62) });
  assert.deepEqual(decode({ data, bigint: true }), { big, small: 2 ** 40, negative: -(2n ** 62n) });
  assert.throws(() => encode({ mesg: 2n ** 64n }), RangeError);
  assert.throws(() => encode({ mesg: -(2n ** 63n) - 1n }), RangeError);
});

it("refuses what cannot be encoded", () => {
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  assert.throws(() => encode({ mesg: cycle }));
  assert.throws(() => encode({ mesg: { f: () => 1 } }));
  assert.throws(() => encode({ encoding: 7 as DataEncoding, mesg: 1 }), ConatError);
  assert.deepEqual(roundTrip("still works"), "still works");
});

it("refuses malformed bytes with a ConatError, cheaply", () => {
  const hostile = [
    bytes(),
    bytes(0xc1),
    bytes(0x91),
    bytes(1, 2),
    bytes(0xc6, 0xff, 0xff, 0xff, 0xff),
    bytes(0xdd, 0xff, 0xff, 0xff, 0xff),
    bytes(0xdf, 0xff, 0xff, 0xff, 0xff),
    bytes(0x81, 0xa9, ...new TextEncoder().encode("__proto__"), 1),
    bytes(0x81, 0xc0, 1),
    // Nested arrays that each announce a million elements: 200,000 of them would take terabytes.
    Uint8Array.from({ length: 1_000_000 }, (_, i) => [0xdd, 0, 0x0f, 0x42, 0x40][i % 5] as number),
    new Uint8Array(100_000).fill(0x91),
  ];
  const start = performance.now();
  for (const data of hostile) assert.throws(() => decode({ data }), ConatError);
  assert.throws(() => decode({ encoding: DataEncoding.JsonCodec, data: bytes(0x7b) }), ConatError);
  assert.throws(() => decode({ encoding: 9 as DataEncoding, data: bytes(1) }), ConatError);
  assert.ok(performance.now() - start < 30_000);
  assert.deepEqual(decode({ data: bytes(0x91, 5) }), [5]);
});

it("does not keep a large batch alive for a small binary value", () => {
  const batch = new Uint8Array(1 << 16);
  batch.set(encode({ mesg: { b: bytes(1, 2, 3) } }));
  const { b } = decode({ data: batch.subarray(0, encode({ mesg: { b: bytes(1, 2, 3) } }).length) }) as { b: Uint8Array };
  assert.deepEqual([...b], [1, 2, 3]);
  assert.ok(b.buffer.byteLength < 1024);
});

it("makes messages without a subject", () => {
  const message = messageData({ a: [1] }, { headers: { x: "y" } });
  assert.deepEqual(message.data, { a: [1] });
  assert.equal(message.data, message.data);
  assert.deepEqual(message.headers, { x: "y" });
  assert.equal(message.length, message.raw.length);
  assert.equal(message.encoding, DataEncoding.MsgPack);
  assert.equal(messageData(1).headers, undefined);
  assert.deepEqual(messageData(undefined, { raw: bytes(0x2a) }).data, 42);
  assert.deepEqual(messageData({ a: 1 }, { encoding: DataEncoding.JsonCodec }).raw, Buffer.from('{"a":1}'));
});
