// The DKV behind the board as a table, and whether everything of it is saved.
import type { DKV } from "conat-client";
import { byId, make } from "./dom.js";

const showRows = 100;

export class StoreView<T> {
  private drawing = false;

  constructor(private readonly store: DKV<T>) {
    for (const event of ["change", "stable", "reject"] as const) store.on(event, () => this.drawSoon());
    // Local writes show "saving…" from the moment they are made.
    setInterval(() => this.drawSaved(), 100);
    this.drawSoon();
  }

  private drawSoon(): void {
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      this.draw();
    });
  }

  private draw(): void {
    const keys = this.store.keys();
    byId("count").textContent = keys.length === 1 ? "1 key" : `${keys.length} keys`;
    byId("keys").replaceChildren(
      ...keys.slice(-showRows).reverse().map((key) => {
        const row = make("tr");
        const value = JSON.stringify(this.store.get(key)) ?? "";
        row.append(make("td", "", key), make("td", "", value.slice(0, 80)), make("td", "", String(this.store.seq(key) ?? "…")));
        row.title = value;
        return row;
      }),
    );
    this.drawSaved();
  }

  private drawSaved(): void {
    const pill = byId("saved");
    const unsaved = this.store.unsavedChanges().length;
    pill.hidden = false;
    pill.textContent = unsaved === 0 ? "saved" : `saving ${unsaved}…`;
    pill.dataset["state"] = unsaved === 0 ? "saved" : "saving";
  }
}
