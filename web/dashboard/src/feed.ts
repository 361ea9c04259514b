// What arrives on demo.>, as it arrives: the newest lines and the rate of the last minute. Drawn at most
// once a frame, whatever the rate.
import type { Client, Message } from "conat-client";
import { byId, make } from "./dom.js";

const keepLines = 40;
const seconds = 60;

export class Feed {
  private readonly list = byId("feed");
  private waiting: HTMLElement[] = [];
  private readonly perSecond: number[] = new Array<number>(seconds).fill(0);
  private thisSecond = 0;

  constructor(private readonly client: Client) {
    setInterval(() => this.tick(), 1000);
  }

  async listen(): Promise<void> {
    for await (const message of await this.client.subscribe("demo.>")) this.add(message);
  }

  private add(message: Message): void {
    this.thisSecond += 1;
    const line = make("li");
    const value = JSON.stringify(message.data) ?? "undefined";
    line.append(make("code", "", message.subject), make("span", "", value.slice(0, 120)), make("small", "", `${message.length} B`));
    if (this.waiting.push(line) === 1) requestAnimationFrame(() => this.draw());
    if (this.waiting.length > keepLines) this.waiting.shift();
  }

  private draw(): void {
    this.list.prepend(...this.waiting.reverse());
    this.waiting = [];
    while (this.list.childElementCount > keepLines) this.list.lastElementChild?.remove();
  }

  private tick(): void {
    this.perSecond.push(this.thisSecond);
    this.perSecond.shift();
    byId("rate").textContent = `${this.thisSecond} msg/s`;
    this.thisSecond = 0;
    const top = Math.max(10, ...this.perSecond);
    const points = this.perSecond.map((count, i) => `${(i * 120) / (seconds - 1)} ${23 - (22 * count) / top}`);
    document.querySelector("#spark path")?.setAttribute("d", `M${points.join("L")}`);
  }
}
