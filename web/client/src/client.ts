// The client: one connection, everything that goes over it, and the events of both.
import { Calls } from "./calls.js";
import { DataEncoding, decodeBytes, encodeShared } from "./codec.js";
import type { AKV } from "./akv/akv.js";
import type { AStream } from "./astream/astream.js";
import type { CoreStream, CoreStreamOptions } from "./core_stream/index.js";
import type { DKV, DKVOptions } from "./dkv/index.js";
import type { DKO, DKOOptions } from "./dko/index.js";
import type { DStream, DStreamOptions } from "./dstream/index.js";
import { Emitter } from "./emitter.js";
import { closed, ConatError, timedOut } from "./errors.js";
import {
  encodeParts, Message, messageData, type MessageData, type MessageOptions, type PublishResult, type Responder,
  type RespondOptions, type SyncPublishResult,
} from "./message.js";
import { driverOptions, type ConnectOptions } from "./options.js";
import { platform } from "./platform.js";
import { callService, callServices, serve } from "./services.js";
import { SocketNamespace, Sockets } from "./socket/index.js";
import { Subscription } from "./subscription.js";
import { SyncStores, type AsyncStoreOptions, type SyncNamespace } from "./sync/index.js";
import type { Row, SyncTable, SyncTableOptions } from "./synctable/index.js";
import { SubscriptionTable } from "./subscriptions.js";
import { defaults, timeoutOf } from "./timeouts.js";
import { Bench, show } from "./tools.js";
import type {
  AnyApi, ClientEvents, ClientState, ClientStats, PublishOptions, Remote, RemoteMany, RequestManyOptions,
  RequestOptions, ServerInfo, ServiceImplementation, SubscribeOptions, Traffic,
} from "./types.js";
import { Driver, errorFrom, wellFormed } from "./wasm/driver.js";
import { Record as Kind, type RecordReader } from "./wasm/records.js";

const stateNames: readonly ClientState[] = ["disconnected", "connected", "closed"];
const questions = { subscriptions: 0, cluster: 1 } as const;

interface ManyReplies {
  subscription: Subscription;
  started: (error?: ConatError) => void;
}

/** The connection itself, for programs that look below. */
export interface Connection {
  /** Whether the transport is up and Socket.IO has connected. */
  readonly connected: boolean;
  /** The Socket.IO sid, absent while disconnected. */
  readonly id: string | undefined;
  readonly io: { readonly engine: { close(): void } };
}

/**
 * A connection to a Conat server, which it keeps up by itself. Made by `connect()`. All calls work at once, also
 * before there is a server: what needs one waits. A promise that nobody awaits rejects like every other one, so
 * `publish` without `await` should have `noThrow`, or be `publishSync`.
 */
export class Client extends Emitter<ClientEvents> implements Responder {
  /** What it was made with. */
  readonly options: Readonly<ConnectOptions>;
  /** A random id of 10 characters, the same for the client's whole life. */
  readonly id: string;
  /** The connection below. */
  readonly conn: Connection;
  /** TCP-like streams over this client: `socket.listen(subject)` and `socket.connect(subject)`. */
  readonly socket: SocketNamespace;
  /** The synchronized data structures, which are also methods of the client. */
  readonly sync: SyncNamespace;

  readonly #driver: Driver;
  readonly #subscriptions: SubscriptionTable;
  /** @internal */
  readonly stores: SyncStores;
  readonly #sockets: Sockets;
  readonly #publishes = new Calls<PublishResult>();
  readonly #requests = new Calls<Message>();
  readonly #interests = new Calls<boolean>();
  readonly #answers = new Calls<unknown>();
  readonly #many = new Map<number, ManyReplies>();
  #state: ClientState = "disconnected";
  #info: ServerInfo | undefined;
  #signedIn = false;
  #received0: Traffic = { messages: 0, bytes: 0 };
  #lastStats: ClientStats | undefined;
  #references = 1;
  readonly #stopWaking: () => void;
  readonly #onClose: () => void;

