// Getting at the WebAssembly module: the file beside the package's code, or, when a bundler moved the code
// away from it, the copy that every bundler carries along because it is JavaScript.

const magic = [0, 0x61, 0x73, 0x6d];

export function isWasm(bytes: Uint8Array): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}

export async function loadWithFallback(load: () => Promise<Uint8Array>): Promise<Uint8Array> {
  try {
    const bytes = await load();
    // A development server answers unknown addresses with its page.
    if (isWasm(bytes)) return bytes;
  } catch {
    // The copy below is as good.
  }
  const { default: base64 } = await import("./wasm-inline.js");
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
