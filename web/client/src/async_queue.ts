// Async iterators over what arrives by itself.
import { ConatError } from "./errors.js";

/** What came and was not read yet, in order. Iterating takes it out. */
export class AsyncQueue<T> implements AsyncIterableIterator<T> {
  readonly #items: { value: T; weight: number }[] = [];
  readonly #readers: { resolve: (result: IteratorResult<T>) => void; reject: (error: unknown) => void }[] = [];
  readonly #maxWeight: number;
  readonly #onReturn: () => void;
  #weight = 0;
  #ended = false;
  #error: ConatError | undefined;

  /** `onReturn` is called once, when whoever reads has enough. `maxWeight`: what may wait for a reader. */
  constructor(onReturn: () => void = () => undefined, maxWeight = Infinity) {
    this.#onReturn = onReturn;
    this.#maxWeight = maxWeight;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Gives `value` to the reader. A queue that is read too slowly ends with the error `ENOBUFS`. */
  push(value: T, weight = 0): void {
    if (this.#ended) return;
    const reader = this.#readers.shift();
    if (reader !== undefined) return reader.resolve({ value, done: false });
    if (this.#weight + weight > this.#maxWeight) {
      this.finish(new ConatError("too much was not read", { code: "ENOBUFS" }));
      return this.#onReturn();
    }
    this.#weight += weight;
    this.#items.push({ value, weight });
  }

  /** Ends it behind what waits; with `error` the reader gets that at the end. */
  finish(error?: ConatError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    const readers = this.#readers.splice(0);
    for (const reader of readers) {
      if (this.#error === undefined) reader.resolve({ value: undefined, done: true });
      else reader.reject(this.#takeError());
    }
  }

  #takeError(): ConatError | undefined {
    const error = this.#error;
    this.#error = undefined;
    return error;
  }

  async next(): Promise<IteratorResult<T>> {
    const item = this.#items.shift();
    if (item !== undefined) {
      this.#weight -= item.weight;
      return { value: item.value, done: false };
    }
    if (this.#ended) {
      const error = this.#takeError();
      if (error !== undefined) throw error;
      return { value: undefined, done: true };
    }
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  async return(): Promise<IteratorResult<T>> {
    this.#items.length = 0;
    if (!this.#ended) {
      this.finish();
      this.#onReturn();
    }
    this.#error = undefined;
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/** An async iterator that can be awaited as well, for programs that want to know when it has begun. */
export type Feed<T> = AsyncIterableIterator<T> & Promise<AsyncIterableIterator<T>>;

export function feedOf<T>(iterator: AsyncIterableIterator<T>, ready: Promise<void>): Feed<T> {
  const promise = ready.then(() => iterator);
  promise.catch(() => undefined); // the iterator tells as well
  return Object.assign(promise, {
    next: () => iterator.next(),
    return: () => iterator.return?.() ?? Promise.resolve({ value: undefined, done: true as const }),
    [Symbol.asyncIterator]: () => iterator,
  }) as Feed<T>;
}
