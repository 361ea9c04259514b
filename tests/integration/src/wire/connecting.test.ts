// The way to a connection, and what ends it: HTTP, Engine.IO's packets, CONNECT, namespaces, malformed packets in both
// encodings. What the broker says here is compared to the byte.
import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, describe, it } from "node:test";
import { decode, encode } from "@msgpack/msgpack";
import { Broker } from "../broker.js";
import { RawConnection, type Frame } from "./raw.js";
import { within } from "./queue.js";
import { SocketIoClient, variants } from "./socketio.js";

let broker: Broker;
let based: Broker;
before(async () => {
  [broker, based] = await Promise.all([
    Broker.start("--shards", "2", "--id", "b1", "--no-persist"),
    Broker.start("--shards", "1", "--path", "/deep/base", "--cluster-name", "c1", "--max-payload", "1000000", "--no-persist"),
  ]);
});
after(() => Promise.all([broker.stop(), based.stop()]));

type Answer = { status: number; type: string; body: string };
function http(address: string, path: string, { method = "GET", headers = {} }: { method?: string; headers?: Record<string, string> } = {}): Promise<Answer> {
  const answer = new Promise<Answer>((done, failed) => {
    const asked = request(`${address}${path}`, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => done({ status: response.statusCode!, type: response.headers["content-type"] ?? "", body: Buffer.concat(chunks).toString() }));
    });
    asked.on("upgrade", (response, socket) => {
      socket.destroy();
      done({ status: response.statusCode!, type: "", body: "" });
    });
    asked.on("error", failed);
    asked.end();
  });
  return within(`an answer to ${path}`, answer);
}
const upgrade = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==" };

describe("HTTP", () => {
  it("refuses with Engine.IO's codes, with and without the slash, with and without an upgrade", { timeout: 180_000 }, async () => {
    const cases: [query: string, code: number, message: string][] = [
      ["", 0, "Transport unknown"],
      ["?EIO=4", 0, "Transport unknown"],
      ["?EIO=4&transport=", 0, "Transport unknown"],
      ["?EIO=4&transport=foo", 0, "Transport unknown"],
      ["?EIO=4&transport=polling", 0, "Transport unknown"],
      ["?EIO=4&transport=polling&sid=unknown", 0, "Transport unknown"],
      ["?EIO=4&transport=websocket&sid=unknown", 1, "Session ID unknown"],
      ["?EIO=4&transport=websocket&sid=", 1, "Session ID unknown"],
      ["?transport=websocket", 5, "Unsupported protocol version"],
      ["?EIO=3&transport=websocket", 5, "Unsupported protocol version"],
      ["?EIO=&transport=websocket", 5, "Unsupported protocol version"],
    ];
    for (const [query, code, message] of cases) {
      for (const slash of ["", "/"]) {
        for (const headers of [{}, upgrade]) {
          const answer = await http(broker.address, `/conat${slash}${query}`, { headers });
          assert.deepEqual(answer, { status: 400, type: "application/json", body: `{"code":${code},"message":"${message}"}` }, query);
        }
      }
    }
    assert.equal((await http(broker.address, "/conat/?EIO=4&transport=websocket")).body, '{"code":3,"message":"Bad request"}');
    assert.equal((await http(broker.address, "/conat/?EIO=4&transport=websocket", { method: "POST" })).body, '{"code":2,"message":"Bad handshake method"}');
    const wrongVersion = { ...upgrade, "Sec-WebSocket-Version": "8" };
    assert.equal((await http(broker.address, "/conat/?EIO=4&transport=websocket", { headers: wrongVersion })).body, '{"code":3,"message":"Bad request"}');
  });

  it("upgrades with the parameters in any order, below a base path only there", { timeout: 180_000 }, async () => {
    for (const path of ["/conat/?EIO=4&transport=websocket", "/conat?transport=websocket&EIO=4&t=abc", "/conat/?x=1&EIO=4&y&transport=websocket"]) {
      assert.equal((await http(broker.address, path, { headers: upgrade })).status, 101, path);
      assert.equal((await http(based.address, `/deep/base${path}`, { headers: upgrade })).status, 101, path);
      assert.equal((await http(based.address, path, { headers: upgrade })).status, 404, path);
    }
    assert.equal((await http(broker.address, "/nothere")).status, 404);
    assert.equal((await http(broker.address, "/conatx/?EIO=4&transport=websocket", { headers: upgrade })).status, 404);
  });

  it("a base path, a cluster name and another payload limit show where they should", { timeout: 180_000 }, async () => {
    for (const variant of variants) {
      const client = SocketIoClient.prepare(variant, `${based.address}/deep/base`);
      client.socket.connect();
      const info = await client.infos.next();
      assert.deepEqual({ ...info, id: "" }, { max_payload: 1_000_000, id: "", clusterName: "c1", user: null });
      assert.deepEqual(Object.keys(info), ["max_payload", "id", "clusterName", "user"]);
      assert.deepEqual(await client.ask("cluster"), [`http://localhost:${based.port}/deep/base`]);
      client.close();
    }
  });
});

