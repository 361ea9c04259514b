// A small typed event emitter with the names of Node's, for browsers too.
import { reportUncaught } from "./errors.js";

/** Event names mapped to the arguments of their listeners. */
export type EventMap = Record<string, readonly unknown[]>;
// `never` as the parameter type would make listeners of different events incompatible in one array.
type AnyListener = (...args: readonly unknown[]) => void;

/**
 * Events by name. A listener that throws does not stop the others: its error is reported as an uncaught one.
 */
export class Emitter<Events extends EventMap> {
  #listeners = new Map<keyof Events, AnyListener[]>();

  /** Calls `listener` at every `event` from now on. */
  on<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): this {
    const list = this.#listeners.get(event);
    if (list === undefined) this.#listeners.set(event, [listener as AnyListener]);
    else list.push(listener as AnyListener);
    return this;
  }

  /** The same as `on`. */
  addListener<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): this {
    return this.on(event, listener);
  }

  /** Calls `listener` at the next `event` only. */
  once<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): this {
    const wrapped = (...args: Events[Name]): void => {
      this.off(event, listener);
      listener(...args);
    };
    (wrapped as { listener?: unknown }).listener = listener;
    return this.on(event, wrapped);
  }

  /** Removes one registration of `listener`. */
  off<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): this {
    const list = this.#listeners.get(event);
    const index = list?.findLastIndex((entry) => entry === listener || (entry as { listener?: unknown }).listener === listener) ?? -1;
    if (list === undefined || index < 0) return this;
    // A copy, so that an emit under way goes through the list as it was.
    if (list.length === 1) this.#listeners.delete(event);
    else this.#listeners.set(event, [...list.slice(0, index), ...list.slice(index + 1)]);
    return this;
  }

  /** The same as `off`. */
  removeListener<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): this {
    return this.off(event, listener);
  }

  /** Removes every listener, of one event or of all. */
  removeAllListeners(event?: keyof Events): this {
    if (event === undefined) this.#listeners.clear();
    else this.#listeners.delete(event);
    return this;
  }

  /** Calls the listeners of `event` in the order they came; true if there were any. */
  emit<Name extends keyof Events>(event: Name, ...args: Events[Name]): boolean {
    const list = this.#listeners.get(event);
    if (list === undefined) return false;
    for (const listener of [...list]) {
      try {
        listener(...args);
      } catch (error) {
        reportUncaught(error);
      }
    }
    return true;
  }

  /** How many listeners `event` has. */
  listenerCount(event: keyof Events): number {
    return this.#listeners.get(event)?.length ?? 0;
  }

  /** For programs written for Node's emitter, which warns about many listeners; this one never does. */
  setMaxListeners(_count: number): this {
    return this;
  }
}
