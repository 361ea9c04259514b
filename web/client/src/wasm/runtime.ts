// The one instance of the WebAssembly module that all clients of a program share.
import { platform } from "../platform.js";
import type { ConatModule, ModuleFactory } from "./module.js";

let instance: ConatModule | undefined;

/** Compiles the module; the entry points await it, so that everything after their import is synchronous. */
export async function startRuntime(create: ModuleFactory): Promise<void> {
  if (instance !== undefined) return;
  instance = await create({ wasmBinary: await platform().loadWasm() });
}

export function runtime(): ConatModule {
  if (instance === undefined) throw new Error("conat-client was not loaded through one of its entry points");
  return instance;
}

const randomSeedBytes = 32;

/** A seed for one client, from the platform's cryptographic source. */
export function newSeed(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(randomSeedBytes));
}
