// The broker's page. Everything on it goes through the public API of conat-client, which is also
// reachable in the developer tools: try `await conat.client.request(...)` or `conat.board.getAll()`.
import { connect, type Client, type DKV } from "conat-client";
import { Board, type Note } from "./board.js";
import { Chat } from "./chat.js";
import { Feed } from "./feed.js";
import { Identity } from "./identity.js";
import { Presence } from "./presence.js";
import { Status } from "./status.js";
import { StoreView } from "./store.js";

declare global {
  interface Window {
    conat: { connect: typeof connect; client: Client; board?: DKV<Note> };
  }
}

const address = new URL(".", location.href).href.replace(/\/$/, "");
const client = connect({ address });
window.conat = { connect, client };

const me = new Identity();
new Status(client);
void new Presence(client, me).listen();
void new Chat(client, me).listen();
void new Feed(client).listen();

const store = await client.dkv<Note>({ name: "demo-board", merge: "fields" });
window.conat.board = store;
new Board(store, () => me.name);
new StoreView(store);
