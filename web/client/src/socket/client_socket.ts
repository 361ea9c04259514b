// The side of a socket that connects.
import type { Subscription } from "../subscription.js";
import type { RequestManyOptions } from "../types.js";
import { Endpoint, type SocketHost } from "./endpoint.js";
import type { SocketConnectOptions } from "./types.js";

/** @internal */
export interface ClientSocketHost extends SocketHost {
  connect(subject: string, options: SocketConnectOptions): ClientSocket;
}

/** A connection to one of the servers that listen on a subject; it comes back by itself. */
export class ClientSocket extends Endpoint {
  /** What it connected to. */
  readonly subject: string;
  readonly #clientHost: ClientSocketHost;
  readonly #options: SocketConnectOptions;
  #reconnection: boolean;

  /** @internal */
  constructor(host: ClientSocketHost, handle: number, subject: string, options: SocketConnectOptions) {
    super(host, handle, "connecting", options);
    this.#clientHost = host;
    this.#options = options;
    this.subject = subject;
    this.#reconnection = options.reconnection ?? true;
  }

  /** Whether it connects again after a loss. */
  get reconnection(): boolean {
    return this.#reconnection;
  }

  set reconnection(reconnection: boolean) {
    this.#reconnection = reconnection;
    if (this.state !== "closed") this.#clientHost.driver.fabric.socketSetReconnection(this.handle, reconnection);
  }

  /** @internal */
  protected override listensOn(): string {
    return `${this.subject}.client.${this.id}`;
  }

  /** Connects at once, if it is disconnected. */
  connect(): void {
    if (this.state === "closed") return;
    const { driver } = this.#clientHost;
    driver.fabric.socketReconnect(driver.now(), this.handle);
    driver.flush();
  }

  /** Asks the server; resolves to the answers as they come. An answer `null` is the last one. @throws as `request`. */
  async requestMany<T = unknown>(data?: unknown, options: RequestManyOptions = {}): Promise<Subscription<T>> {
    return (await this.askMany(data, options)) as Subscription<T>;
  }

  /** @internal Answers the core's question for a server. */
  async chooseServer(): Promise<void> {
    const { driver } = this.#clientHost;
    let [id, error] = ["", "the load balancer gave no id"];
    try {
      id = String((await this.#options.loadBalancer?.(this.subject)) ?? "");
    } catch (thrown) {
      error = String(thrown);
    }
    if (this.state === "closed") return;
    driver.fabric.socketChooseServer(driver.now(), this.handle, id, error);
    driver.schedule();
  }

  /** Another socket, to the server's channel of this name. */
  channel(name: string): ClientSocket {
    return this.#clientHost.connect(`${this.subject}.${name}`, { ...this.#options, desc: `${this.desc ?? ""}.channel('${name}')` });
  }
}
