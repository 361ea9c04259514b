// What the page leaves on `window` for the developer tools, and for these tests.
import type { Client, connect, DKV } from "conat-client";

declare global {
  interface Window {
    conat: { connect: typeof connect; client: Client; board?: DKV<unknown> };
  }
}
