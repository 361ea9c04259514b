// Drives one Fabric: hands it calls, the transport's bytes and the time, and carries out what it asks for.
//
// What the fabric wants is collected (drained) in a microtask after a call or a WebSocket event, so that a
// burst costs one batch. Draining has two phases: first the whole batch is worked through (bytes sent, merges
// decided, messages queued), and only then are listeners of the user called: whatever they do, no batch is
// half done when they do it.
import { ConatError, reportUncaught } from "../errors.js";
import { platform, type Transport } from "../platform.js";
import type { ConatModule, FabricHandle } from "./module.js";
import { RecordReader, Record as Kind, type RawError } from "./records.js";
import { newSeed, runtime } from "./runtime.js";

export interface DriverOptions {
  url: string;
  headers: Record<string, string>;
  auth: unknown;
  inboxPrefix: string;
  textPackets: boolean;
  reconnection: boolean;
  reconnectionDelay: number;
  reconnectionDelayMax: number;
  randomizationFactor: number;
}

/** Takes the records that are not about the transport. */
export type RecordSink = (kind: number, reader: RecordReader) => void;

// After this many calls, or payload bytes, a burst is drained without waiting for the microtask.
const burstCalls = 1024;
const burstBytes = 1 << 20;
// The window grows for large payloads; the module gives it back when asked for a small one again.
const keepWindowBytes = 1 << 20;
const minWindowBytes = 16 << 10;
// What may wait in the WebSocket before publishSync drops messages, as it does while disconnected.
const maxBufferedBytes = 512 << 20;
const maxTimerMs = 0x7fff_ffff;
const warnIntervalMs = 5000;

const textEncoder = new TextEncoder();
const nothing = new Uint8Array(0);

export const errorFrom = ({ number, word, text }: RawError): ConatError => {
  const code = word !== "" ? word : number !== 0 ? number : undefined;
  return new ConatError(text, code === undefined ? {} : { code });
};

/** Text as UTF-8 can hold it: lone halves of surrogate pairs replaced. */
export function wellFormed(text: string): string {
  return text.replace(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, "\uFFFD");
}

export class Driver {
  readonly #module: ConatModule = runtime();
  readonly fabric: FabricHandle;
  readonly #address: number;
  readonly #options: DriverOptions;
  readonly #sink: RecordSink;

  #window = 0;
  #windowSize = 0;

  #transport: Transport | undefined;
  // Tells the transport that is wanted now from those given up while they were being opened.
  #generation = 0;

  #scheduled = false;
  #draining = false;
  #calls = 0;
  #callBytes = 0;
  readonly #events: (() => void)[] = [];

  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Infinity;
  #freed = false;

