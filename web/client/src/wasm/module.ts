// The WebAssembly module as TypeScript sees it; wasm/src/fabric_handle.hpp tells what each function does.

/** Functions with `now`: ms on the monotonic clock of this process. Negative results: failed, see errorText(). */
export interface FabricHandle {
  address(): number;
  reserve(size: number): number;
  result(): number;
  errorNumber(): number;
  errorWord(): string;
  errorText(): string;

  connect(now: number): void;
  disconnect(now: number): void;
  close(now: number): void;
  wake(now: number): void;
  setAuth(length: number): void;
  renewAuth(now: number, length: number): void;
  renewalFailed(now: number): void;
  onTransportOpen(now: number): void;
  onTransportClosed(now: number): void;
  dropTransport(now: number): void;
  onTime(now: number): void;

  subscribe(now: number, pattern: string, queue: string, timeout: number): number;
  unsubscribe(now: number, subscription: number): void;
  publish(
    now: number, subjectLength: number, headersLength: number, rawLength: number, encoding: number,
    timeout: number, waitForInterest: boolean,
  ): number;
  request(
    now: number, subjectLength: number, headersLength: number, rawLength: number, encoding: number,
    timeout: number, waitForInterest: boolean, many: boolean, maxWait: number, maxMessages: number, nullEnds: boolean,
  ): number;
  cancel(call: number): void;
  waitForInterest(now: number, subject: string, timeout: number): number;
  askServer(now: number, question: number, timeout: number): number;
  syncSubscriptions(now: number): void;
  /** 1: confirmed by the server; 0: not yet. */
  inboxReady(): number;
  queue(subscription: number): string;
  state(): number;
  signedIn(): boolean;
  id(): string;
  socketId(): string;
  inbox(): string;
  subscriptionCount(): number;
  statistics(): number;

  dkvOpen(
    now: number, scope: string, path: string, service: string, ephemeral: boolean, sync: boolean,
    configLength: number, merge: number, autosave: boolean,
  ): number;
  dkvClose(now: number, dkv: number): void;
  dkvBelow(dkv: number): number;
  dkvGet(dkv: number, key: string): number;
  dkvHas(dkv: number, key: string): boolean;
  dkvSize(dkv: number): number;
  dkvEntries(dkv: number, keysOnly: boolean): number;
  dkvSeq(dkv: number, key: string): number;
  dkvTime(dkv: number, key: string): number;
  dkvHeaders(dkv: number, key: string): number;
  dkvSet(now: number, dkv: number, key: string, headersLength: number, rawLength: number, encoding: number): number;
  dkvErase(now: number, dkv: number, key: string): number;
  dkvClear(now: number, dkv: number): number;
  dkvSave(now: number, dkv: number): number;
  dkvResolve(now: number, dkv: number, merge: number, outcome: number, rawLength: number, encoding: number): void;
  dkvKept(dkv: number, changes: boolean): number;
  dkvRestore(now: number, dkv: number, stateLength: number, changesLength: number, openNow: boolean): number;
  dkvHasUnsavedChanges(dkv: number): boolean;
  dkvIsStable(dkv: number): boolean;
  dkvUnsavedChanges(dkv: number): number;

  streamOpen(now: number, scope: string, path: string, service: string, optionsLength: number): number;
  streamClose(now: number, stream: number): void;
  streamRequest(
    now: number, stream: number, headersLength: number, rawLength: number, encoding: number, timeout: number,
    many: boolean,
  ): number;
  streamFollowChanges(now: number, stream: number): void;
  streamSetReconnectDelay(delay: number): void;

  coreStreamOpen(now: number, scope: string, path: string, service: string, optionsLength: number): number;
  coreStreamClose(now: number, stream: number): void;
  coreStreamBelow(stream: number): number;
  coreStreamLength(stream: number): number;
  coreStreamSeqs(stream: number, first: number): number;
  coreStreamEntries(stream: number, first: number, count: number): number;
  coreStreamIndex(stream: number, seq: number): number;
  coreStreamKeySeq(stream: number, key: string): number;
  coreStreamKeys(stream: number): number;
  coreStreamBytes(stream: number): number;
  coreStreamSeen(stream: number): number;
  coreStreamStart(stream: number): number;
  coreStreamLoad(now: number, stream: number, startSeq: number): number;
  coreStreamForget(now: number, stream: number, count: number): void;

