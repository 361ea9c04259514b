// Builds dist/: one JavaScript file for Node and one for browsers, the WebAssembly module beside them (and once
// more as JavaScript, for bundles that lose the file), and the type declarations.
//
//   usage: node scripts/build.mjs       CONAT_WASM_DIR: where conat.mjs and conat.wasm are
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const packageDir = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const wasmDir = resolve(process.env.CONAT_WASM_DIR ?? join(packageDir, "../../build/wasm-release/bin"));
const dist = join(packageDir, "dist");
const module = join(wasmDir, "conat.mjs");
if (!existsSync(module)) {
  console.error(`no ${module}: build the preset wasm-release first, or set CONAT_WASM_DIR`);
  process.exit(1);
}

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });

await build({
  absWorkingDir: packageDir,
  entryPoints: { node: "src/entry/node.ts", browser: "src/entry/browser.ts" },
  outdir: dist,
  bundle: true,
  format: "esm",
  target: "es2022",
  alias: { "conat-wasm-module": module },
  external: ["ws", "node:*", "./wasm-inline.js"],
  legalComments: "none",
  logLevel: "warning",
});

const wasm = readFileSync(join(wasmDir, "conat.wasm"));
copyFileSync(join(wasmDir, "conat.wasm"), join(dist, "conat.wasm"));
writeFileSync(join(dist, "wasm-inline.js"), `export default "${wasm.toString("base64")}";\n`);

const require = createRequire(import.meta.url);
const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
execFileSync(process.execPath, [tsc, "-p", packageDir, "--emitDeclarationOnly"], { stdio: "inherit" });

// What is bundled, and under which terms.
const licences = ["@msgpack/msgpack", "idb"].map((name) => {
  const folder = dirname(require.resolve(`${name}/package.json`));
  return `## ${name}\n\n${readFileSync(join(folder, "LICENSE"), "utf8").trim()}\n`;
});
writeFileSync(join(packageDir, "LICENSES.md"), `# Bundled software\n\n${licences.join("\n")}`);
