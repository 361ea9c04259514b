// Ids that make writing repeatable.
import { newSeed } from "../wasm/runtime.js";

const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const idLength = 10;
// The largest multiple of the number of letters in a byte, so that all are equally likely.
const usable = 256 - (256 % letters.length);
let pool: Uint8Array = new Uint8Array(0);
let used = 0;

/** 10 random characters, from a cryptographic source. */
export function newMessageId(): string {
  let id = "";
  while (id.length < idLength) {
    if (used === pool.length) {
      pool = newSeed();
      used = 0;
    }
    const byte = pool[used++] as number;
    if (byte < usable) id += letters[byte % letters.length];
  }
  return id;
}