const openPattern = (maxPayload: number): RegExp =>
  new RegExp(`^0\\{"sid":"[A-Za-z0-9_-]{20}","upgrades":\\[\\],"pingInterval":25000,"pingTimeout":20000,"maxPayload":${maxPayload}\\}$`);
const connectPattern = /^40\{"sid":"([A-Za-z0-9_-]{20})"\}$/;
const infoPattern = /^420\["info",\{"max_payload":8000000,"id":"b1","user":null\}\]$/;

describe("CONNECT", () => {
  it("open, CONNECT, info: to the byte", { timeout: 180_000 }, async () => {
    for (const slash of ["", "/"]) {
      using raw = await RawConnection.open(broker.address, "EIO=4&transport=websocket", slash);
      const open = await raw.text();
      assert.match(open, openPattern(8_000_000));
      raw.send("40");
      const connected = await raw.text();
      assert.match(connected, connectPattern);
      assert.notEqual(connectPattern.exec(connected)![1], (JSON.parse(open.slice(1)) as { sid: string }).sid);
      assert.match(await raw.text(), infoPattern);
      raw.send("430[]", '421["subscriptions",null]');
      assert.equal(await raw.text(), "431[[]]");
    }
    using raw = await RawConnection.open(`${based.address}/deep/base`);
    assert.match(await raw.text(), openPattern(1_000_000));
  });

  it("may carry an auth object, which means nothing here", { timeout: 180_000 }, async () => {
    for (const connect of ['40{"token":"x"}', "40{}", "40/,", '40/,{"token":{"deep":[1]}}']) {
      using raw = await RawConnection.open(broker.address);
      await raw.next();
      raw.send(connect);
      assert.match(await raw.text(), connectPattern, connect);
      assert.match(await raw.text(), infoPattern);
    }
    for (const variant of variants) {
      const client = await SocketIoClient.open(variant, broker.address, { auth: { token: "x", n: 1 } });
      assert.deepEqual(await client.ask("subscriptions", null), []);
      client.close();
    }
  });

  it("to another namespace is an error, after which the main one is still there", { timeout: 180_000 }, async () => {
    using raw = await RawConnection.open(broker.address);
    await raw.next();
    raw.send("40/admin,");
    assert.equal(await raw.text(), '44/admin,{"message":"Invalid namespace"}');
    raw.send('40/other,{"token":"x"}');
    assert.equal(await raw.text(), '44/other,{"message":"Invalid namespace"}');
    raw.send("40");
    assert.match(await raw.text(), connectPattern);
    assert.match(await raw.text(), infoPattern);

    using packed = await RawConnection.open(broker.address);
    await packed.next();
    packed.send(Buffer.from(encode({ type: 0, nsp: "/admin", data: {} })));
    assert.deepEqual(decode((await packed.next()) as Buffer), { type: 4, data: { message: "Invalid namespace" }, nsp: "/admin" });
  });

  it("MessagePack packets are told apart by the CONNECT packet, and answered in kind", { timeout: 180_000 }, async () => {
    using raw = await RawConnection.open(broker.address);
    assert.match(await raw.text(), openPattern(8_000_000));
    raw.send(Buffer.from(encode({ type: 0, nsp: "/", data: { token: "x" } })));
    const connected = decode((await raw.next()) as Buffer) as { type: number; nsp: string; data: { sid: string } };
    assert.deepEqual([connected.type, connected.nsp], [0, "/"]);
    assert.match(connected.data.sid, /^[A-Za-z0-9_-]{20}$/);
    const info = decode((await raw.next()) as Buffer);
    assert.deepEqual(info, { type: 2, data: ["info", { max_payload: 8_000_000, id: "b1", user: null }], nsp: "/", id: 0 });
    raw.send(Buffer.from(encode({ type: 3, nsp: "/", id: 0, data: [] })));
    raw.send(Buffer.from(encode({ type: 2, nsp: "/", id: 7, data: ["subscribe", { subject: "m.*", queue: "q" }] })));
    assert.deepEqual(decode((await raw.next()) as Buffer), { type: 3, data: [{ status: "added" }], nsp: "/", id: 7 });
    raw.send(Buffer.from(encode({ type: 2, nsp: "/", id: 0, data: ["publish", ["m.x", "0123456789", 0, 1, 0, Buffer.from([1])]] })));
    assert.deepEqual(decode((await raw.next()) as Buffer), {
      type: 2, nsp: "/", data: ["m.*", { subject: "m.x", data: ["0123456789", 0, 1, 0, Buffer.from([1])] }],
    });
    assert.deepEqual(decode((await raw.next()) as Buffer), { type: 3, data: [{ count: 1 }], nsp: "/", id: 0 });
  });

  it("a second CONNECT, or anything else before the first, closes the connection", { timeout: 180_000 }, async () => {
    for (const frame of ['42["stats",{}]', '420["subscriptions",null]', "41", "430[]", "2", '44{"message":"x"}', '451-["a",{"_placeholder":true,"num":0}]']) {
      using raw = await RawConnection.open(broker.address);
      await raw.next();
      raw.send(frame);
      assert.equal(await raw.closeCode(), 1005, frame);
      assert.deepEqual(raw.frames.rest(), [], frame);
    }
    using twice = await RawConnection.connected(broker.address);
    twice.send("40");
    assert.equal(await twice.closeCode(), 1005);
    assert.deepEqual(twice.frames.rest(), [], "no 41: or clients would stay away");
  });

  it("DISCONNECT ends the subscriptions, and CONNECT begins anew", { timeout: 180_000 }, async () => {
    using raw = await RawConnection.connected(broker.address);
    using other = await RawConnection.connected(broker.address);
    raw.send('420["subscribe",{"subject":"gone","queue":"q"}]');
    assert.equal(await raw.text(), '430[{"status":"added"}]');
    raw.send("41");
    other.send('421["wait-for-interest",{"subject":"gone","timeout":0}]');
    for (;;) {
      // Two connections: what the first has sent may still be on its way.
      const answer = await other.text();
      if (answer.endsWith("[false]")) break;
      other.send('421["wait-for-interest",{"subject":"gone","timeout":0}]');
    }
    raw.send("40");
    assert.match(await raw.text(), connectPattern);
    assert.match(await raw.text(), /^42\d+\["info",/);
    raw.send('425["subscriptions",null]');
    assert.equal(await raw.text(), "435[[]]");
    raw.send("1"); // Engine.IO's close
    assert.equal(await raw.closeCode(), 1005);
  });
});

describe("packets", () => {
  it("noop and pong unasked are harmless", { timeout: 180_000 }, async () => {
    using raw = await RawConnection.connected(broker.address);
    raw.send("6", "3", "3", '42["stats",{"recv0":{"messages":0,"bytes":0}}]', '421["subscriptions",null]');
    assert.equal(await raw.text(), "431[[]]");
  });

  it("binary events: attachments in any order, ack ids as they come, spaces in JSON", { timeout: 180_000 }, async () => {
    using raw = await RawConnection.connected(broker.address);
    raw.send('420["subscribe",{"subject":"bin","queue":"q"}]');
    assert.equal(await raw.text(), '430[{"status":"added"}]');
    raw.send('451-0["publish",["bin","id",0,1,0,{"_placeholder":true,"num":0}]]', Buffer.from([1]));
    assert.equal(await raw.text(), '451-["bin",{"subject":"bin","data":["id",0,1,0,{"_placeholder":true,"num":0}]}]');
    assert.deepEqual(await raw.next(), Buffer.from([1]));
    assert.equal(await raw.text(), '430[{"count":1}]');
    raw.send(
      '452-9007199254740991 ["publish", ["bin" , "id",0,1,0,{"num":1,"_placeholder":true},{"h":{"_placeholder":true,"num":0}}] ]',
      Buffer.from([1]), Buffer.from([2, 3]),
    );
    const text = await raw.text();
    assert.match(text, /^452-\["bin",\{"subject":"bin","data":\["id",0,1,0,/);
    const attachments = [(await raw.next()) as Buffer, (await raw.next()) as Buffer];
    const data = (JSON.parse(text.slice(4)) as [string, { data: [string, number, number, number, { num: number }, { h: { num: number } }] }])[1].data;
    assert.deepEqual([attachments[data[4].num], attachments[data[5].h.num]], [Buffer.from([2, 3]), Buffer.from([1])]);
    assert.equal(await raw.text(), '439007199254740991[{"count":1}]');
    raw.send('450-2["publish",["bin","id",0,1,1,"[]"]]');
    assert.equal(await raw.text(), '42["bin",{"subject":"bin","data":["id",0,1,1,"[]"]}]');
    assert.equal(await raw.text(), '432[{"count":1}]');
  });

  it("malformed ones close the connection, barely: clients come back", { timeout: 180_000 }, async () => {
    const one = Buffer.from([1]);
    const header = '451-["publish",["x","id",0,1,0,{"_placeholder":true,"num":0}]]';
    const cases: Frame[][] = [
      // Engine.IO
      ["2probe"], ["2"], ["9"], ["5"], ["x"], [""], ["0{}"], ["3x"],
      // Socket.IO
      ["4"], ["4x"], ["47"], ["48[]"], ["40"], ["44{}"], ['42["a",'], ['42["a"]x'], ["42"], ["42[]"], ["42[5]"], ["42{}"], ["42null"],
      ['42["connect",1]'], ['42["disconnect"]'], ['42["newListener",1]'], ['42/admin,["a"]'], ["43[]"], ["430"], ['42["a",nul]'],
      ['42["a",{"b":1,}]'], ['42["a","\u0001"]'], ['4299999999999999999999["a"]'],
      // attachments
      [one], [header, '42["stats",{}]'], [header, one, one], ['451-["a",1]', one], ['451-["a",{"_placeholder":true,"num":5}]', one],
      ['451-["a",{"_placeholder":true,"num":-1}]', one], ['451-["a",{"_placeholder":true,"num":"0"}]', one],
      ['451["a",{"_placeholder":true,"num":0}]'], ['45-["a",{"_placeholder":true,"num":0}]'], ['4511-["a"]'], ["45x-[]"], [header, "2"],
      ['452-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]', one, one],
    ];
    await Promise.all(
      cases.map(async (frames) => {
        using raw = await RawConnection.connected(broker.address);
        raw.send(...frames);
        assert.equal(await raw.closeCode(), 1005, JSON.stringify(frames));
        assert.deepEqual(raw.frames.rest(), [], JSON.stringify(frames));
      }),
    );
  });

  it("malformed MessagePack ones, too", { timeout: 180_000 }, async () => {
    const bytes = (value: unknown): Buffer => Buffer.from(encode(value));
    const cases: Frame[][] = [
      ["40"], ['42["a"]'], [Buffer.from([])], [Buffer.from([0xc1])], [bytes([2, "/"])], [bytes({ type: 2, nsp: "/" })],
      [bytes({ type: 2, nsp: "/", data: [] })], [bytes({ type: 2, nsp: "/", data: [5] })], [bytes({ type: 2, nsp: "/", data: {} })],
      [bytes({ type: 5, nsp: "/", data: ["a"] })], [bytes({ type: 6, nsp: "/", data: [], id: 1 })], [bytes({ type: 9, nsp: "/", data: ["a"] })],
      [bytes({ type: "2", nsp: "/", data: ["a"] })], [bytes({ nsp: "/", data: ["a"] })], [bytes({ type: 2, data: ["a"] })],
      [bytes({ type: 2, nsp: "/x", data: ["a"] })], [bytes({ type: 2, nsp: "/", data: ["connect"] })], [bytes({ type: 2, nsp: "/", data: ["a"], id: -1 })],
      [bytes({ type: 3, nsp: "/", data: [] })], [bytes({ type: 0, nsp: "/", data: {} })], [Buffer.concat([bytes({ type: 2, nsp: "/", data: ["a"] }), Buffer.from([0])])],
      [bytes({ type: 2, nsp: "/", data: ["a", 1] }).subarray(0, -1)],
    ];
    await Promise.all(
      cases.map(async (frames) => {
        using raw = await RawConnection.open(broker.address);
        await raw.next();
        raw.send(bytes({ type: 0, nsp: "/", data: {} }));
        await raw.next();
        await raw.next();
        raw.send(...frames);
        assert.equal(await raw.closeCode(), 1005, JSON.stringify(frames));
        assert.deepEqual(raw.frames.rest(), [], JSON.stringify(frames));
      }),
    );
  });

  it("WebSocket messages beyond max_payload are closed with 1009; up to it they pass", { timeout: 180_000 }, async () => {
    for (const variant of variants) {
      const client = await SocketIoClient.open(variant, broker.address);
      const packed = variant.parser !== undefined;
      const most = Buffer.alloc(packed ? 8_000_000 - 200 : 8_000_000, 1);
      assert.deepEqual(await client.ask("publish", ["x", "id", 0, 1, 0, most]), { count: 0 });
      const gone = client.once<[reason: string]>("disconnect");
      const back = client.once("connect");
      client.emit("publish", ["x", "id", 0, 1, 0, Buffer.alloc(8_000_001)]);
      assert.equal((await gone)[0], "transport close");
      await back;
      client.close();
    }
    using raw = await RawConnection.connected(broker.address);
    raw.send('451-["publish",["x","id",0,1,0,{"_placeholder":true,"num":0}]]', Buffer.alloc(8_000_001));
    assert.deepEqual(await within("the close", raw.closed), { code: 1009, reason: "" });
  });
});
