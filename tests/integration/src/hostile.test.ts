// Malformed bytes of every kind: answered with an error or closed; the broker lives, others are not
// disturbed, and memory stays bounded. Run against the AddressSanitizer build too (CONATD=...).
import assert from "node:assert/strict";
import { randomBytes, randomInt } from "node:crypto";
import { connect as tcp, type Socket } from "node:net";
import { after, before, it } from "node:test";
import { connect, type Client } from "conat-client";
import { Broker, until } from "./broker.js";

let broker: Broker;
let bystander: Client;
before(async () => {
  broker = await Broker.start("--shards", "2", "--handshake-timeout", "2000");
  bystander = connect({ address: broker.address, noCache: true });
  await bystander.waitUntilSignedIn();
});
after(async () => {
  bystander.close();
  assert.equal(await broker.end("SIGTERM"), 0, broker.log);
  await broker.stop();
});

/** Sends bytes over a new connection and returns what came until the server closed, or `waitMs`. */
function send(bytes: Buffer | string, waitMs = 4000): Promise<{ closed: boolean; text: string }> {
  return new Promise((done) => {
    const chunks: Buffer[] = [];
    const socket = tcp(broker.port, "127.0.0.1");
    const finish = (closed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      done({ closed, text: Buffer.concat(chunks).toString("latin1") });
    };
    const timer = setTimeout(() => finish(false), waitMs);
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => finish(true));
    socket.on("connect", () => socket.write(bytes));
  });
}

