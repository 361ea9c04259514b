/**
 * Realtime messaging for browsers, workers and Node. Import it and everything works at once: the import itself
 * waits for the WebAssembly module.
 *
 * @example
 * import { connect } from "conat-client";
 * const client = connect({ address: "https://example.com" });
 * for await (const message of await client.subscribe("news.*")) console.log(message.subject, message.data);
 */
import { connect } from "./connect.js";
import { setDefaultClient } from "./sync/default_client.js";

setDefaultClient(() => connect());

export { connect, getClient } from "./connect.js";
export { Client, type Connection } from "./client.js";
export { DataEncoding, decode, encode } from "./codec.js";
export { ConatError, type ErrorCode } from "./errors.js";
export { Emitter, type EventMap } from "./emitter.js";
export {
  Message, MessageData, messageData, type MessageHeaders, type MessageOptions, type PublishResult, type RespondOptions,
  type SyncPublishResult,
} from "./message.js";
export { Subscription, type OverflowPolicy, type SubscriptionEvents, type SubscriptionOptions } from "./subscription.js";
export type { Auth, ConnectOptions } from "./options.js";
export { Patterns } from "./patterns.js";
export { setDefaultSocketTimeouts, setDefaultTimeouts } from "./timeouts.js";
export type {
  AnyApi, ClientEvents, ClientState, ClientStats, PublishOptions, Remote, RemoteMany, RequestManyOptions,
  RequestOptions, ServerInfo, ServiceImplementation, SubscribeOptions, Traffic,
} from "./types.js";
export {
  DKV, type BuiltInMerge, type DKVEvents, type DKVOptions, type MergeFunction, type MergeInput, type SetOptions,
  type StreamConfig,
} from "./dkv/index.js";
export { AKV, type AKVSetOptions } from "./akv/akv.js";
export { AStream, type AStreamChange, type AStreamMessage, type AStreamPublishOptions } from "./astream/astream.js";
export {
  CoreStream, cstream, type CoreStreamChange, type CoreStreamDeleteOptions, type CoreStreamEvents,
  type CoreStreamOptions, type CoreStreamPublishOptions, type RawStreamMessage,
} from "./core_stream/index.js";
export { DKO, type DKOEvents, type DKOOptions, type FieldPath } from "./dko/index.js";
export {
  DStream, dstream, type DStreamDeleteOptions, type DStreamEvents, type DStreamOptions, type DStreamPublishOptions,
} from "./dstream/index.js";
export { inventory, Inventory, type InventoryEntry, type InventoryFilter, type InventoryScope } from "./inventory/inventory.js";
export type { InventoryRecord, StoreType } from "./inventory/records.js";
export { PubSub, type PubSubEvents, type PubSubOptions } from "./pubsub/pubsub.js";
export {
  stringId, SyncTable, type Row, type SyncTableChange, type SyncTableEvents, type SyncTableOptions, type SyncTableState,
  type TableQuery,
} from "./synctable/index.js";
export {
  createOpenFiles, OpenFiles, openFiles, type OpenFileEntry, type OpenFilesEvents, type OpenFilesOptions,
} from "./open_files/open_files.js";
export {
  createTimeService, getLastPingTime, getSkew, getTime, timeClient, timeSubject, waitUntilTimeAvailable, type TimeApi,
  type TimeOptions, type TimeServiceOptions, type TimeUser,
} from "./time/time.js";
export { type Feed } from "./async_queue.js";
export {
  assertHasWritePermission, setDefaultReconnectDelay, StreamClient, type CallTimeout, type DeleteChange,
  type DeleteOptions, type RangeOptions, type SetChange, type SetOperation, type SetOutcome, type StorageOptions,
  type StoredAt, type StoredMessage, type StreamChange, type StreamEvents, type StreamInventory, type StreamOptions,
  type StreamUser,
} from "./stream/index.js";
export { stream } from "./sync/standalone.js";
export type { AsyncStoreEvents, AsyncStoreOptions, StoreOptions, SyncNamespace } from "./sync/index.js";
export {
  ClientSocket, ServerSocket, SocketServer, SocketRequest, SOCKET_HEADER_CMD, type SocketCommand,
  type SocketConnectOptions, type SocketEvents, type SocketListenOptions, type SocketOptions, type SocketServerEvents,
  type SocketState, type SocketSubscription, type SocketWriteOptions,
} from "./socket/index.js";
