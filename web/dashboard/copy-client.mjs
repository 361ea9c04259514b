// Puts the browser build of conat-client beside the page, so that any page or worker can
// `import { connect } from "http://broker/conat-client/browser.js"` without a bundler.
import { cpSync, mkdirSync, readdirSync } from "node:fs";

const from = new URL("../client/dist/", import.meta.url);
const to = new URL("../../build/web/conat-client/", import.meta.url);
mkdirSync(to, { recursive: true });
for (const name of readdirSync(from)) {
  if (/\.wasm$/.test(name) || (/\.js$/.test(name) && name !== "node.js")) cpSync(new URL(name, from), new URL(name, to));
}
