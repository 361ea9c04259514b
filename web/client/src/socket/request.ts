// A request that came through a socket.
import { MessageData, type MessageOptions, type PublishResult, type RespondOptions, type Responder } from "../message.js";
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

  /** Answers. @throws ConatError as `publish`, unless `noThrow`. */
  async respond(value: unknown, options: MessageOptions & RespondOptions = {}): Promise<PublishResult> {
    return this.#client.publish(this.#reply, value, { waitForInterest: true, ...options });
  }

  /** Answers without waiting; the answer is lost when there is no connection. */
  respondSync(value: unknown, options: MessageOptions = {}): { bytes: number; count: number } {
    return { ...this.#client.publishSync(this.#reply, value, options), count: 0 };
  }
}
