// SHA-1 of a text, at once and in every page: `crypto.subtle` answers later, and is missing on pages without https.
// It names things; nothing is protected by it.

const rotate = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));

// The message, a one bit, zeros, and the length in bits: whole blocks of 64 bytes.
function padded(message: Uint8Array): DataView {
  const view = new DataView(new ArrayBuffer((message.length + 8 - ((message.length + 8) % 64)) + 64));
  new Uint8Array(view.buffer).set(message);
  view.setUint8(message.length, 0x80);
  view.setUint32(view.byteLength - 8, Math.floor(message.length / 0x20000000));
  view.setUint32(view.byteLength - 4, message.length << 3);
  return view;
}

// The function and the constant of each of the four rounds of 20 steps.
function mix(step: number, b: number, c: number, d: number): number {
  if (step < 20) return ((b & c) | (~b & d)) + 0x5a827999;
  if (step < 40) return (b ^ c ^ d) + 0x6ed9eba1;
  if (step < 60) return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
  return (b ^ c ^ d) + 0xca62c1d6;
}

/** In hexadecimal digits, of the UTF-8 text. */
export function sha1(text: string): string {
  const view = padded(new TextEncoder().encode(text));
  const hash = new Int32Array([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0]);
  const words = new Int32Array(80);
  for (let block = 0; block < view.byteLength; block += 64) {
    for (let n = 0; n < 16; n++) words[n] = view.getInt32(block + 4 * n);
    const word = (n: number): number => words[n] as number;
    for (let n = 16; n < 80; n++) words[n] = rotate(word(n - 3) ^ word(n - 8) ^ word(n - 14) ^ word(n - 16), 1);
    let [a, b, c, d, e] = hash as unknown as [number, number, number, number, number];
    for (let step = 0; step < 80; step++) {
      const next = (rotate(a, 5) + mix(step, b, c, d) + e + word(step)) | 0;
      [a, b, c, d, e] = [next, a, rotate(b, 30), c, d];
    }
    [a, b, c, d, e].forEach((value, n) => (hash[n] = (hash[n] as number) + value));
  }
  return [...hash].map((value) => (value >>> 0).toString(16).padStart(8, "0")).join("");
}
