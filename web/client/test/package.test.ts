// The built package: in bundles of Vite and esbuild, with and without the WebAssembly file, and under a ban of
// evaluation.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build as bundle } from "esbuild";
import { build as viteBuild } from "vite";

const run = promisify(execFile);
const packageDir = fileURLToPath(new URL("..", import.meta.url));
// No server is needed to see that the module runs: what is published is encoded and dropped.
const script = `
import { connect, Patterns } from "conat-client";
const client = connect({ address: "http://127.0.0.1:1", noCache: true, autoConnect: false });
const { bytes } = client.publishSync("a.b", { hello: "world" });
if (bytes !== 13 || !/^[0-9A-Za-z]{10}$/.test(client.id)) throw new Error("wrong: " + bytes + client.id);
client.close();
console.log("it runs", typeof Patterns);
`;

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "conat-bundle-"));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(packageDir, join(folder, "node_modules/conat-client"));
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  writeFileSync(join(folder, "main.js"), script);
  writeFileSync(join(folder, "index.html"), '<script type="module" src="./main.js"></script>');
});
after(() => rmSync(folder, { recursive: true, force: true }));

async function runs(file: string, ...flags: string[]): Promise<void> {
  const { stdout } = await run(process.execPath, [...flags, file], { cwd: dirname(file), timeout: 30_000 });
  assert.match(stdout, /it runs function/);
}

describe("the package", () => {
  it("has the files that it names", () => {
    const { exports } = JSON.parse(readFileSync(join(packageDir, "package.json"), "utf8")) as { exports: Record<string, unknown> };
    const files = JSON.stringify(exports).match(/\.\/dist\/[\w.-]+/g) ?? [];
    assert.ok(files.length >= 6);
    for (const file of files) assert.ok(readFileSync(join(packageDir, file)).length > 0, file);
  });

  it("keeps the browser's file free of Node", () => {
    const code = readFileSync(join(packageDir, "dist/browser.js"), "utf8");
    assert.doesNotMatch(code, /from\s*"(?:ws|node:)|require\(/);
    assert.doesNotMatch(code, /\bnew Function\b|\beval\(/);
  });

  it("has no any in its public declarations", () => {
    for (const name of readdirSync(join(packageDir, "dist"), { recursive: true, encoding: "utf8" })) {
      if (!name.endsWith(".d.ts")) continue;
      const code = readFileSync(join(packageDir, "dist", name), "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
      assert.doesNotMatch(code, /[:<|&(,]\s*any\b/, name);
    }
  });

  it("runs in Node, also where evaluation is forbidden", async () => {
    await runs(join(folder, "main.js"));
    await runs(join(folder, "main.js"), "--disallow-code-generation-from-strings");
  });

  it("runs in an esbuild bundle that has lost the WebAssembly file", async () => {
    for (const platform of ["node", "browser"] as const) {
      const outfile = join(folder, `out-${platform}/main.mjs`);
      await bundle({
        entryPoints: [join(folder, "main.js")], outfile, platform, bundle: true, format: "esm", logLevel: "error", target: "es2022",
        // ws is CommonJS; Node's bundles need a require.
        ...(platform === "node" ? { banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' } } : {}),
      });
      await runs(outfile);
    }
  });

  it("runs in a Vite bundle, with the WebAssembly file among its assets", async () => {
    await viteBuild({ root: folder, base: "./", logLevel: "error", configFile: false, build: { outDir: "vite", target: "es2022", assetsInlineLimit: 0, modulePreload: false } });
    const assets = readdirSync(join(folder, "vite/assets"));
    assert.ok(assets.some((name) => name.endsWith(".wasm")), assets.join(" "));
    const entry = assets.find((name) => /^index.*\.js$/.test(name));
    assert.ok(entry);
    await runs(join(folder, "vite/assets", entry));
  });
});
