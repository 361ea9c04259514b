// Entry point for browsers and their workers.
import createConat from "conat-wasm-module";
import { installPlatform } from "../platform.js";
import { browserPlatform } from "../platform/browser.js";
import { startRuntime } from "../wasm/runtime.js";

installPlatform(browserPlatform);
await startRuntime(createConat);

export * from "../index.js";