  /** @internal Use `connect()`. */
  constructor(options: ConnectOptions, onClose: () => void = () => undefined) {
    super();
    this.options = options;
    this.#onClose = onClose;
    const driver = new Driver(driverOptions(options), (kind, reader) => this.#onRecord(kind, reader));
    driver.onFlush = () => this.#look();
    driver.encodeAuth = (auth) => encodeShared(DataEncoding.MsgPack, auth);
    this.#driver = driver;
    this.id = driver.fabric.id();
    this.#subscriptions = new SubscriptionTable(driver);
    this.stores = new SyncStores(this, driver);
    this.#sockets = new Sockets(driver, this, options.bigint ?? false);
    this.socket = new SocketNamespace(this.#sockets);
    this.sync = this.stores.namespace();
    this.conn = this.#connection();
    this.#stopWaking = platform().onNetwork({
      back: () => {
        driver.fabric.wake(driver.now());
        driver.flush();
      },
      gone: () => {
        driver.fabric.dropTransport(driver.now());
        driver.flush();
      },
    });
    if (options.autoConnect ?? true) this.connect();
  }

  // ---- the connection ----

  /** `disconnected`, `connected` or `closed`; each is also an event. */
  get state(): ClientState {
    return this.#state;
  }

  /** What the server said at the last sign-in; absent before the first. */
  get info(): ServerInfo | undefined {
    return this.#info;
  }

