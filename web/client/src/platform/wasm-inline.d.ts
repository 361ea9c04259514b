// scripts/build.mjs writes this module: the WebAssembly module as text, for bundles that lost the file.
declare const base64: string;
export default base64;
