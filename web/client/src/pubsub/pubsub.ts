// Ephemeral broadcast within a project: cursors, presence, "somebody is typing".
import type { Client } from "../client.js";
import { bindMethods } from "../dkv/properties.js";
import { Emitter } from "../emitter.js";
import { closed, ConatError } from "../errors.js";
import type { Subscription } from "../subscription.js";
import { clientOf } from "../sync/default_client.js";

export interface PubSubOptions {
  /** Among whom: everybody who may use this project. */
  project_id: string;
  /** What it is about, for example `cursors`; a part of a subject, so without dots, spaces and wildcards. */
  name: string;
  /** For one file; any text. Default: for the project as a whole. */
  path?: string | undefined;
  /** Default: what `connect()` gives. */
  client?: Client | undefined;
}

export type PubSubEvents<T> = {
  /** Somebody set a value, oneself included. */
  change: [value: T];
  /** It is listening: what is set from now on arrives. */
  connected: [];
  /** The server refuses it for good (403, 429); it is closed then. */
  error: [error: ConatError];
  closed: [];
};

function base64(text: string): string {
  let binary = "";
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** The subject of a broadcast. */
export function pubSubSubject({ project_id, name, path }: Pick<PubSubOptions, "project_id" | "name" | "path">): string {
  const isToken = (text: unknown): boolean => typeof text === "string" && /^[^\s.*>]+$/.test(text);
  if (!isToken(project_id)) throw new ConatError("project_id must be a text without dots, spaces and wildcards");
  if (!isToken(name)) throw new ConatError("the name must be a text without dots, spaces and wildcards");
  return `project.${project_id}.-.pubsub-${name}.${path ? base64(path) : "-"}`;
}

/**
 * Values that everybody who listens now gets, and that nothing keeps. Values set while there is no connection are
 * dropped. Methods work detached from the object.
 */
export class PubSub<T = unknown> extends Emitter<PubSubEvents<T>> {
  readonly subject: string;
  readonly #client: Client;
  #subscription: Subscription<T> | undefined;
  #closed = false;

  /** Listens at once, also before there is a server. @throws ConatError for a bad name or project, `closed`. */
  constructor({ project_id, name, path, client }: PubSubOptions) {
    super();
    this.subject = pubSubSubject({ project_id, name, path });
    this.#client = client ?? (clientOf(undefined) as unknown as Client);
    if (this.#client.isClosed()) throw closed();
    bindMethods(this);
    void this.#listen();
  }

  /**
   * Tells a value to everybody who listens. Fire and forget.
   * @throws ConatError `closed`, and 403 when the server refused the subject within the last minute; Error when the
   *   value cannot be encoded.
   */
  set(value: T): void {
    if (this.#closed) throw closed();
    this.#client.publishSync(this.subject, value);
  }

  /** Whether it was closed. */
  isClosed(): boolean {
    return this.#closed;
  }

  /** Stops listening; afterwards `set` throws `closed`. At once and as often as one likes. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#subscription?.close();
    this.emit("closed");
    this.removeAllListeners();
  }

  async #listen(): Promise<void> {
    try {
      const subscription = await this.#subscribe();
      if (this.#closed) return subscription.close();
      this.#subscription = subscription;
      this.emit("connected");
      for await (const message of subscription) this.#onMessage(message);
      if (subscription.refusal !== undefined) throw subscription.refusal;
    } catch (error) {
      if (!this.#closed && !this.#client.isClosed()) this.emit("error", error as ConatError);
    }
    this.close();
  }

  // A server that did not answer in time is asked again.
  async #subscribe(): Promise<Subscription<T>> {
    for (;;) {
      try {
        return await this.#client.subscribe<T>(this.subject);
      } catch (error) {
        const { code } = error as ConatError;
        if (this.#closed || (code !== 408 && code !== 503)) throw error;
      }
    }
  }

  #onMessage(message: { readonly data: T }): void {
    let value: T;
    try {
      value = message.data;
    } catch {
      return; // malformed, which any sender can send
    }
    if (!this.#closed) this.emit("change", value);
  }
}
