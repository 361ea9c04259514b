// What has arrived and what is waited for: an unbounded queue with a time limit on waiting.

export const patience = 30_000; // ms; generous, for busy machines

/** Rejects with `what` when the promise takes longer than `limit` ms. */
export async function within<T>(what: string, promise: Promise<T>, limit = patience): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, failed) => {
    timer = setTimeout(() => failed(new Error(`after ${limit} ms: ${what}`)), limit);
  });
  try {
    return await Promise.race([promise, expired]);
  } finally {
    clearTimeout(timer);
  }
}

export class Queue<T> {
  readonly #arrived: T[] = [];
  readonly #waiting: ((value: T) => void)[] = [];
  readonly #name: string;
  /** How many came so far, taken or not. */
  total = 0;

  constructor(name: string) {
    this.#name = name;
  }

  push(value: T): void {
    this.total++;
    const waiting = this.#waiting.shift();
    if (waiting) waiting(value);
    else this.#arrived.push(value);
  }

  next(limit = patience): Promise<T> {
    if (this.#arrived.length > 0) return Promise.resolve(this.#arrived.shift()!);
    return within(`nothing came from ${this.#name}`, new Promise<T>((done) => this.#waiting.push(done)), limit);
  }

  async take(count: number): Promise<T[]> {
    const taken: T[] = [];
    while (taken.length < count) taken.push(await this.next());
    return taken;
  }

  /** What is there and was not taken; takes it. */
  rest(): T[] {
    return this.#arrived.splice(0);
  }
}
