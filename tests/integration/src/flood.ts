// A client that means no good, as a process of its own: `flood.ts PORT publishes|garbage BYTES_PER_SECOND`.
// Says "begun" once it is signed in, and sends until it is killed.
import { once } from "node:events";
import { frame, RawSocket, text, upgrade } from "./frames.js";

const [port, kind, rate] = process.argv.slice(2);
const raw = new RawSocket(Number(port), upgrade());
await raw.signIn();

// Publishes of 1 KiB that nobody has subscribed to, or events and pings that mean nothing.
const one =
  kind === "publishes"
    ? text(`42["publish",["flood.nobody","0123456789",0,1,1,"${"f".repeat(1000)}"]]`)
    : Buffer.concat([text('42["nonsense",{"a":[1,2,3]},"garbage"]'), frame(9, "ping"), text('42["publish",null]'), text("6")]);
const block = Buffer.concat(Array.from({ length: Math.ceil(65_536 / one.length) }, () => one));
raw.socket.removeAllListeners("data");
raw.socket.resume();
console.log("begun");
const begin = performance.now();
for (let sent = 0; ; sent += block.length) {
  const due = (sent / Number(rate)) * 1000;
  const ahead = due - (performance.now() - begin);
  if (ahead > 2) await new Promise((done) => setTimeout(done, ahead));
  if (!raw.socket.write(block)) await once(raw.socket, "drain");
}
