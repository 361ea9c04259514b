// Ephemeral broadcast, against the real broker.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { PubSub, type Client } from "conat-client";
import { type Broker, nextEvent, until, startWithClients, stopWithClients } from "./broker.js";

let broker: Broker;
let a: Client;
let b: Client;
before(async () => {
  [broker, a, b] = await startWithClients();
});
after(() => stopWithClients(broker, a, b));

const project_id = "6b851643-360e-435e-b87e-f9a6ab64a8b1";

async function open<T>(client: Client, name: string, path?: string): Promise<[PubSub<T>, T[]]> {
  const pubsub = new PubSub<T>({ project_id, name, path, client });
  const heard: T[] = [];
  pubsub.on("change", (value) => heard.push(value));
  await nextEvent(pubsub, "connected");
  return [pubsub, heard];
}

describe("PubSub", () => {
  it("tells everybody who listens, on the subject of the project, name and path", async () => {
    const path = "a/é.txt";
    const [x, heardByX] = await open<object>(a, "cursors", path);
    const [, heardByY] = await open<object>(b, "cursors", path);
    const [, heardOther] = await open<object>(b, "cursors");
    assert.equal(x.subject, `project.${project_id}.-.pubsub-cursors.${Buffer.from(path).toString("base64")}`);
    const raw = await b.subscribe(`project.${project_id}.-.pubsub-cursors.*`);
    x.set({ x: 1, y: [2, null] });
    x.set({ x: 2 });
    await until("the other heard it", () => heardByY.length === 2);
    assert.deepEqual(heardByY, [{ x: 1, y: [2, null] }, { x: 2 }]);
    await until("the sender heard it", () => heardByX.length === 2);
    assert.equal((await raw.next()).value?.subject, x.subject);
    raw.close();
    assert.deepEqual(heardOther, [], "another path is another broadcast");
  });

  it("uses '-' without a path, and two of one client listen both", async () => {
    const [x, heardByX] = await open<number>(a, "whole");
    const [y, heardByY] = await open<number>(a, "whole");
    assert.equal(x.subject, `project.${project_id}.-.pubsub-whole.-`);
    const { set } = x;
    set(1);
    await until("both heard it", () => heardByX.length === 1 && heardByY.length === 1);
    y.close();
    set(2);
    await until("the open one heard it", () => heardByX.length === 2);
    assert.deepEqual(heardByY, [1]);
  });

  it("goes on after a restart of the server", async () => {
    const [x] = await open<number>(a, "restart");
    const [, heard] = await open<number>(b, "restart");
    await broker.kill();
    x.set(1); // nobody gets it
    await broker.start();
    await Promise.all([a.waitUntilReady(), b.waitUntilReady()]);
    await b.waitForInterest(x.subject, { timeout: 20_000 });
    let next = 2;
    // What is set until the other's subscription is there again is lost, on purpose.
    await until("it is heard again", () => (x.set(next++), heard.length > 0));
    assert.ok(!heard.includes(1));
  });

  it("throws closed afterwards, refuses bad names, and gives its subscription back", async () => {
    const [x] = await open(a, "closing");
    const ended = nextEvent(x, "closed");
    x.close();
    await ended;
    x.close();
    assert.throws(() => x.set(1), /closed/);
    await until("nobody listens", async () => !(await b.interest(x.subject)));
    for (const name of ["", "a.b", "a b", "*", ">"]) {
      assert.throws(() => new PubSub({ project_id, name, client: a }), /name must be/);
    }
    assert.throws(() => new PubSub({ project_id: "*", name: "x", client: a }), /project_id must be/);
    const early = new PubSub({ project_id, name: "early", client: a });
    early.close();
    await until("nobody listens", async () => !(await b.interest(early.subject)));
  });
});
