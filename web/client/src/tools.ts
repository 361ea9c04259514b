// What a client offers to people at a console: watching a subject, and measuring the way to the server.
import type { Client } from "./client.js";
import { ConatError } from "./errors.js";
import type { Message } from "./message.js";
import type { Subscription } from "./subscription.js";

function print(message: Message): void {
  console.log(new Date().toISOString(), message.subject, message.data, message.headers ?? "");
}

/** Calls `show` with everything that a subscription gets, so that nothing piles up. */
export async function show(subscription: Subscription, callback: (message: Message) => void = print): Promise<void> {
  for await (const message of subscription) {
    try {
      callback(message);
    } catch (error) {
      console.warn(`conat-client: watching '${subscription.subject}':`, error);
    }
  }
}

/** Measurements with messages of a client to itself; each resolves to messages a second. */
export class Bench {
  readonly #client: Client;

  /** @internal */
  constructor(client: Client) {
    this.#client = client;
  }

  /**
   * Sends `count` messages, all but the last without acknowledgement.
   * @throws ConatError as `client.publish`.
   */
  async publish(count = 1000, subject = "bench"): Promise<number> {
    const client = this.#client;
    await client.waitUntilSignedIn();
    const start = performance.now();
    for (let i = 1; i < atLeastOne(count); i++) client.publishSync(subject, null);
    await client.publish(subject, null);
    return rate(count, start);
  }

  /**
   * Sends `count` messages and receives them.
   * @throws ConatError as `client.subscribe`, and 408 when messages got lost with the connection.
   */
  async subscribe(count = 1000, subject = `bench.${this.#client.id}`): Promise<number> {
    const client = this.#client;
    const subscription = await client.subscribe(subject, { mesgLimit: atLeastOne(count), maxWait: 10_000 });
    const start = performance.now();
    for (let i = 0; i < count; i++) client.publishSync(subject, null);
    let received = 0;
    for await (const _ of subscription) received += 1;
    if (received < count) throw new ConatError(`${count - received} of ${count} messages did not arrive`, { code: 408 });
    return rate(count, start);
  }
}

function atLeastOne(count: number): number {
  if (!(count >= 1)) throw new ConatError("count must be at least 1");
  return count;
}

function rate(count: number, start: number): number {
  return Math.round((count * 1000) / (performance.now() - start));
}
