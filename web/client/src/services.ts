// Services: requests `[name, args]`, answered by the functions of an object.
import { ConatError } from "./errors.js";
import type { Message } from "./message.js";
import type { Subscription } from "./subscription.js";
import type { Remote, RemoteMany, RequestManyOptions, RequestOptions } from "./types.js";

/** What the callers below need of a client. */
interface Requester {
  request(subject: string, value: unknown, options: RequestOptions): Promise<Message>;
  requestMany(subject: string, value: unknown, options: RequestManyOptions): Promise<Subscription>;
}

type Method = (this: Message, ...args: unknown[]) => unknown;

// A function that the service's author wrote: not one that every object or class has anyway.
function methodOf(implementation: object, name: unknown): Method {
  const method: unknown = typeof name === "string" ? (implementation as Record<string, unknown>)[name] : undefined;
  const inherited =
    method === (Object.prototype as unknown as Record<string, unknown>)[String(name)] ||
    (name === "constructor" && !Object.hasOwn(implementation, name));
  if (typeof method !== "function" || inherited) throw new Error(`${String(name)} not defined`);
  return method as Method;
}

async function answer(message: Message, implementation: object): Promise<void> {
  try {
    const request = message.data;
    if (!Array.isArray(request)) throw new Error("malformed request");
    const [name, args] = request as [unknown, unknown];
    const method = methodOf(implementation, name);
    const result = await method.apply(message, Array.isArray(args) ? (args as unknown[]) : []);
    await message.respond(result, { noThrow: true });
  } catch (error) {
    const headers: Record<string, unknown> = { error: String(error) };
    if (error instanceof ConatError) {
      headers["error"] = `Error: ${error.message}`;
      if (error.code !== undefined) headers["code"] = error.code;
    }
    await message.respond(null, { headers, noThrow: true });
  }
}

/** Answers every request of a subscription, until it ends. */
export async function serve(subscription: Subscription, implementation: object): Promise<void> {
  for await (const message of subscription) void answer(message, implementation);
}

function resultOf(message: Message): unknown {
  const error = message.headers?.["error"];
  if (error === undefined) return message.data;
  const code = message.headers?.["code"];
  throw new ConatError(String(error), typeof code === "number" || typeof code === "string" ? { code } : {});
}

// A proxy that makes a function of every name. `then` is none, or `await` would call it.
function proxy(call: (name: string, args: unknown[]) => unknown): object {
  return new Proxy(
    {},
    {
      get: (_target, name) =>
        typeof name !== "string" || name === "then" ? undefined : (...args: unknown[]) => call(name, args),
    },
  );
}

export function callService<Api extends object>(client: Requester, subject: string, options: RequestOptions): Remote<Api> {
  return proxy(async (name, args) => resultOf(await client.request(subject, [name, args], options))) as Remote<Api>;
}

function results(replies: Subscription): AsyncIterableIterator<unknown, undefined> {
  return {
    async next() {
      const reply = await replies.next();
      if (reply.done) return { value: undefined, done: true };
      try {
        return { value: resultOf(reply.value), done: false };
      } catch (error) {
        return { value: error, done: false };
      }
    },
    return: () => replies.return(),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

export function callServices<Api extends object>(client: Requester, subject: string, options: RequestManyOptions): RemoteMany<Api> {
  // Any of the services may answer null, and errors travel as null: neither ends the answers of the others.
  const all = { ...options, nullEnds: false };
  return proxy((name, args) => new Answers(client.requestMany(subject, [name, args], all))) as RemoteMany<Api>;
}

/** Answers that can be iterated over at once, or awaited first: then a failure to ask is known. */
class Answers extends Promise<AsyncIterableIterator<unknown, undefined>> implements AsyncIterableIterator<unknown, undefined> {
  // What `then` and the like return are ordinary promises.
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  constructor(replies: Promise<Subscription>) {
    super((resolve, reject) => void replies.then((subscription) => resolve(results(subscription)), reject));
  }

  async next(): Promise<IteratorResult<unknown, undefined>> {
    return (await this).next();
  }

  async return(): Promise<IteratorResult<unknown, undefined>> {
    return (await (await this).return?.()) ?? { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
