// Chat on demo.chat: publish with acknowledgement, so that a line that reached nobody says so.
import type { Client } from "conat-client";
import { byId, make } from "./dom.js";
import { colorOf, type Identity } from "./identity.js";

interface Line {
  name: string;
  text: string;
}

const keepLines = 200;

export class Chat {
  private readonly list = byId("chat");

  constructor(
    private readonly client: Client,
    private readonly me: Identity,
  ) {
    byId<HTMLFormElement>("say").addEventListener("submit", (event) => {
      event.preventDefault();
      const input = byId<HTMLInputElement>("text");
      const text = input.value.trim();
      if (!text) return;
      input.value = "";
      this.say(text).catch((error: unknown) => this.note(`not sent: ${String(error)}`));
    });
  }

  async listen(): Promise<void> {
    for await (const message of await this.client.subscribe("demo.chat")) {
      const { name, text } = message.data as Line;
      this.show(String(name), String(text));
    }
  }

  private async say(text: string): Promise<void> {
    await this.client.publish("demo.chat", { name: this.me.name, text }, { timeout: 10_000 });
  }

  private show(name: string, text: string): void {
    const line = make("li");
    const author = make("b", "", name);
    author.style.color = colorOf(name);
    line.append(author, make("span", "", text));
    this.append(line);
  }

  private note(text: string): void {
    this.append(make("li", "problem", text));
  }

  private append(line: HTMLElement): void {
    const atEnd = this.list.scrollTop + this.list.clientHeight >= this.list.scrollHeight - 8;
    this.list.append(line);
    while (this.list.childElementCount > keepLines) this.list.firstElementChild?.remove();
    if (atEnd) this.list.scrollTop = this.list.scrollHeight;
  }
}
