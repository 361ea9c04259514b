// How fast the client is, against a real broker: publish without and with acknowledgement, receive, request.
//
//   usage: CONATD=path/to/conatd node bench/messages.mjs [seconds a case, default 2]
import { connect } from "conat-client";
import { report, startBroker } from "./broker.mjs";

const seconds = Number(process.argv[2] ?? 2);
const broker = await startBroker();
const { address } = broker;
const pause = () => new Promise((resolve) => setImmediate(resolve));
const client = connect({ address, noCache: true });
const other = connect({ address, noCache: true });
await Promise.all([client.waitUntilReady(), other.waitUntilReady()]);
const value = { user: "somebody", x: 0.25, y: 0.75, text: "a small message of about a hundred bytes, as people send them" };

{
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < seconds * 1000) {
    for (let i = 0; i < 2000; i++) client.publishSync("bench.nobody", value);
    count += 2000;
    await pause();
  }
  await client.publish("bench.nobody", value);
  report("publishSync of a small object, nobody listens", count, start);
}
{
  const subscription = await other.subscribe("bench.data");
  const start = performance.now();
  let [sent, received] = [0, 0];
  const reading = (async () => {
    for await (const message of subscription) {
      if (message.data.x === 0.25) received += 1;
      else break;
    }
  })();
  while (performance.now() - start < seconds * 1000) {
    if (sent - received < 20_000) {
      for (let i = 0; i < 1000; i++) client.publishSync("bench.data", value);
      sent += 1000;
    }
    await pause();
  }
  await client.publish("bench.data", { x: 1 });
  await reading;
  report("the same to another client here, received and decoded", received, start);
  if (received !== sent) throw new Error(`${sent} sent, ${received} received`);
}
{
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < seconds * 1000) {
    await Promise.all(Array.from({ length: 256 }, () => client.publish("bench.nobody", value)));
    count += 256;
  }
  report("publish with acknowledgement, 256 in flight", count, start);
}
{
  const service = await other.subscribe("bench.double");
  void (async () => {
    for await (const request of service) request.respondSync(request.data * 2);
  })();
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < seconds * 1000) {
    await Promise.all(Array.from({ length: 64 }, (_, i) => client.request("bench.double", i)));
    count += 64;
  }
  report("request and answer, 64 in flight", count, start);
}
{
  const store = await client.dkv({ name: "bench" });
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < seconds * 1000) {
    for (let i = 0; i < 1000; i++) store.set(`key-${i}`, { n: count + i });
    await store.save();
    count += 1000;
  }
  report("dkv set, saved in thousands", count, start);
  const reads = performance.now();
  for (let i = 0; i < 200_000; i++) store.get(`key-${i % 1000}`);
  report("dkv get", 200_000, reads);
}
client.close();
other.close();
await broker.stop();
