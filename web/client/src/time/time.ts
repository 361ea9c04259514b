// What time it is for everybody: the clock of a time service, as far as half a round trip tells it.
import type { Client } from "../client.js";
import { ConatError } from "../errors.js";
import { platform } from "../platform.js";
import { clientOf } from "../sync/default_client.js";
import type { Remote } from "../types.js";

/** Who asks, or nobody: the hub. */
export interface TimeUser {
  account_id?: string | undefined;
  project_id?: string | undefined;
}

/** What a time service offers. */
export interface TimeApi {
  /** ms since 1970. */
  time(): number;
}

export interface TimeOptions {
  /** Default: what `connect()` gives. */
  client?: Client | undefined;
}

export interface TimeServiceOptions extends TimeOptions {
  /** The clock that is served, ms since 1970. Default: this machine's. */
  now?: (() => number) | undefined;
}

const firstPause = 5_000; // ms; doubles with every measurement
const longestPause = 120_000; // ms
const answerTimeout = 10_000; // ms

const isTesting = (): boolean => Boolean(platform().environment("COCALC_TEST_MODE"));
// Tests serve time beside a real service.
const prefix = (): string => (isTesting() ? "time-test" : "time");
const defaultClient = (client: Client | undefined): Client => client ?? (clientOf(undefined) as unknown as Client);

/** Where a user asks for the time. @throws ConatError when it is both an account and a project. */
export function timeSubject({ account_id, project_id }: TimeUser = {}): string {
  if (account_id && project_id) throw new ConatError("give account_id or project_id, not both");
  const who = account_id ? `account-${account_id}` : project_id ? `project-${project_id}` : "hub";
  return `${prefix()}.${who}.api`;
}

function userOf(client: Client): TimeUser {
  const { account_id, project_id } = client.info?.user ?? {};
  return { account_id, project_id };
}

/**
 * Asks the time service. Default: as the user that the server takes the client for.
 * @throws ConatError as `request`: 503 when there is no time service, 408.
 */
export function timeClient(user?: TimeUser, { client }: TimeOptions = {}): Remote<TimeApi> {
  const asking = defaultClient(client);
  return asking.call<TimeApi>(timeSubject(user ?? userOf(asking)), { timeout: answerTimeout });
}

/**
 * Serves the time to all users.
 * @returns how to end that. @throws ConatError as `subscribe`: 403 for who may not.
 */
export async function createTimeService({ client, now = Date.now }: TimeServiceOptions = {}): Promise<{ close(): void }> {
  const subscription = await defaultClient(client).service(`${prefix()}.*.api`, { time: () => now() });
  return { close: () => subscription.close() };
}

/** The synchronized clock of one client. */
class Clock {
  skew: number | undefined; // ms that the service is ahead
  ping: number | undefined; // ms
  readonly #client: Client;
  #pause = firstPause;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #measuring: Promise<number> | undefined;

  constructor(client: Client) {
    this.#client = client;
    client.once("closed", () => clearTimeout(this.#timer));
    void this.measure();
  }

  /** Measures now, unless that is under way. */
  measure(): Promise<number> {
    this.#measuring ??= this.#measure().finally(() => {
      this.#measuring = undefined;
      this.#schedule();
    });
    return this.#measuring;
  }

  async #measure(): Promise<number> {
    if (isTesting()) return (this.skew = 0);
    try {
      await this.#client.waitUntilSignedIn({ timeout: answerTimeout });
      const [start, sent] = [performance.now(), Date.now()];
      const time = await timeClient(undefined, { client: this.#client }).time();
      if (typeof time !== "number" || !Number.isFinite(time)) throw new ConatError("the time service answered no number");
      this.ping = performance.now() - start;
      // What it told it told in the middle, as far as one can know.
      this.skew = time - (sent + this.ping / 2);
    } catch {
      // Without a measurement this machine's clock is the best there is.
      this.skew ??= 0;
    }
    return this.skew;
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#client.isClosed() || isTesting()) return;
    this.#timer = setTimeout(() => void this.measure(), this.#pause);
    this.#pause = Math.min(longestPause, this.#pause * 2);
    // Keeps no process alive.
    (this.#timer as { unref?: () => void }).unref?.();
  }
}

const clocks = new WeakMap<Client, Clock>();

function clockOf(client: Client | undefined): Clock {
  const owner = defaultClient(client);
  let clock = clocks.get(owner);
  if (clock === undefined) clocks.set(owner, (clock = new Clock(owner)));
  return clock;
}

/**
 * What time it is for everybody, ms since 1970. The first call begins to measure: at once, again after 5 s, then after
 * twice as long each time, up to 2 minutes.
 * @throws ConatError `clock skew not known` before the first measurement, unless `noError`: then it is this machine's
 *   time.
 */
export function getTime({ noError = false, client }: TimeOptions & { noError?: boolean | undefined } = {}): number {
  const { skew } = clockOf(client);
  if (skew !== undefined) return Date.now() + skew;
  if (isTesting() || noError) return Date.now();
  throw new ConatError("clock skew not known");
}

/** Measures now. @returns the ms that the service's clock is ahead of this machine's; 0 when it cannot be known. */
export async function getSkew({ client }: TimeOptions = {}): Promise<number> {
  return clockOf(client).measure();
}

/** Resolves when `getTime` knows. */
export async function waitUntilTimeAvailable({ client }: TimeOptions = {}): Promise<void> {
  const clock = clockOf(client);
  if (clock.skew === undefined) await clock.measure();
}

/** ms of the last round trip to the time service; undefined before the first. */
export function getLastPingTime({ client }: TimeOptions = {}): number | undefined {
  return clockOf(client).ping;
}
