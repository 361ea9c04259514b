// permessage-deflate, against the `ws` of Node in both directions, and against streams that are meant
// to hurt.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, it } from "node:test";
import { constants, deflateRawSync } from "node:zlib";
import { io } from "socket.io-client";
import { connect } from "conat-client";
import { WebSocket, type ClientOptions } from "ws";
import { Broker, until } from "./broker.js";
import { frame, metric, RawSocket, upgrade } from "./frames.js";

let broker: Broker;
before(async () => {
  broker = await Broker.start("--compression", "--shards", "2", "--no-persist");
});
after(async () => {
  assert.equal(await broker.end("SIGTERM"), 0, broker.log);
  await broker.stop();
});

/** Socket.IO's text encoding by hand over `ws`, so that every option of its compression can be had. */
class Client {
  readonly texts: string[] = [];
  private constructor(readonly socket: WebSocket) {
    socket.on("message", (data: Buffer, binary: boolean) => this.texts.push(binary ? `binary:${data.toString("latin1")}` : data.toString()));
  }
  static async open(options: ClientOptions, address = broker.address): Promise<Client> {
    const client = new Client(new WebSocket(`${address.replace("http", "ws")}/conat/?EIO=4&transport=websocket`, options));
    await once(client.socket, "open");
    client.socket.send("40");
    await client.untilText("42"); // info
    client.socket.send("430[]");
    return client;
  }
  async untilText(prefix: string): Promise<string> {
    let found: string | undefined;
    await until(`a message that begins with ${prefix}`, () => (found = this.texts.find((one) => one.startsWith(prefix))) !== undefined);
    return found!;
  }
  async ask(id: number, event: string, argument: unknown): Promise<string> {
    this.socket.send(`42${id}${JSON.stringify([event, argument])}`);
    return this.untilText(`43${id}[`);
  }
}

const document = JSON.stringify(Array.from({ length: 3000 }, (_, i) => ({ id: i, name: `cell ${i}`, output: [] })));
const publishOf = (subject: string, payload: unknown): unknown[] => [subject, "0123456789", 0, 1, 1, payload];

const variants: Record<string, ClientOptions["perMessageDeflate"]> = {
  "as it comes": true,
  "everything compressed": { threshold: 0 },
  "without contexts": { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0 },
  "small windows": { serverMaxWindowBits: 9, clientMaxWindowBits: 9, threshold: 0 },
  "best compression": { zlibDeflateOptions: { level: 9, memLevel: 9 }, threshold: 0 },
};
for (const [name, perMessageDeflate] of Object.entries(variants)) {
  it(`ws, ${name}: both directions`, { timeout: 60_000 }, async () => {
    const client = await Client.open({ perMessageDeflate });
    assert.match(client.socket.extensions, /^permessage-deflate/);
    const subject = `c.${name.replaceAll(" ", "-")}`;
    await client.ask(5, "subscribe", { subject, queue: "q" });
    const [readBefore, writtenBefore] = [await metric(broker.address, "conat_network_read_bytes_total"), await metric(broker.address, "conat_network_written_bytes_total")];
    for (let i = 0; i < 3; i++) client.socket.send(`42${JSON.stringify(["publish", publishOf(subject, document + i)])}`);
    client.socket.send(`426${JSON.stringify(["publish", publishOf(subject, "short")])}`);
    await client.untilText("436[");
    await until("all have come", () => client.texts.filter((one) => one.startsWith(`42["${subject}"`)).length === 4);
    const payloads = client.texts.filter((one) => one.startsWith(`42["${subject}"`)).map((one) => JSON.parse(one.slice(2))[1].data[4] as string);
    assert.deepEqual(payloads, [document + 0, document + 1, document + 2, "short"]);
    // On the wire there was much less, either way.
    const most = (3 * document.length) / 2;
    assert.ok((await metric(broker.address, "conat_network_read_bytes_total")) - readBefore < most, "what it sent was compressed");
    assert.ok((await metric(broker.address, "conat_network_written_bytes_total")) - writtenBefore < most, "what it got was compressed");
    client.socket.terminate();
  });
}