  /** Payloads and subscriptions so far. */
  get stats(): ClientStats {
    if (this.#lastStats !== undefined) return this.#lastStats;
    const driver = this.#driver;
    const reader = driver.resultReader(driver.fabric.statistics());
    const [send, recv] = [0, 1].map(() => ({ messages: reader.f64(), bytes: reader.f64() })) as [Traffic, Traffic];
    const recv0 = { messages: recv.messages - this.#received0.messages, bytes: recv.bytes - this.#received0.bytes };
    return { send, recv, recv0, subs: reader.f64() };
  }

  /**
   * Connects (again), after `disconnect()` or with `autoConnect: false`; otherwise it does so by itself.
   * @throws ConatError `closed`
   */
  connect(): void {
    this.#assertOpen();
    this.#driver.fabric.connect(this.#driver.now());
    this.#driver.flush();
  }

  /** Disconnects and stays so until `connect()`. Subscriptions and stores live on. */
  disconnect(): void {
    if (this.isClosed()) return;
    this.#driver.fabric.disconnect(this.#driver.now());
    this.#driver.flush();
  }

  /**
   * Ends everything for good: subscriptions, stores and sockets close, calls that wait reject with `closed`
   * (publishes resolve with count 0). A client that `connect()` has returned several times closes at the last of
   * as many calls. Never throws, also when called again.
   */
  close(): void {
    if (this.isClosed()) return;
    this.#references -= 1;
    if (this.#references > 0) return;
    this.#onClose();
    this.#stopWaking();
    this.stores.close();
    this.#sockets.close();
    // Pending publishes and responds are often awaited by nobody: their end must not be an unhandled rejection.
    this.#publishes.finish({ bytes: 0, count: 0 });
    for (const replies of [...this.#many.values()]) replies.started(closed());
    const driver = this.#driver;
    driver.fabric.close(driver.now());
    driver.flush();
    for (const calls of [this.#requests, this.#interests, this.#answers]) calls.finish();
    this.#subscriptions.close();
    this.#lastStats = { ...this.stats, subs: 0 };
    this.#state = "closed";
    driver.free();
    this.#look();
  }

  /** Whether close() took effect. */
  isClosed(): boolean {
    return this.#state === "closed";
  }

  /** Resolves when the transport is up. @throws ConatError `closed` when the client closes before. */
  async waitUntilConnected(): Promise<void> {
    await this.#until(() => this.#state === "connected", undefined);
  }

  /**
   * Resolves when the server has accepted the user; keeps waiting while it does not.
   * @param options.timeout ms; default: wait for ever.
   * @throws ConatError 408, or `closed`.
   */
  async waitUntilSignedIn({ timeout }: { timeout?: number } = {}): Promise<void> {
    await this.#until(() => this.#signedIn, timeout);
  }

  /**
   * Resolves when signed in and able to receive answers.
   * @throws ConatError as waitUntilSignedIn, and the server's refusal of the inbox: 403 when `inboxPrefix` is not
   *   one that the user may subscribe to.
   */
  async waitUntilReady({ timeout }: { timeout?: number } = {}): Promise<void> {
    await this.#until(() => {
      if (!this.#signedIn) return false;
      const ready = this.#driver.fabric.inboxReady();
      if (ready < 0) throw this.#driver.lastError();
      return ready > 0;
    }, timeout);
  }

  /** Resolves to the subject prefix of this client's inbox, once the server has confirmed it. @throws as waitUntilReady. */
  async getInbox(): Promise<string> {
    await this.waitUntilReady();
    return this.#driver.fabric.inbox();
  }

  // ---- subscriptions ----

  /** Patterns that this client holds at the server, the inbox included. */
  numSubscriptions(): number {
    return this.isClosed() ? 0 : this.#driver.fabric.subscriptionCount();
  }

  /** How many subscriptions share each pattern. */
  get subs(): Readonly<Record<string, { readonly refCount: number }>> {
    return this.#subscriptions.counts;
  }

  /** The queue group of each pattern, the random ones of ordinary subscriptions included. */
  get queueGroups(): Readonly<Record<string, string>> {
    return this.#subscriptions.queues;
  }

  /** The patterns that the server holds for this client. @throws ConatError as a request. */
  async getSubscriptions(): Promise<Set<string>> {
    return new Set((await this.#ask("subscriptions")) as string[]);
  }

  /**
   * Compares the subscriptions with the server's, mends what differs, and resolves when both agree. After a
   * reconnect the client does so by itself.
   * @throws ConatError 408 when they do not come to agree, `closed`.
   */
  async syncSubscriptions(): Promise<void> {
    const end = performance.now() + defaults.request;
    do {
      this.#assertOpen();
      this.#driver.fabric.syncSubscriptions(this.#driver.now());
      this.#driver.schedule();
      const held = await this.getSubscriptions();
      held.delete(`${this.#driver.fabric.inbox()}.*`);
      const wanted = Object.keys(this.#subscriptions.counts);
      if (held.size === wanted.length && wanted.every((subject) => held.has(subject))) return;
    } while (performance.now() < end);
    throw timedOut();
  }

  /**
   * Subscribes and waits until the server has confirmed it: from then on no message is missed.
   * @param subject a pattern: `*` matches one token, a last token `>` one or more.
   * @throws ConatError for an invalid subject, 403, 408, 429, `closed`, or when this client already subscribes to
   *   the subject with another queue.
   */
  async subscribe<T = unknown>(subject: string, options: SubscribeOptions = {}): Promise<Subscription<T>> {
    const timeout = timeoutOf(options.timeout, defaults.request);
    const { subscription, confirmed } = this.#subscriptions.add(subject, options, timeout);
    await confirmed;
    return subscription as Subscription<T>;
  }

  /** The same as `subscribe`. */
  async sub<T = unknown>(subject: string, options: SubscribeOptions = {}): Promise<Subscription<T>> {
    return this.subscribe<T>(subject, options);
  }

  /**
   * Subscribes without waiting for the server; works before there is one. If the server refuses, the subscription
   * ends and its `refusal` says why.
   * @throws as `subscribe`, for what is known at once.
   */
  subscribeSync<T = unknown>(subject: string, options: Omit<SubscribeOptions, "timeout"> = {}): Subscription<T> {
    const { subscription, confirmed } = this.#subscriptions.add(subject, options, 0);
    confirmed.catch(() => undefined); // told by `refusal`
    return subscription as Subscription<T>;
  }

  // ---- publishing ----

  /**
   * Publishes and waits for the server's acknowledgement; waits for sign-in first. Publishes leave in the order
   * of the calls.
   * @param subject without wildcards.
   * @throws ConatError for an invalid subject, 403, 408, or 503 when the connection was lost while waiting:
   *   whether it was delivered is then unknown.
   */
  async publish(subject: string, value: unknown, options: PublishOptions | (MessageOptions & RespondOptions) = {}): Promise<PublishResult> {
    if (this.isClosed()) return { bytes: 0, count: 0 };
    if (!options.noThrow) return this.#publish(subject, value, options);
    try {
      return await this.#publish(subject, value, options);
    } catch {
      return { bytes: options.raw?.length ?? 0, count: 0 };
    }
  }

  /** The same as `publish`. */
  async pub(subject: string, value: unknown, options: PublishOptions = {}): Promise<PublishResult> {
    return this.publish(subject, value, options);
  }

  /**
   * Publishes without waiting. While there is no connection the message is dropped, on purpose.
   * @returns the length of the encoded payload, also when it was dropped; `{bytes: 0, count: 0}` once closed.
   * @throws ConatError for an invalid subject, and 403 when the server refused the subject within the last minute.
   */
  publishSync(subject: string, value: unknown, options: MessageOptions = {}): SyncPublishResult {
    if (this.isClosed()) return { bytes: 0, count: 0 };
    const { encoding, headers, raw } = encodeParts(value, options);
    return { bytes: this.#driver.publishNow(subject, headers, raw, encoding) };
  }

  /** Encodes a value as a message without a subject. */
  message<T>(value: T, options: MessageOptions = {}): MessageData<T> {
    return messageData(value, options);
  }

  // ---- requests and services ----

  /**
   * Asks, and resolves to the first answer.
   * @throws ConatError 503 when nobody listens, 408 without an answer, 403, `closed`.
   */
  async request<T = unknown>(subject: string, value?: unknown, options: RequestOptions = {}): Promise<Message<T>> {
    this.#assertOpen();
    const timeout = timeoutOf(options.timeout, defaults.request);
    const call = this.#request(subject, value, options, { timeout });
    return this.#requests.wait(call) as Promise<Message<T>>;
  }

  /**
   * Asks, and resolves to the answers as they come, as soon as the question is delivered. By convention an answer
   * `null` is the last one; it is delivered. Without one the answers end with `maxMessages`, or `maxWait` ms after
   * the last. Whoever answers does not learn that the subscription was closed.
   * @throws ConatError 503 when nobody listens, 408, 403, `closed`.
   */
  async requestMany<T = unknown>(subject: string, value?: unknown, options: RequestManyOptions = {}): Promise<Subscription<T>> {
    this.#assertOpen();
    const timeout = timeoutOf(options.timeout, defaults.request);
    const maxWait = timeoutOf(options.maxWait, timeout);
    const many = { maxWait, maxMessages: options.maxMessages ?? 0, nullEnds: options.nullEnds ?? true };
    const call = this.#request(subject, value, options, { timeout, many });
    const subscription = new Subscription(subject, {}, () => {
      if (this.#many.delete(call) && !this.isClosed()) this.#driver.fabric.cancel(call);
    });
    await new Promise<void>((resolve, reject) => {
      const started = (error?: ConatError): void => (error === undefined ? resolve() : reject(error));
      this.#many.set(call, { subscription, started });
    });
    return subscription as Subscription<T>;
  }

  /**
   * Offers the functions of an object as a service: a request `[name, args]` calls `implementation[name](...args)`
   * with `this` being the request message. What it returns is the answer; what it throws arrives at the caller as
   * an error. Requests are handled at the same time.
   * @param options.queue default "0": of several services on the subject one gets each call.
   * @returns the subscription; close it to end the service.
   */
  async service(subject: string, implementation: ServiceImplementation, options: SubscribeOptions = {}): Promise<Subscription> {
    const subscription = await this.subscribe(subject, { ...options, queue: options.queue ?? "0" });
    void serve(subscription, implementation);
    return subscription;
  }

  /**
   * A service as an object whose every function is a request to it.
   * @example const time = await client.call<{ now(): number }>("clock").now();
   */
  call<Api extends object = AnyApi>(subject: string, options: RequestOptions = {}): Remote<Api> {
    return callService<Api>(this, subject, options);
  }

  /**
   * The services of all queue groups on a subject: every function iterates over their answers as they come, until
   * `maxMessages` have come or none for `maxWait` ms. A service's error is among them, as a ConatError.
   * @example for await (const name of client.callMany<{ name(): string }>("who", { maxWait: 500 }).name()) ...
   */
  callMany<Api extends object = AnyApi>(subject: string, options: RequestManyOptions = {}): RemoteMany<Api> {
    return callServices<Api>(this, subject, options);
  }

  // ---- interest ----

  /**
   * Waits until somebody subscribes to the subject.
   * @param options.timeout ms from sign-in on, default 90000; 0: do not wait, as `interest`.
   * @returns true; with `timeout: 0` whether there is interest.
   * @throws ConatError for an invalid subject, 408, 403, `closed`.
   */
  async waitForInterest(subject: string, options: { timeout?: number | undefined } = {}): Promise<boolean> {
    this.#assertOpen();
    return this.#interest(subject, options.timeout === 0 ? 0 : timeoutOf(options.timeout, defaults.interest));
  }

  /** Whether somebody subscribes to the subject now. */
  async interest(subject: string): Promise<boolean> {
    this.#assertOpen();
    return this.#interest(subject, 0);
  }

  // ---- the rest ----

  /** The addresses of the brokers of the server's cluster, the one connected to first. */
  async cluster(): Promise<string[]> {
    return (await this.#ask("cluster")) as string[];
  }

  /**
   * Opens a key-value store that every client may change at once.
   * @throws ConatError 400, 403, 429; other failures are retried for ever.
   */
  async dkv<T = unknown>(options: DKVOptions<T>): Promise<DKV<T>> {
    return this.stores.dkv(options);
  }

  /**
   * Opens a key-value store of objects, each field of which is stored by itself.
   * @throws ConatError 400, 403, 429; other failures are retried for ever.
   */
  async dko<T extends object = Record<string, unknown>>(options: DKOOptions): Promise<DKO<T>> {
    return this.stores.dko<T>(options);
  }

  /**
   * Opens an append-only stream, with one's own messages at its end at once.
   * @throws ConatError 400, 403, 429; other failures are retried for ever.
   */
  async dstream<T = unknown>(options: DStreamOptions): Promise<DStream<T>> {
    return this.stores.dstream<T>(options);
  }

  /**
   * Opens a stream that is held whole, in order and by key.
   * @throws ConatError 400, 403, 429; other failures are retried for ever.
   */
  async cstream<T = unknown>(options: CoreStreamOptions): Promise<CoreStream<T>> {
    return this.stores.cstream<T>(options);
  }

  /** Opens a key-value store that is asked at every call instead of being downloaded. @throws ConatError `closed` */
  akv<T = unknown>(options: AsyncStoreOptions): AKV<T> {
    return this.stores.akv<T>(options);
  }

  /** Opens a stream that is asked at every call instead of being downloaded. @throws ConatError `closed` */
  astream<T = unknown>(options: AsyncStoreOptions): AStream<T> {
    return this.stores.astream<T>(options);
  }

  /**
   * Opens a table of objects by primary key, chosen by a query.
   * @throws ConatError for a malformed query, 400, 403, 429; other failures are retried for ever.
   */
  async synctable<T = Row>(options: SyncTableOptions): Promise<SyncTable<T>> {
    return this.stores.synctable<T>(options);
  }

  /**
   * Prints what arrives on a subject, for people; `callback` gets the messages instead.
   * @returns the subscription; close it to end the watching.
   * @throws ConatError as `subscribe`.
   */
  async watch(subject: string, callback?: (message: Message) => void): Promise<Subscription> {
    const subscription = await this.subscribe(subject);
    void show(subscription, callback);
    return subscription;
  }

  /** How fast this client is with its server: messages a second over `count` messages to itself. */
  readonly bench = new Bench(this);

  /** @internal One more user of a cached client. */
  addReference(): this {
    this.#references += 1;
    return this;
  }

  // ---- inside ----

  #assertOpen(): void {
    if (this.isClosed()) throw closed();
  }

  #connection(): Connection {
    const driver = this.#driver;
    const open = (): boolean => !this.isClosed();
    return {
      get connected() {
        return open() && driver.fabric.socketId() !== "";
      },
      get id() {
        return open() ? driver.fabric.socketId() || undefined : undefined;
      },
      io: {
        engine: {
          close() {
            if (!open()) return;
            driver.fabric.dropTransport(driver.now());
            driver.flush();
          },
        },
      },
    };
  }

  #publish(subject: string, value: unknown, options: PublishOptions): Promise<PublishResult> {
    const timeout = timeoutOf(options.timeout, defaults.publish);
    const { encoding, headers, raw } = encodeParts(value, options);
    const driver = this.#driver;
    const subjectLength = driver.fill(subject, headers, raw);
    const call = driver.check(
      driver.fabric.publish(
        driver.now(), subjectLength, headers.length, raw.length, encoding, timeout, options.waitForInterest ?? false,
      ),
    );
    return this.#publishes.wait(call);
  }

  #request(
    subject: string, value: unknown, options: RequestOptions,
    { timeout, many }: { timeout: number; many?: { maxWait: number; maxMessages: number; nullEnds: boolean } },
  ): number {
    const { encoding, headers, raw } = encodeParts(value, options);
    const driver = this.#driver;
    const subjectLength = driver.fill(subject, headers, raw);
    return driver.check(
      driver.fabric.request(
        driver.now(), subjectLength, headers.length, raw.length, encoding, timeout, options.waitForInterest ?? false,
        many !== undefined, many?.maxWait ?? 0, many?.maxMessages ?? 0, many?.nullEnds ?? true,
      ),
    );
  }

  #interest(subject: string, timeout: number): Promise<boolean> {
    const driver = this.#driver;
    return this.#interests.wait(driver.check(driver.fabric.waitForInterest(driver.now(), wellFormed(subject), timeout)));
  }

  #ask(question: keyof typeof questions): Promise<unknown> {
    this.#assertOpen();
    const driver = this.#driver;
    return this.#answers.wait(driver.check(driver.fabric.askServer(driver.now(), questions[question], defaults.request)));
  }

  // Looked at whenever something may have changed.
  readonly #waiters = new Set<() => void>();

  // Rejects with what `holds` throws.
  #until(holds: () => boolean, timeout: number | undefined): Promise<void> {
    if (timeout !== undefined) timeoutOf(timeout, 0);
    return new Promise((resolve, reject) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const end = (settle: () => void): void => {
        this.#waiters.delete(look);
        clearTimeout(timer);
        settle();
      };
      const look = (): void => {
        if (this.isClosed()) return end(() => reject(closed()));
        try {
          if (holds()) end(resolve);
        } catch (error) {
          end(() => reject(error));
        }
      };
      this.#waiters.add(look);
      if (timeout !== undefined) {
        timer = setTimeout(() => {
          this.#waiters.delete(look);
          reject(timedOut());
        }, timeout);
      }
      look();
    });
  }

  #onRecord(kind: number, reader: RecordReader): void {
    switch (kind) {
      case Kind.message:
        return this.#onMessage(reader);
      case Kind.publishDone: {
        const call = reader.f64();
        if (reader.flag()) this.#publishes.resolve(call, { bytes: reader.f64(), count: reader.f64() });
        else this.#publishes.reject(call, errorFrom(reader.error()));
        return;
      }
      case Kind.reply:
        return this.#onReply(reader);
      case Kind.requestDelivered:
        this.#many.get(reader.f64())?.started();
        return;
      case Kind.interestDone: {
        const call = reader.f64();
        if (reader.flag()) this.#interests.resolve(call, reader.flag());
        else this.#interests.reject(call, errorFrom(reader.error()));
        return;
      }
      case Kind.serverAnswered: {
        const call = reader.f64();
        if (reader.flag()) this.#answers.resolve(call, decodeBytes(DataEncoding.MsgPack, reader.transient()));
        else this.#answers.reject(call, errorFrom(reader.error()));
        return;
      }
      case Kind.subscribeDone:
        return this.#subscriptions.onDone(reader.u32(), reader.optionalError());
      case Kind.subscriptionEnded:
        return this.#subscriptions.onEnded(reader.u32(), reader.error());
      case Kind.state:
        return this.#onState(stateNames[reader.u8()] ?? "disconnected");
      case Kind.info:
        return this.#onInfo(reader);
      default:
        if (kind >= Kind.socketConnected && kind < Kind.coreStreamOpened) this.#sockets.onRecord(kind, reader);
        else this.stores.onRecord(kind, reader);
    }
  }

  #onMessage(reader: RecordReader): void {
    const subscription = this.#subscriptions.find(reader.u32());
    if (subscription === undefined) return;
    const message = new Message(reader.message(), this, this.options.bigint ?? false);
    subscription.push(message, (event) => this.#driver.later(event));
  }

  #onReply(reader: RecordReader): void {
    const call = reader.f64();
    const last = reader.flag();
    const ok = reader.flag();
    const many = this.#many.get(call);
    if (ok) {
      const message = new Message(reader.message(), this, this.options.bigint ?? false);
      if (many === undefined) return this.#requests.resolve(call, message);
      many.subscription.push(message, (event) => this.#driver.later(event));
      many.started();
    } else {
      const error = errorFrom(reader.error());
      if (many === undefined) return this.#requests.reject(call, error);
      // Once they have begun they end with the time; a failure before is the caller's.
      many.started(error);
    }
    if (last) {
      this.#many.delete(call);
      many.subscription.finish();
    }
  }

  #onState(state: ClientState): void {
    if (this.#state === state) return;
    this.#state = state;
    if (state !== "connected") this.#signedIn = false;
    if (state === "connected") this.#received0 = { messages: 0, bytes: 0 };
    if (state === "connected") this.#received0 = this.stats.recv;
    this.#driver.later(() => this.emit(state));
  }

  #onInfo(reader: RecordReader): void {
    this.#signedIn = reader.flag();
    const info = decodeBytes(DataEncoding.MsgPack, reader.transient()) as ServerInfo;
    this.#info = info;
    this.#driver.later(() => this.emit("info", info));
  }

  #look(): void {
    for (const look of [...this.#waiters]) look();
  }
}