const upgrade = (target = "/conat/?EIO=4&transport=websocket"): string =>
  `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;

/** A masked client frame. */
function frame(opcode: number, payload: Buffer | string, { fin = true, rsv = 0 } = {}): Buffer {
  const data = Buffer.from(payload);
  const mask = Buffer.from([1, 2, 3, 4]);
  const head = [(fin ? 0x80 : 0) | rsv | opcode];
  if (data.length < 126) head.push(0x80 | data.length);
  else if (data.length < 65536) head.push(0x80 | 126, data.length >> 8, data.length & 255);
  else head.push(0x80 | 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (data.length >>> shift) & 255));
  return Buffer.concat([Buffer.from(head), mask, data.map((byte, i) => byte ^ mask[i & 3]!)]);
}
const text = (payload: string): Buffer => frame(1, payload);

async function isHealthy(): Promise<void> {
  const subscription = await bystander.subscribe("healthy");
  assert.equal((await bystander.publish("healthy", 1)).count, 1);
  assert.equal((await subscription.next()).value?.data, 1);
  subscription.close();
  assert.ok(broker.running(), broker.log);
}

it("HTTP: garbage, unfinished, too long, unknown", { timeout: 60_000 }, async () => {
  const cases: (Buffer | string)[] = [
    "\r\n\r\n", "GARBAGE\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET\0/ HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\n" + "X: y\r\n".repeat(50_000), "GET /" + "a".repeat(200_000) + " HTTP/1.1\r\n\r\n",
    "POST /conat/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
    "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n", "GET / HTTP/1.1\r\nHost: x\r\n",
    "GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    randomBytes(4000),
  ];
  const answers = await Promise.all(cases.map((bytes) => send(bytes, 8000)));
  answers.forEach(({ closed, text: answer }, i) => {
    assert.ok(closed, `case ${i} stays open: ${answer.slice(0, 100)}`);
    assert.doesNotMatch(answer, /root:/);
  });
  await isHealthy();
});

it("handshakes: what is no Engine.IO 4 WebSocket gets its JSON error", async () => {
  const cases: [string, string][] = [
    ["/conat/?EIO=4&transport=polling", '{"code":0,"message":"Transport unknown"}'],
    ["/conat/?EIO=4&transport=foo", '{"code":0,"message":"Transport unknown"}'],
    ["/conat/", '{"code":0,"message":"Transport unknown"}'],
    ["/conat/?EIO=3&transport=websocket", '{"code":5,"message":"Unsupported protocol version"}'],
    ["/conat/?EIO=4&transport=websocket&sid=unknown", '{"code":1,"message":"Session ID unknown"}'],
  ];
  for (const [target, body] of cases) {
    const response = await fetch(broker.address + target);
    assert.equal(response.status, 400, target);
    assert.equal(await response.text(), body, target);
  }
});

it("frames: every violation closes", { timeout: 60_000 }, async () => {
  const cases: Record<string, Buffer> = {
    unmasked: Buffer.from([0x81, 2, 0x34, 0x30]),
    reserved: frame(1, "40", { rsv: 0x40 }),
    "unknown opcode": frame(3, "x"),
    "control too long": frame(9, Buffer.alloc(200)),
    "control in pieces": frame(9, "x", { fin: false }),
    "continuation of nothing": frame(0, "x"),
    "new message inside a message": Buffer.concat([frame(1, "4", { fin: false }), frame(1, "0")]),
    "not UTF-8": frame(1, Buffer.from([0x34, 0xff, 0xfe])),
    "2^63 bytes": Buffer.from([0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]),
    "too big": Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0x10, 0, 0, 0, 1, 2, 3, 4]),
    "close code": frame(8, Buffer.from([0x03, 0xe7])),
  };
  const names = Object.keys(cases);
  const answers = await Promise.all(names.map((name) => send(Buffer.concat([Buffer.from(upgrade()), cases[name]!]))));
  answers.forEach(({ closed, text: answer }, i) => {
    assert.match(answer, /^HTTP\/1\.1 101/, names[i]);
    assert.ok(closed, `${names[i]} stays open`);
  });
  await isHealthy();
});

it("packets: malformed ones close", { timeout: 60_000 }, async () => {
  const afterConnect = [
    ["9"], ["4x"], ['42["a",'], ["42"], ["42{}"], ["42[]"], ["42[1]"], ["2"], ["4"], [""], ["45["], ["451-"],
    ['451-["publish",["x","id",0,1,0,{"_placeholder":true,"num":0}]]', '42["cluster"]'],
    ['4599999999-["x",{"_placeholder":true,"num":0}]'], ['42["connect"]'], ['42["disconnect"]'], ["49[]"],
    ['42' + "[".repeat(100_000)], ['42["a",' + '{"b":'.repeat(5000)], ['42["\\ud800"'], ['4299999999999999999999999["a"]'],
  ];
  const answers = await Promise.all(
    afterConnect.map((packets) => send(Buffer.concat([Buffer.from(upgrade()), text("40"), ...packets.map(text)]))),
  );
  answers.forEach(({ closed }, i) => assert.ok(closed, `stays open: ${String(afterConnect[i]).slice(0, 60)}`));
  // Binary: an attachment that nobody announced, a placeholder out of range, broken MessagePack.
  const binary: Buffer[][] = [
    [text("40"), frame(2, "abc")],
    [text("40"), text('451-["publish",["x","id",0,1,0,{"_placeholder":true,"num":5}]]'), frame(2, "a")],
    [frame(2, Buffer.from([0xdf, 0xff, 0xff, 0xff, 0xff]))],
    [frame(2, Buffer.from([0x83]))],
    [frame(2, Buffer.alloc(20_000, 0x91))],
    [frame(2, randomBytes(100))],
  ];
  const binaryAnswers = await Promise.all(binary.map((frames) => send(Buffer.concat([Buffer.from(upgrade()), ...frames]))));
  binaryAnswers.forEach(({ closed }, i) => assert.ok(closed, `binary case ${i} stays open`));
  await isHealthy();
});

it("events: malformed ones are answered where an answer was asked for, and the connection stays", async () => {
  const events = [
    '420["publish"]', '421["publish",null]', '422["publish",5]', '423["publish",[]]', '424["publish",[5,"id",0,1,0,null]]',
    '425["subscribe"]', '426["subscribe",null]', '427["subscribe",[null]]', '428["subscribe",{"subject":5,"queue":"q"}]',
    '429["wait-for-interest"]', '4210["wait-for-interest",{"subject":{}}]', '42["stats"]', '42["cluster",5]', '42["unsubscribe"]',
    '42["nonsense",1,2,3]', '42["__proto__",{}]', '4211["subscribe",{"subject":"__proto__","queue":"constructor"}]', '4212["cluster"]',
  ];
  const { closed, text: answer } = await send(Buffer.concat([Buffer.from(upgrade()), text("40"), ...events.map(text)]), 1500);
  assert.equal(closed, false, answer.slice(-300));
  for (const id of [0, 1, 2, 3, 4, 5, 6, 8, 9, 10]) assert.match(answer, new RegExp(`43${id}\\[.{0,2}\\{"error":`), `ack ${id}`);
  assert.match(answer, /4311\[\{"status":"added"\}\]/);
  assert.match(answer, /4312\[\["http:/);
  await isHealthy();
});

it("floods of garbage leave memory bounded", { timeout: 120_000 }, async () => {
  await isHealthy();
  const before = broker.rss();
  const sockets = new Set<Socket>();
  const flood = async (): Promise<void> => {
    for (let i = 0; i < 40; i++) {
      await new Promise<void>((done) => {
        const socket = tcp(broker.port, "127.0.0.1");
        sockets.add(socket);
        socket.on("error", () => undefined);
        socket.on("close", () => {
          sockets.delete(socket);
          done();
        });
        socket.on("connect", () => {
          if (randomInt(3) > 0) socket.write(upgrade());
          if (randomInt(3) > 0) socket.write(text("40"));
          // Never ending: an attachment of 7 MB announced and not finished, or plain noise.
          if (randomInt(2) > 0) {
            socket.write(text('451-["publish",["x","id",0,1,0,{"_placeholder":true,"num":0}]]'));
            socket.write(Buffer.concat([Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0x6a, 0xcf, 0xc0, 1, 2, 3, 4]), randomBytes(200_000)]));
          } else socket.write(randomBytes(100_000));
          setTimeout(() => socket.destroy(), 20);
        });
      });
    }
  };
  await Promise.all(Array.from({ length: 20 }, flood));
  await until("all hostile connections are gone", () => sockets.size === 0);
  await isHealthy();
  const growth = broker.rss() - before;
  assert.ok(growth < 400_000, `memory grew by ${growth} KiB`);
});