it("ws: an offer that zlib cannot keep is declined, and the connection goes without", async () => {
  const client = await Client.open({ perMessageDeflate: { serverMaxWindowBits: 8 } });
  assert.equal(client.socket.extensions, "");
  assert.match(await client.ask(7, "publish", publishOf("x", document)), /"count":0/);
  client.socket.terminate();
});

it("socket.io-client and conat-client, with and without compression, understand each other", { timeout: 60_000 }, async () => {
  const compressed = io(broker.address, { path: "/conat", transports: ["websocket"], perMessageDeflate: { threshold: 0 }, reconnection: false, forceNew: true });
  const plain = connect({ address: broker.address, noCache: true });
  try {
    await new Promise<void>((done) => compressed.once("connect", done));
    await compressed.emitWithAck("subscribe", { subject: "mix.*", queue: "q" });
    const subscription = await plain.subscribe("mix.*");
    const received = new Promise<Buffer>((done) => {
      compressed.once("mix.*", (message: { data: [string, number, number, number, Buffer] }) => done(message.data[4]));
    });
    await plain.publish("mix.a", document);
    assert.ok((await received).length > document.length);
    assert.equal((await subscription.next()).value?.data, document);
    await compressed.emitWithAck("publish", ["mix.b", "0123456789", 0, 1, 1, Buffer.from(JSON.stringify(document))]);
    assert.equal((await subscription.next()).value?.data, document);
  } finally {
    compressed.close();
    plain.close();
  }
});

it("one message to 40 readers, half of them compressed", { timeout: 60_000 }, async () => {
  const readers = await Promise.all(Array.from({ length: 40 }, (_, i) => Client.open({ perMessageDeflate: i % 2 === 0 })));
  await Promise.all(readers.map((reader, i) => reader.ask(5, "subscribe", { subject: "fan", queue: `q${i}` })));
  const writtenBefore = await metric(broker.address, "conat_network_written_bytes_total");
  assert.match(await readers[0]!.ask(6, "publish", publishOf("fan", document)), /"count":40/);
  for (const reader of readers) assert.equal(JSON.parse((await reader.untilText('42["fan"')).slice(2))[1].data[4], document);
  const written = (await metric(broker.address, "conat_network_written_bytes_total")) - writtenBefore;
  assert.ok(written < 28 * document.length, `${written} bytes`);
  for (const reader of readers) reader.socket.terminate();
});

it("without --compression it is not agreed on", { timeout: 60_000 }, async () => {
  await using plain = await Broker.start("--no-persist");
  const client = await Client.open({ perMessageDeflate: true }, plain.address);
  assert.equal(client.socket.extensions, "");
  client.socket.terminate();
  const raw = new RawSocket(plain.port, upgrade("Sec-WebSocket-Extensions: permessage-deflate\r\n"));
  await raw.untilText('0{"sid"');
  assert.doesNotMatch(raw.text(), /extensions/i);
  raw.send(frame(1, deflateRawSync("40"), { rsv: 0x40 }));
  await raw.untilClosed();
  assert.equal(raw.closeCode(), 1002);
});

const offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
const deflated = (data: Buffer | string): Buffer =>
  deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);

it("a bomb is closed with 1009, before the sign-in and after, and memory stays", { timeout: 120_000 }, async () => {
  const bomb = deflated(Buffer.alloc(60_000_000));
  assert.ok(bomb.length < 64 * 1024);
  const before = broker.rss();
  const attack = async (signedIn: boolean): Promise<void> => {
    const raw = new RawSocket(broker.port, upgrade(offer));
    if (signedIn) await raw.signIn();
    else await raw.untilText('0{"sid"');
    assert.match(raw.text(), /Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n/);
    raw.send(frame(signedIn ? 2 : 1, bomb, { rsv: 0x40 }));
    await raw.untilClosed();
    assert.equal(raw.closeCode(), 1009);
  };
  for (let i = 0; i < 10; i++) await Promise.all([attack(true), attack(false), attack(true)]);
  const growth = broker.rss() - before;
  assert.ok(growth < 80_000, `memory grew by ${growth} KiB`);
});

