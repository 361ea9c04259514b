// conatd behind TLS: real clients, certificates replaced while it runs, and whoever speaks no TLS.
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:https";
import { connect as tcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { connect as tls, type TLSSocket } from "node:tls";
import { io } from "socket.io-client";
import { WebSocket } from "ws";
import { binary, Broker, repository, until } from "./broker.js";

const directory = mkdtempSync(join(tmpdir(), "conat-tls-"));
const certificate = join(directory, "certificate.pem");
const key = join(directory, "key.pem");
/** The certificates that the broker has in turn; each one signs itself. */
const names = ["first", "second"] as const;
const fileOf = (name: string, kind: "crt" | "key"): string => join(directory, `${name}.${kind}`);

let broker: Broker;
before(async () => {
  for (const name of names) {
    execFileSync("openssl", [
      "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", `/CN=${name}`,
      "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", fileOf(name, "key"), "-out", fileOf(name, "crt"),
    ], { stdio: "ignore" });
  }
  use("first");
  broker = await Broker.start("--tls-certificate", certificate, "--tls-key", key, "--shards", "2", "--handshake-timeout", "3000");
});
after(async () => {
  assert.equal(await broker.end("SIGTERM"), 0, broker.log);
  await broker.stop();
  rmSync(directory, { recursive: true, force: true });
});

function use(name: (typeof names)[number]): void {
  copyFileSync(fileOf(name, "crt"), certificate);
  copyFileSync(fileOf(name, "key"), key);
}
const authority = (name: string): Buffer => readFileSync(fileOf(name, "crt"));

/** The common name of the certificate that a new connection gets. */
async function servedName(): Promise<string> {
  const socket = tls({ port: broker.port, host: "127.0.0.1", servername: "localhost", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const name = String(socket.getPeerCertificate().subject.CN);
  socket.destroy();
  return name;
}

async function fetchText(path: string, ca: Buffer): Promise<{ status: number; text: string }> {
  const [response] = (await once(get(`${broker.address}${path}`, { ca }), "response")) as [import("node:http").IncomingMessage];
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  return { status: response.statusCode ?? 0, text };
}

/** Runs conat-client in a process that trusts the certificate, as a program of a user would. */
async function runClient(code: string, ca: string): Promise<string> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    cwd: join(repository, "tests/integration"),
    env: { ...process.env, NODE_EXTRA_CA_CERTS: ca, ADDRESS: broker.address },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  await once(child, "close");
  return output.trim();
}

it("says https, and serves the page to whoever trusts the certificate", async () => {
  assert.match(broker.address, /^https:/);
  assert.deepEqual(await fetchText("/healthz", authority("first")), { status: 200, text: "ok" });
  await assert.rejects(fetchText("/healthz", authority("second")), /self-signed|certificate/i);
});

it("socket.io-client connects, and `cluster` names https addresses", { timeout: 60_000 }, async () => {
  const socket = io(broker.address, {
    path: "/conat", transports: ["websocket"], ca: authority("first").toString(), reconnection: false, forceNew: true,
  });
  try {
    await new Promise<void>((done) => socket.once("connect", done));
    assert.deepEqual(await socket.emitWithAck("cluster"), [`https://localhost:${broker.port}`]);
  } finally {
    socket.close();
  }
});

it("conat-client passes small and large messages", { timeout: 120_000 }, async () => {
  const code = `
    import { connect } from "conat-client";
    import { createHash } from "node:crypto";
    const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");
    const client = connect({ address: process.env.ADDRESS, noCache: true });
    const subscription = await client.subscribe("tls.*");
    const large = new Uint8Array(20_000_000).map((_, i) => i * 7 + (i >> 8));
    await client.publish("tls.small", { text: "hello" });
    await client.publish("tls.large", large);
    const small = (await subscription.next()).value;
    const received = (await subscription.next()).value.data;
    console.log(small.data.text, received.length, digest(received) === digest(large));
    client.close();
  `;
  assert.equal(await runClient(code, fileOf("first", "crt")), "hello 20000000 true");
});

it("openssl s_client: 1.3 and 1.2 with ALPN, nothing older, sessions are resumed", { timeout: 60_000 }, () => {
  const session = join(directory, "session");
  const client = (...options: string[]): string => {
    const request = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const done = spawnSync(
      "openssl",
      ["s_client", "-connect", `127.0.0.1:${broker.port}`, "-CAfile", certificate, "-ign_eof", ...options],
      { input: request, encoding: "utf8", timeout: 30_000 },
    );
    return done.stdout + done.stderr;
  };
  const modern = client("-tls1_3", "-alpn", "h2,http/1.1", "-verify_return_error", "-sess_out", session);
  assert.match(modern, /ALPN protocol: http\/1\.1/);
  assert.match(modern, /Verify return code: 0 \(ok\)/);
  assert.match(modern, /HTTP\/1\.1 200 OK/);
  assert.match(client("-tls1_3", "-sess_in", session), /Reused, TLSv1\.3/);
  assert.match(client("-tls1_2"), /HTTP\/1\.1 200 OK/);
  const old = client("-tls1_1", "-cipher", "ALL:@SECLEVEL=0");
  assert.doesNotMatch(old, /HTTP\/1\.1 200/);
  assert.match(old, /alert|error/i);
  assert.doesNotMatch(client("-tls1_3", "-alpn", "h2"), /HTTP\/1\.1 200/);
});

it("the end of a connection is announced in TLS", { timeout: 30_000 }, async () => {
  const socket = tls({ port: broker.port, host: "127.0.0.1", ca: authority("first"), servername: "localhost" });
  await once(socket, "secureConnect");
  socket.write("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await once(socket, "end"); // Node reports a missing close_notify as an error, not as an end
  assert.match(text, /ok$/);
});

it("SIGHUP: new connections get the new certificate, old ones stay, bad files change nothing", { timeout: 60_000 }, async () => {
  const old = new WebSocket(`${broker.address.replace("http", "ws")}/conat/?EIO=4&transport=websocket`, { ca: authority("first") });
  let closed = false;
  old.on("close", () => (closed = true));
  await once(old, "message"); // the opening
  const hangUp = async (expected: RegExp): Promise<void> => {
    broker.log = "";
    process.kill(broker.pid, "SIGHUP");
    await until(`the log says ${expected}`, () => expected.test(broker.log));
  };
  assert.equal(await servedName(), "first");

  use("second");
  await hangUp(/TLS certificate read again, valid until 20\d\d-/);
  assert.equal(await servedName(), "second");

  copyFileSync(fileOf("first", "key"), key);
  await hangUp(/error.*cannot use the TLS key .*it does not belong to the certificate .*the old certificate stays in use/);
  assert.equal(await servedName(), "second");
  writeFileSync(certificate, "no certificate\n");
  await hangUp(/error.*cannot use the TLS certificate .*the old certificate stays in use/);
  rmSync(certificate);
  await hangUp(/error.*cannot use the TLS certificate .*No such file or directory/);
  assert.equal(await servedName(), "second");

  // The old connection has not noticed: it signs in and is answered.
  old.send("40");
  const [answer] = (await once(old, "message")) as [Buffer];
  assert.match(answer.toString(), /^40\{"sid"/);
  assert.equal(closed, false);
  old.terminate();
  use("first");
  await hangUp(/TLS certificate read again/);
  assert.equal(await servedName(), "first");
});

/** What came back until the server closed. */
function exchange(bytes: Buffer | string): Promise<string> {
  return new Promise((done, failed) => {
    const chunks: Buffer[] = [];
    const socket = tcp(broker.port, "127.0.0.1");
    const timer = setTimeout(() => failed(new Error("stays open")), 20_000);
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearTimeout(timer);
      done(Buffer.concat(chunks).toString("latin1"));
    });
    socket.on("connect", () => socket.write(bytes));
  });
}

it("whoever speaks no TLS is answered 400 or closed, others are not disturbed", { timeout: 60_000 }, async () => {
  assert.match(await exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), /^HTTP\/1\.1 400 Bad Request\r\n[^]*HTTPS/);
  const garbage = [
    Buffer.alloc(1000, 0xff), "garbage\r\n\r\n", Buffer.from("160301020001", "hex"), Buffer.concat([Buffer.from("16030102000100", "hex"), Buffer.alloc(600)]),
    Buffer.from("1503010002022f", "hex"), Buffer.from("17030300ff", "hex"),
  ];
  const answers = await Promise.all(garbage.map(exchange));
  for (const answer of answers) assert.doesNotMatch(answer, /^HTTP/);
  assert.equal((await fetchText("/healthz", authority("first"))).status, 200);
});

it("a TLS handshake that does not come to an end is closed after the limit", { timeout: 60_000 }, async () => {
  // Captured from a real client: only the beginning of it is ever sent.
  const begin = Date.now();
  const silent = exchange("");
  const beginning = exchange(Buffer.from("16030102000100", "hex"));
  await Promise.all([silent, beginning]);
  const taken = Date.now() - begin;
  assert.ok(taken >= 2900, `closed after ${taken} ms`);
});

it("500 idle connections over TLS take at most 32 KiB each", { timeout: 120_000 }, async () => {
  // A broker of its own: what others have given back would hide what these take.
  await using fresh = await Broker.start("--tls-certificate", certificate, "--tls-key", key, "--shards", "2", "--no-persist");
  const open = async (): Promise<TLSSocket> => {
    const socket = tls({ port: fresh.port, host: "127.0.0.1", ca: authority("first"), servername: "localhost" });
    await once(socket, "secureConnect");
    socket.write(
      "GET /conat/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    await once(socket, "data");
    return socket;
  };
  const sockets: TLSSocket[] = [];
  // What the process needs once is needed now.
  for (let i = 0; i < 50; i++) sockets.push(await open());
  const before = fresh.rss();
  for (let i = 0; i < 25; i++) sockets.push(...(await Promise.all(Array.from({ length: 20 }, open))));
  const each = (fresh.rss() - before) / 500;
  console.log(`${each.toFixed(1)} KiB for each idle TLS connection`);
  for (const socket of sockets) socket.destroy();
  assert.ok(each < 32, `${each} KiB for each connection`);
});

it("SIGHUP without TLS changes nothing", { timeout: 60_000 }, async () => {
  await using plain = await Broker.start("--no-persist");
  process.kill(plain.pid, "SIGHUP");
  await until("it is logged", () => /SIGHUP: there is nothing to be read again/.test(plain.log));
  assert.equal((await fetch(`${plain.address}/healthz`)).status, 200);
});

it("files that cannot be used keep it from starting, with one line and code 2", { timeout: 60_000 }, () => {
  const start = (...options: string[]): { status: number | null; stderr: string } =>
    spawnSync(binary, ["--port", "0", "--no-persist", ...options], { encoding: "utf8", timeout: 30_000 });
  const cases: [string[], RegExp][] = [
    [["--tls-certificate", fileOf("first", "crt"), "--tls-key", fileOf("second", "key")], /key .*it does not belong to the certificate/],
    [["--tls-certificate", "/nowhere.pem", "--tls-key", key], /certificate \/nowhere\.pem: No such file or directory/],
    [["--tls-certificate", fileOf("first", "key"), "--tls-key", key], /certificate .*: no certificate in PEM form \(no start line\)/],
    [["--tls-certificate", fileOf("first", "crt"), "--tls-key", fileOf("first", "crt")], /key .*: no private key in PEM form, or one with a passphrase \(/],
    [["--tls-certificate", certificate], /--tls-certificate and --tls-key belong together/],
  ];
  for (const [options, expected] of cases) {
    const { status, stderr } = start(...options);
    assert.equal(status, 2, stderr);
    assert.match(stderr, expected);
    assert.equal(stderr.trim().split("\n").length, 1, stderr);
  }
});
