// The shared board: one key for each note in a DKV with the built-in merge "fields", so that one person
// may move a note while another types in it.
import type { DKV } from "conat-client";
import { byId, make } from "./dom.js";

export interface Note {
  x: number; // position on the board, 0 to 1
  y: number;
  text: string;
  color: number; // index into the palette of the style sheet
  by: string;
}

const colors = 5;

export class Board {
  private readonly board = byId("board");
  private readonly notes = byId("notes");
  private readonly shown = new Map<string, HTMLElement>();

  constructor(
    private readonly store: DKV<Note>,
    private readonly author: () => string,
  ) {
    for (const [key, note] of Object.entries(store.getAll())) this.show(key, note);
    this.hint();
    // The event may be the echo of an older write of ours; the store knows what counts here now.
    store.on("change", ({ key }) => {
      const note = store.get(key);
      if (note === undefined) this.hide(key);
      else this.show(key, note);
    });
    this.board.addEventListener("dblclick", (event) => {
      if (event.target !== this.board && event.target !== this.notes && event.target !== byId("hint")) return;
      const box = this.board.getBoundingClientRect();
      this.add((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    });
    byId("add").addEventListener("click", () => this.add(0.1 + Math.random() * 0.6, 0.1 + Math.random() * 0.6));
  }

  private add(x: number, y: number): void {
    const key = `note-${crypto.randomUUID().slice(0, 8)}`;
    const note = { x: Math.min(x, 0.85), y: Math.min(y, 0.85), text: "", color: Math.floor(Math.random() * colors), by: this.author() };
    this.store.set(key, note);
    this.show(key, note).querySelector("textarea")?.focus();
  }

  private change(key: string, fields: Partial<Note>): void {
    const note = this.store.get(key);
    if (note !== undefined) this.store.set(key, { ...note, ...fields });
  }

  private show(key: string, note: Note): HTMLElement {
    let element = this.shown.get(key);
    if (element === undefined) {
      element = this.create(key);
      this.shown.set(key, element);
      this.notes.append(element);
      this.hint();
    }
    const text = element.querySelector("textarea");
    element.dataset["color"] = String(note.color);
    if (!element.classList.contains("dragging")) {
      element.style.left = `${note.x * 100}%`;
      element.style.top = `${note.y * 100}%`;
    }
    // Keep the caret where it is when somebody else changed the text being edited here.
    if (text !== null && text.value !== note.text) {
      const { selectionStart, selectionEnd } = text;
      text.value = note.text;
      if (document.activeElement === text) text.setSelectionRange(selectionStart, selectionEnd);
    }
    const by = element.querySelector(".by");
    if (by !== null) by.textContent = note.by;
    return element;
  }

  private hide(key: string): void {
    this.shown.get(key)?.remove();
    this.shown.delete(key);
    this.hint();
  }

  private hint(): void {
    byId("hint").classList.toggle("faded", this.shown.size > 0);
  }

  private create(key: string): HTMLElement {
    const element = make("article", "note");
    element.dataset["key"] = key;
    element.dataset["testid"] = "note";
    const bar = make("div", "bar");
    const paint = make("button", "paint");
    paint.title = "Another colour";
    paint.addEventListener("click", () => this.change(key, { color: ((this.store.get(key)?.color ?? 0) + 1) % colors }));
    const remove = make("button", "remove", "×");
    remove.title = "Delete this note";
    remove.addEventListener("click", () => {
      this.store.delete(key);
      this.hide(key);
    });
    bar.append(paint, make("span", "by"), remove);
    const text = make("textarea");
    text.placeholder = "Write…";
    text.spellcheck = false;
    text.addEventListener("input", () => this.change(key, { text: text.value }));
    element.append(bar, text);
    this.makeDraggable(element, bar, key);
    return element;
  }

  private makeDraggable(element: HTMLElement, handle: HTMLElement, key: string): void {
    handle.addEventListener("pointerdown", (down) => {
      if (down.target instanceof HTMLButtonElement) return;
      const box = this.board.getBoundingClientRect();
      const start = element.getBoundingClientRect();
      const [dx, dy] = [down.clientX - start.left, down.clientY - start.top];
      element.classList.add("dragging");
      handle.setPointerCapture(down.pointerId);
      const move = (event: PointerEvent): void => {
        const x = Math.min(Math.max((event.clientX - dx - box.left) / box.width, 0), 1 - start.width / box.width);
        const y = Math.min(Math.max((event.clientY - dy - box.top) / box.height, 0), 1 - start.height / box.height);
        element.style.left = `${x * 100}%`;
        element.style.top = `${y * 100}%`;
        this.change(key, { x, y });
      };
      const up = (): void => {
        element.classList.remove("dragging");
        handle.removeEventListener("pointermove", move);
      };
      handle.addEventListener("pointermove", move);
      handle.addEventListener("pointerup", up, { once: true });
      handle.addEventListener("pointercancel", up, { once: true });
    });
  }
}