  constructor(options: DriverOptions, sink: RecordSink) {
    this.#options = options;
    this.#sink = sink;
    this.fabric = new this.#module.Fabric(
      wellFormed(options.inboxPrefix), options.textPackets, options.reconnection, options.reconnectionDelay,
      options.reconnectionDelayMax, options.randomizationFactor, typeof options.auth === "function", newSeed(),
    );
    this.#address = this.fabric.address();
  }

  /** Where it connects. */
  get url(): string {
    return this.#options.url;
  }

  /** ms on a monotonic clock. */
  now(): number {
    return performance.now();
  }

  // ---- calls ----

  /**
   * Puts the parts of a call into the window: `text` as UTF-8, then the byte runs. Returns the length of the
   * text in bytes.
   */
  fill(text: string, first: Uint8Array = nothing, second: Uint8Array = nothing): number {
    const size = text.length * 3 + first.length + second.length;
    if (size > this.#windowSize || (this.#windowSize > keepWindowBytes && size < minWindowBytes)) {
      this.#window = this.fabric.reserve(size);
      this.#windowSize = Math.max(size, minWindowBytes);
    }
    const heap = this.#module.HEAPU8;
    let position = this.#window;
    let i = 0;
    for (; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) break;
      heap[position++] = unit;
    }
    if (i < text.length) {
      const rest = heap.subarray(position, position + (text.length - i) * 3);
      position += textEncoder.encodeInto(i === 0 ? text : text.slice(i), rest).written;
    }
    const textLength = position - this.#window;
    if (first.length > 0) heap.set(first, position);
    if (second.length > 0) heap.set(second, position + first.length);
    this.#callBytes += size;
    return textLength;
  }

  /** What a function of the fabric returned; throws the error behind a negative number. */
  check(answer: number): number {
    this.schedule();
    if (answer < 0) throw this.lastError();
    return answer;
  }

  lastError(): ConatError {
    const { fabric } = this;
    return errorFrom({ number: fabric.errorNumber(), word: fabric.errorWord(), text: fabric.errorText() });
  }

  /** A copy of the result of a call that returned its length. */
  result(length: number): Uint8Array {
    const address = this.fabric.result();
    return this.#module.HEAPU8.slice(address, address + length);
  }

  resultReader(length: number): RecordReader {
    return new RecordReader(this.result(length), () => this.#module.HEAPU8);
  }

  publishNow(subject: string, headers: Uint8Array, raw: Uint8Array, encoding: number): number {
    const transport = this.#transport;
    if (transport !== undefined && transport.bufferedAmount > maxBufferedBytes) return raw.length;
    const subjectLength = this.fill(subject, headers, raw);
    const answer = this.#module._conat_publish_now(
      this.#address, this.now(), subjectLength, headers.length, raw.length, encoding,
    );
    return this.check(answer);
  }

  // ---- draining ----

  /** Has pending effects carried out soon. */
  schedule(): void {
    this.#calls += 1;
    if (!this.#draining && (this.#calls >= burstCalls || this.#callBytes >= burstBytes)) {
      this.#carryOut();
      this.#arm();
    }
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** Carries out pending effects, then calls the listeners that they concern. */
  flush(): void {
    if (this.#draining || this.#freed) return;
    this.#carryOut();
    this.#arm();
    this.onFlush();
    this.#runEvents();
  }

  /** Called at every flush, before the listeners: the fabric may have got further without a record of it. */
  onFlush: () => void = () => undefined;

  /** Runs `event` after the batch that is being worked through. Call it from the sink only. */
  later(event: () => void): void {
    this.#events.push(event);
  }

  #carryOut(): void {
    this.#calls = 0;
    this.#callBytes = 0;
    this.#draining = true;
    try {
      const now = this.now();
      for (;;) {
        const length = this.#module._conat_drain(this.#address, now);
        if (length === 0) break;
        const start = this.#module._conat_outbox(this.#address);
        this.#work(new RecordReader(this.#module.HEAPU8.slice(start, start + length), () => this.#module.HEAPU8));
      }
    } finally {
      this.#transport?.end();
      this.#draining = false;
    }
  }

  #work(reader: RecordReader): void {
    for (let kind = reader.next(); kind !== 0; kind = reader.next()) {
      switch (kind) {
        case Kind.openTransport:
          void this.#open();
          break;
        case Kind.send: {
          const binary = reader.flag();
          const transport = this.#transport;
          if (transport === undefined) break;
          transport.begin();
          transport.send(binary, reader.transient());
          break;
        }
        case Kind.closeTransport:
          this.#closeTransport();
          break;
        case Kind.authNeeded:
          void this.#renew();
          break;
        case Kind.messageDiscarded:
          this.#warnDiscarded(reader.text());
          break;
        default:
          this.#sink(kind, reader);
      }
    }
  }

  #runEvents(): void {
    for (let event = this.#events.shift(); event !== undefined; event = this.#events.shift()) {
      try {
        event();
      } catch (error) {
        reportUncaught(error);
      }
    }
  }

  // ---- time ----

  #arm(): void {
    if (this.#freed) return;
    const deadline = this.#module._conat_deadline(this.#address);
    if (deadline < 0) {
      clearTimeout(this.#timer);
      this.#timerAt = Infinity;
      return;
    }
    // A timer that fires too early arms itself again; only one that would be late is replaced.
    if (this.#timerAt <= deadline) return;
    clearTimeout(this.#timer);
    this.#timerAt = deadline;
    this.#timer = setTimeout(() => this.#onTimer(), Math.min(Math.max(0, Math.ceil(deadline - this.now())), maxTimerMs));
  }

  #onTimer(): void {
    this.#timerAt = Infinity;
    if (this.#freed) return;
    this.fabric.onTime(this.now());
    this.flush();
  }

  // ---- transport ----

  async #open(): Promise<void> {
    const generation = ++this.#generation;
    try {
      let { auth } = this.#options;
      if (typeof auth === "function") {
        auth = await (auth as () => unknown)();
        if (generation !== this.#generation) return;
      }
      this.fabric.setAuth(this.#fillAuth(auth));
      this.#transport = this.#newTransport(generation);
    } catch (error) {
      if (generation !== this.#generation) return;
      console.warn(`conat-client: connecting to ${this.#options.url} failed, trying again:`, error);
      this.#lost(generation);
    }
  }

  #newTransport(generation: number): Transport {
    const current = (): boolean => generation === this.#generation && !this.#freed;
    return platform().openTransport(
      { url: this.#options.url, headers: this.#options.headers },
      {
        open: () => {
          if (!current()) return;
          this.fabric.onTransportOpen(this.now());
          this.flush();
        },
        message: (binary, data) => {
          if (!current()) return;
          this.fill("", data);
          this.#module._conat_transport_message(this.#address, this.now(), binary ? 1 : 0, data.length);
          this.schedule();
        },
        closed: () => this.#lost(generation),
      },
    );
  }

  #lost(generation: number): void {
    if (generation !== this.#generation || this.#freed) return;
    this.#generation += 1;
    this.#transport = undefined;
    this.fabric.onTransportClosed(this.now());
    this.flush();
  }

  #closeTransport(): void {
    this.#generation += 1;
    this.#transport?.close();
    this.#transport = undefined;
  }

  // The identity of this connection ends soon: the program's function makes a fresh one.
  async #renew(): Promise<void> {
    const generation = this.#generation;
    try {
      const auth = await (this.#options.auth as () => unknown)();
      if (generation !== this.#generation || this.#freed) return;
      this.fabric.renewAuth(this.now(), this.#fillAuth(auth));
    } catch (error) {
      if (generation !== this.#generation || this.#freed) return;
      console.warn("conat-client: renewing the authentication failed, trying again:", error);
      this.fabric.renewalFailed(this.now());
    }
    this.flush();
  }

  #fillAuth(auth: unknown): number {
    const bytes = auth === undefined || auth === null ? nothing : this.encodeAuth(auth);
    this.fill("", bytes);
    return bytes.length;
  }

  // A broken sender may lose many: one line for each moment is enough.
  #warnDiscarded(subject: string): void {
    this.#discarded += 1;
    if (this.now() < this.#warnAgainAt) return;
    console.warn(`conat-client: discarded ${this.#discarded} message(s) with missing chunks, the last on '${subject}'`);
    this.#discarded = 0;
    this.#warnAgainAt = this.now() + warnIntervalMs;
  }
  #discarded = 0;
  #warnAgainAt = 0;

  /** Replaced by the client, which knows the codec. */
  encodeAuth: (auth: unknown) => Uint8Array = () => nothing;

  /** Gives back what the fabric holds. Nothing may be called afterwards. */
  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    clearTimeout(this.#timer);
    this.#closeTransport();
    this.fabric.delete();
  }
}
