// A request that came through a socket.
import {
  MessageData, respondTo, type MessageOptions, type PublishResult, type RespondOptions, type Responder,
  type SyncPublishResult,
} from "../message.js";
import type { RawData } from "../wasm/records.js";

/** A request of the other side of a socket. */
export class SocketRequest<T = unknown> extends MessageData<T> {
  /** Where the answer goes. */
  readonly #reply: string;
  readonly #client: Responder;

  /** @internal */
  constructor(data: RawData, reply: string, client: Responder, bigint: boolean) {
    super(data, bigint);
    this.#reply = reply;
    this.#client = client;
  }

  isRequest(): boolean {
    return true;
  }

  /** Answers, as `Message.respond`. @throws ConatError as `publish`, unless `noThrow`. */
  respond(value: unknown, options: MessageOptions & RespondOptions = {}): Promise<PublishResult> {
    return respondTo(this.#client, this.#reply, value, options);
  }

  /** Answers without waiting; the answer is lost when there is no connection. */
  respondSync(value: unknown, options: MessageOptions = {}): SyncPublishResult {
    return this.#client.publishSync(this.#reply, value, options);
  }
}
