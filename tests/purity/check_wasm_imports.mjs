// Checks that the WebAssembly module imports nothing but what wasm/imports.allow lists (`module.name`, one
// a line, `#` starts a comment).
//
//   usage: node check_wasm_imports.mjs ALLOW_LIST MODULE.wasm
import { readFileSync } from "node:fs";

const [allowList, module] = process.argv.slice(2);
const allowed = new Set(
  readFileSync(allowList, "utf8").split("\n").map((line) => line.replace(/#.*/, "").trim()).filter(Boolean),
);
const imports = WebAssembly.Module.imports(new WebAssembly.Module(readFileSync(module)));
const names = imports.map(({ module: from, name }) => `${from}.${name}`);
const wrong = names.filter((name) => !allowed.has(name)).sort();
for (const name of wrong) console.error(`the module imports: ${name}`);
const unused = [...allowed].filter((name) => !names.includes(name)).sort();
for (const name of unused) console.error(`allowed but not imported any more: ${name}`);
console.log(`${names.length} imports checked, ${wrong.length} not allowed, ${unused.length} stale`);
process.exit(wrong.length || unused.length ? 1 : 0);
