// Checks that the core is pure, mechanically: what its native libraries need from outside (undefined
// symbols that no library of the core defines) must match tests/purity/symbols.allow, one pattern a line.
//
//   usage: node check_symbols.mjs ALLOW_LIST LIBRARY...
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

const [allowList, ...libraries] = process.argv.slice(2);
if (libraries.length < 5) throw new Error("name the allow-list and the core's libraries");
const allowed = readFileSync(allowList, "utf8")
  .split("\n")
  .map((line) => line.replace(/#.*/, "").trim())
  .filter(Boolean)
  .map((pattern) => new RegExp(`^(?:${pattern})$`));

const nm = (option) =>
  execFileSync("nm", ["--demangle", "--format=posix", option, ...libraries], { encoding: "utf8", maxBuffer: 1 << 28 })
    .split("\n")
    .filter((line) => line && !line.endsWith(":"))
    // posix format: name, type, value, size; names may hold spaces, so cut from the right.
    .map((line) => line.replace(/ [a-zA-Z?](?: +[0-9a-f]*)* *$/, "").replace(/@.*$/, "").trim());

const defined = new Set(nm("--defined-only"));
const needed = new Set(nm("--undefined-only").filter((name) => !defined.has(name)));
if (defined.size < 100) throw new Error(`only ${defined.size} symbols found: were the libraries built?`);
const wrong = [...needed].filter((name) => !allowed.some((pattern) => pattern.test(name))).sort();
for (const name of wrong) console.error(`the core needs from outside: ${name}`);
console.log(`${needed.size} outside symbols checked, ${wrong.length} not allowed`);
process.exit(wrong.length ? 1 : 0);