it("compressed or not, 64 KiB are the bound before the sign-in", { timeout: 60_000 }, async () => {
  const connectOf = (size: number): string => `40{"token":"${"t".repeat(size - 14)}"}`;
  const good = new RawSocket(broker.port, upgrade(offer));
  await good.untilText('0{"sid"');
  good.send(frame(1, deflated(connectOf(65_536)), { rsv: 0x40 }));
  await good.untilText('["info",');
  // Now that it is signed in more is welcome.
  good.send(frame(1, deflated(`429["publish",${JSON.stringify(publishOf("x", "y".repeat(1_000_000)))}]`), { rsv: 0x40 }));
  await good.untilText("439[");
  good.socket.destroy();
  const bad = new RawSocket(broker.port, upgrade(offer));
  await bad.untilText('0{"sid"');
  bad.send(frame(1, deflated(connectOf(65_537)), { rsv: 0x40 }));
  await bad.untilClosed();
  assert.equal(bad.closeCode(), 1009);
});

it("streams that break the rules are closed with their code", { timeout: 60_000 }, async () => {
  const cases: [string, Buffer, number][] = [
    ["no deflate stream", frame(1, Buffer.alloc(50, 0xff), { rsv: 0x40 }), 1007],
    ["no UTF-8 inside", frame(1, deflated(Buffer.from([0x34, 0xff, 0xfe])), { rsv: 0x40 }), 1007],
    ["a compressed ping", frame(9, deflated("x"), { rsv: 0x40 }), 1002],
    ["a compressed continuation", Buffer.concat([frame(1, deflated("40").subarray(0, 2), { rsv: 0x40, fin: false }), frame(0, "x", { rsv: 0x40 })]), 1002],
    ["another reserved bit", frame(1, "40", { rsv: 0x20 }), 1002],
  ];
  for (const [name, bytes, code] of cases) {
    const raw = new RawSocket(broker.port, upgrade(offer));
    await raw.untilText('0{"sid"');
    raw.send(bytes);
    await raw.untilClosed();
    assert.equal(raw.closeCode(), code, name);
  }
});

it("fragments, with control frames in between, in pieces of one byte", { timeout: 60_000 }, async () => {
  const raw = new RawSocket(broker.port, upgrade(offer));
  await raw.signIn();
  const whole = deflated(`428["publish",${JSON.stringify(publishOf("pieces", "p".repeat(5000)))}]`);
  const bytes = Buffer.concat([
    frame(1, whole.subarray(0, 10), { rsv: 0x40, fin: false }), frame(9, "in between"), frame(0, whole.subarray(10, 20), { fin: false }),
    frame(0, whole.subarray(20)),
  ]);
  for (const byte of bytes) {
    if (!raw.socket.write(Buffer.from([byte]))) await once(raw.socket, "drain");
  }
  await raw.untilText("438[");
  assert.ok(raw.text().includes("\x8a\x0ain between"), "the ping is answered");
  raw.socket.destroy();
});

it("idle compressed connections hold no zlib state", { timeout: 120_000 }, async () => {
  // A broker of its own: what others have given back would hide what these take.
  await using fresh = await Broker.start("--compression", "--shards", "2", "--no-persist");
  const open = async (): Promise<RawSocket> => {
    const raw = new RawSocket(fresh.port, upgrade(offer));
    await raw.untilText('0{"sid"');
    // Each has been used in both directions.
    raw.send(frame(1, deflated("40"), { rsv: 0x40 }));
    await raw.untilText('["info",');
    return raw;
  };
  const sockets = await Promise.all(Array.from({ length: 50 }, open));
  const before = fresh.rss();
  for (let i = 0; i < 25; i++) sockets.push(...(await Promise.all(Array.from({ length: 20 }, open))));
  const each = (fresh.rss() - before) / 500;
  console.log(`${each.toFixed(1)} KiB for each idle compressed connection`);
  for (const raw of sockets) raw.socket.destroy();
  assert.ok(each < 16, `${each} KiB for each connection`);
});
