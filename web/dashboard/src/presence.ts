// Cursors and who is here: plain publish/subscribe, nothing stored. Everyone publishes a small message
// on demo.cursor.{client id} when the pointer moves (at most every 40 ms) and every 2 s; who is silent
// for 6 s is gone.
import type { Client } from "conat-client";
import { byId, make } from "./dom.js";
import { colorOf, type Identity } from "./identity.js";

interface Beat {
  name: string;
  x?: number;
  y?: number;
  gone?: boolean;
}

interface Person {
  name: string;
  seen: number;
  cursor: HTMLElement;
  label: HTMLElement;
}

const moveEveryMs = 40;
const beatEveryMs = 2000;
const goneAfterMs = 6000;

export class Presence {
  private readonly people = new Map<string, Person>();
  private readonly board = byId("board");
  private position: { x: number; y: number } | undefined;
  private lastSent = 0;
  private pending = false;

  constructor(
    private readonly client: Client,
    private readonly me: Identity,
  ) {
    this.board.addEventListener("pointermove", (event) => {
      const box = this.board.getBoundingClientRect();
      this.position = { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
      this.sendSoon();
    });
    setInterval(() => {
      this.send();
      this.dropSilent();
    }, beatEveryMs);
    addEventListener("pagehide", () => this.publish({ name: this.me.name, gone: true }));
    client.on("connected", () => this.send());
    this.show();
  }

  async listen(): Promise<void> {
    const subscription = await this.client.subscribe("demo.cursor.*");
    this.send();
    for await (const message of subscription) {
      const id = message.subject.split(".")[2] ?? "";
      if (id !== this.client.id) this.update(id, message.data as Beat);
    }
  }

  private publish(beat: Beat): void {
    this.client.publishSync(`demo.cursor.${this.client.id}`, beat);
  }

  private sendSoon(): void {
    if (this.pending) return;
    this.pending = true;
    setTimeout(
      () => {
        this.pending = false;
        this.send();
      },
      Math.max(0, this.lastSent + moveEveryMs - performance.now()),
    );
  }

  private send(): void {
    this.lastSent = performance.now();
    this.publish({ name: this.me.name, ...this.position });
    this.show();
  }

  private update(id: string, beat: Beat): void {
    if (beat.gone) return this.remove(id);
    let person = this.people.get(id);
    if (person === undefined) {
      const cursor = make("div", "cursor");
      const label = make("span");
      cursor.append(label);
      cursor.hidden = true;
      byId("cursors").append(cursor);
      person = { name: "", seen: 0, cursor, label };
      this.people.set(id, person);
    }
    person.seen = performance.now();
    if (person.name !== beat.name) {
      person.name = beat.name;
      person.label.textContent = beat.name;
      person.cursor.style.setProperty("--color", colorOf(beat.name));
      this.show();
    }
    if (beat.x !== undefined && beat.y !== undefined) {
      person.cursor.hidden = false;
      person.cursor.style.left = `${beat.x * 100}%`;
      person.cursor.style.top = `${beat.y * 100}%`;
    }
  }

  private remove(id: string): void {
    this.people.get(id)?.cursor.remove();
    if (this.people.delete(id)) this.show();
  }

  private dropSilent(): void {
    for (const [id, person] of this.people) if (performance.now() - person.seen > goneAfterMs) this.remove(id);
  }

  private show(): void {
    const names = [this.me.name, ...[...this.people.values()].map((person) => person.name)];
    byId("people").replaceChildren(
      ...names.map((name) => {
        const initials = name.split(/\s+/).map((word) => word[0] ?? "").join("").slice(0, 2).toUpperCase();
        const badge = make("span", "badge", initials);
        badge.style.background = colorOf(name);
        badge.title = name;
        return badge;
      }),
    );
  }
}