  dstreamOpen(
    now: number, scope: string, path: string, service: string, optionsLength: number, autosave: boolean,
  ): number;
  dstreamClose(now: number, stream: number): void;
  dstreamBelow(stream: number): number;
  dstreamLength(stream: number): number;
  dstreamIds(stream: number, first: number): number;
  dstreamEntries(stream: number, first: number, count: number): number;
  dstreamStart(stream: number): number;
  dstreamPublish(
    now: number, stream: number, headersLength: number, rawLength: number, encoding: number, ttl: number,
  ): number;
  dstreamSave(now: number, stream: number): number;
  dstreamLoad(now: number, stream: number, startSeq: number): number;
  dstreamForget(now: number, stream: number, count: number): void;
  dstreamKept(stream: number, changes: boolean): number;
  dstreamRestore(now: number, stream: number, stateLength: number, changesLength: number, openNow: boolean): number;
  dstreamUnsaved(stream: number): number;
  dstreamIsStable(stream: number): boolean;

  socketListen(
    now: number, subject: string, id: string, keepAlive: number, keepAliveTimeout: number, commandTimeout: number,
    maxQueue: number,
  ): number;
  socketCloseServer(now: number, server: number): void;
  socketServerState(server: number): number;
  socketInterceptCommands(server: number, on: boolean): void;
  socketHandleCommand(
    now: number, server: number, subjectLength: number, headersLength: number, rawLength: number, encoding: number,
  ): void;
  socketConnect(
    now: number, subject: string, customBalancer: boolean, reconnection: boolean, keepAlive: number,
    keepAliveTimeout: number, commandTimeout: number, maxQueue: number,
  ): number;
  socketChooseServer(now: number, socket: number, id: string, error: string): void;
  socketWrite(now: number, socket: number, headersLength: number, rawLength: number, encoding: number): number;
  socketRequest(
    now: number, socket: number, headersLength: number, rawLength: number, encoding: number, timeout: number,
    waitForInterest: boolean, many: boolean, maxWait: number, maxMessages: number,
  ): number;
  socketCancel(call: number): void;
  socketClose(now: number, socket: number): void;
  socketEnd(now: number, socket: number, timeout: number): void;
  socketDisconnect(now: number, socket: number): void;
  socketReconnect(now: number, socket: number): void;
  socketSetReconnection(socket: number, reconnection: boolean): void;
  socketState(socket: number): number;
  socketUnacknowledged(socket: number): number;
  socketUnsent(socket: number): number;
  socketSubject(socket: number): string;
  socketIdOf(socket: number): string;
  socketLastAlive(socket: number): number;

  delete(): void;
}

export interface ConatModule {
  /** Replaced when the memory grows: never keep it over a call. */
  readonly HEAPU8: Uint8Array;
  readonly Fabric: new (
    inboxPrefix: string, textPackets: boolean, reconnection: boolean, reconnectionDelay: number,
    reconnectionDelayMax: number, randomizationFactor: number, renewAuth: boolean, seed: Uint8Array,
  ) => FabricHandle;
  isValidSubject(subject: string): boolean;
  isValidPattern(pattern: string): boolean;
  storageRefusal(subject: string, service: string, path: string): string;
  // The hot path, without Embind's conversions; `fabric` is FabricHandle.address().
  _conat_publish_now(
    fabric: number, now: number, subjectLength: number, headersLength: number, rawLength: number, encoding: number,
  ): number;
  _conat_transport_message(fabric: number, now: number, binary: number, length: number): void;
  _conat_drain(fabric: number, now: number): number;
  _conat_outbox(fabric: number): number;
  _conat_deadline(fabric: number): number;
}

export type ModuleFactory = (options: { wasmBinary: Uint8Array }) => Promise<ConatModule>;
