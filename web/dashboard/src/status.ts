// The connection's state in the header, with the round trip to the broker.
import type { Client } from "conat-client";
import { byId } from "./dom.js";

const measureEveryMs = 5000;

export class Status {
  private readonly pill = byId("status");

  constructor(private readonly client: Client) {
    client.on("connected", () => void this.measure());
    client.on("disconnected", () => this.show("disconnected", "reconnecting…"));
    client.on("info", () => void this.measure());
    setInterval(() => void this.measure(), measureEveryMs);
    void this.measure();
  }

  private async measure(): Promise<void> {
    if (this.client.state !== "connected") return;
    const start = performance.now();
    try {
      // An interest question goes to the broker and back, and nowhere else.
      await this.client.interest("demo.chat");
      this.show("connected", `connected · ${Math.max(0.1, performance.now() - start).toFixed(1)} ms`);
    } catch {
      // A lost connection is reported by its own event.
    }
  }

  private show(state: string, text: string): void {
    this.pill.dataset["state"] = state;
    this.pill.textContent = text;
  }
}
