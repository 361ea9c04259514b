// Calls that wait for their answer: a CallId of the fabric on one side, a promise on the other.
import { ConatError, closed } from "./errors.js";

interface Pending<T> {
  resolve: (value: T) => void;
  reject: (error: ConatError) => void;
}

export class Calls<T> {
  readonly #pending = new Map<number, Pending<T>>();

  get size(): number {
    return this.#pending.size;
  }

  wait(call: number): Promise<T> {
    return new Promise<T>((resolve, reject) => this.#pending.set(call, { resolve, reject }));
  }

  resolve(call: number, value: T): void {
    const pending = this.#pending.get(call);
    this.#pending.delete(call);
    pending?.resolve(value);
  }

  reject(call: number, error: ConatError): void {
    const pending = this.#pending.get(call);
    this.#pending.delete(call);
    pending?.reject(error);
  }

  /** Answers all that wait, with `value`, or with the error `closed` when there is none. */
  finish(value?: T): void {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    for (const pending of all) {
      if (value === undefined) pending.reject(closed());
      else pending.resolve(value);
    }
  }
}
