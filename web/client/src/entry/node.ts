// Entry point for Node 20 and newer.
import createConat from "conat-wasm-module";
import { installPlatform } from "../platform.js";
import { nodePlatform } from "../platform/node.js";
import { startRuntime } from "../wasm/runtime.js";

installPlatform(nodePlatform);
await startRuntime(createConat);

export * from "../index.js";
