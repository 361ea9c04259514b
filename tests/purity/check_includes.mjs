// Checks that includes follow the directions of docs/architecture.md: a layer of the core includes only
// the layers below it and a short list of standard headers; native parts include the core and never each
// other, except where the table allows it.
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";

const root = process.argv[2] ?? ".";
const core = ["base", "subject", "wire", "session", "client", "stream", "socket", "sync", "broker", "fabric"];
const allowed = {
  base: [],
  subject: ["base"],
  wire: ["base"],
  session: ["base", "wire"],
  client: ["base", "subject", "wire", "session"],
  stream: ["base", "wire"],
  socket: ["base", "wire", "subject", "client"],
  sync: ["base", "wire", "subject", "client", "socket", "stream"],
  broker: ["base", "subject", "wire", "session"],
  fabric: ["base", "wire", "subject", "client", "socket", "stream", "sync"],
};
const nativeAllowed = {
  auth: ["auth"],
  net: ["net"],
  storage: ["storage"],
  client: ["client"],
  cli: ["cli", "client"],
  broker: ["broker", "auth", "net", "storage", "client"],
};
// What the core may not touch, whatever the layer: I/O, clocks, threads, randomness of its own, logs.
const forbiddenInCore =
  /^(chrono|thread|mutex|shared_mutex|condition_variable|future|atomic|random|iostream|fstream|ostream|istream|filesystem|ctime|time\.h|unistd\.h|sys\/.*|pthread\.h|stdio\.h|boost\/.*|sqlite3\.h|spdlog\/.*|emscripten.*|openssl\/.*|nlohmann\/.*|zstd\.h)$/;

const errors = [];
let checked = 0;

function* sources(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* sources(path);
    else if (/\.(hpp|cpp|h|def)$/.test(name)) yield path;
  }
}

function includes(path) {
  return [...readFileSync(path, "utf8").matchAll(/^\s*#\s*include\s+([<"])([^>"]+)[>"]/gm)].map((match) => match[2]);
}

function checkCore(path, layer) {
  for (const name of includes(path)) {
    const target = /^conat\/([a-z]+)\//.exec(name)?.[1];
    if (target && target !== layer && !allowed[layer]?.includes(target))
      errors.push(`${relative(root, path)}: ${layer} may not include ${name}`);
    if (forbiddenInCore.test(name)) errors.push(`${relative(root, path)}: the core may not include <${name}>`);
  }
}

function checkNative(path, part) {
  for (const name of includes(path)) {
    const target = /^native\/([a-z]+)\//.exec(name)?.[1] ?? /^(auth|net|storage|broker|client|cli)\//.exec(name)?.[1];
    if (target && !nativeAllowed[part]?.includes(target))
      errors.push(`${relative(root, path)}: native/${part} may not include ${name}`);
  }
}

for (const path of sources(join(root, "shared/conat"))) {
  const layer = relative(join(root, "shared/conat"), path).split(sep)[0];
  if (!core.includes(layer)) errors.push(`${relative(root, path)}: unknown layer`);
  else checkCore(path, layer);
  checked += 1;
}
for (const path of sources(join(root, "native"))) {
  checkNative(path, relative(join(root, "native"), path).split(sep)[0]);
  checked += 1;
}
if (checked < 20) errors.push(`only ${checked} files found: wrong root?`);
for (const error of errors) console.error(error);
console.log(`${checked} files checked, ${errors.length} wrong includes`);
process.exit(errors.length ? 1 : 0);
