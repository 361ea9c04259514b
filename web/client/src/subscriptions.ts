// The subscriptions of one client: ids of the fabric on one side, iterators on the other.
import { closed, type ConatError } from "./errors.js";
import { Subscription } from "./subscription.js";
import type { SubscribeOptions } from "./types.js";
import { errorFrom, wellFormed, type Driver } from "./wasm/driver.js";
import type { RawError } from "./wasm/records.js";

interface Entry {
  subscription: Subscription;
  confirm: (error?: ConatError) => void;
}

export class SubscriptionTable {
  /** Prototypes aside: subjects are anybody's text. */
  readonly counts: Record<string, { refCount: number }> = Object.create(null) as Record<string, { refCount: number }>;
  readonly queues: Record<string, string> = Object.create(null) as Record<string, string>;
  readonly #entries = new Map<number, Entry>();
  #closed = false;

  constructor(private readonly driver: Driver) {}

  add(
    subject: string, options: Omit<SubscribeOptions, "timeout">, timeout: number,
  ): { subscription: Subscription; confirmed: Promise<void> } {
    if (this.#closed) throw closed();
    const { driver } = this;
    const pattern = wellFormed(subject);
    const id = driver.check(driver.fabric.subscribe(driver.now(), pattern, wellFormed(options.queue ?? ""), timeout));
    const subscription = new Subscription(subject, options, () => this.#remove(id, pattern));
    const confirmed = new Promise<void>((resolve, reject) => {
      const confirm = (error?: ConatError): void => (error === undefined ? resolve() : reject(error));
      this.#entries.set(id, { subscription, confirm });
    });
    (this.counts[pattern] ??= { refCount: 0 }).refCount += 1;
    this.queues[pattern] = driver.fabric.queue(id);
    return { subscription, confirmed };
  }

  find(id: number): Subscription | undefined {
    return this.#entries.get(id)?.subscription;
  }

  onDone(id: number, error: RawError | undefined): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    const refusal = error === undefined ? undefined : errorFrom(error);
    entry.confirm(refusal);
    if (refusal !== undefined) entry.subscription.finish(refusal);
  }

  onEnded(id: number, error: RawError): void {
    this.#entries.get(id)?.subscription.finish(errorFrom(error));
  }

  close(): void {
    this.#closed = true;
    for (const { subscription, confirm } of [...this.#entries.values()]) {
      confirm(closed());
      subscription.finish();
    }
  }

  #remove(id: number, pattern: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    const count = this.counts[pattern];
    if (count !== undefined && --count.refCount === 0) {
      delete this.counts[pattern];
      delete this.queues[pattern];
    }
    // Closed while unconfirmed: whoever awaits it learns that it will not come.
    entry.confirm(closed());
    if (this.#closed) return;
    this.driver.fabric.unsubscribe(this.driver.now(), id);
    this.driver.schedule();
  }
}
