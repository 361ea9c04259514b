// The JavaScript that Emscripten writes beside conat.wasm; scripts/build.mjs says where it is.
declare module "conat-wasm-module" {
  import type { ModuleFactory } from "../wasm/module.js";
  const createConat: ModuleFactory;
  export default createConat;
}
