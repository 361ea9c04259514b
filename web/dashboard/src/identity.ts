// Who this browser is to the others on the page: a name that it keeps, and a colour that follows from
// the name.
import { byId } from "./dom.js";

const animals = ["Otter", "Heron", "Lynx", "Finch", "Badger", "Marten", "Wren", "Hare", "Ibis", "Newt", "Orca", "Kestrel"];
const moods = ["Quick", "Calm", "Bold", "Bright", "Gentle", "Keen", "Merry", "Wise"];

const pick = (list: readonly string[]): string => list[Math.floor(Math.random() * list.length)] ?? "";

export function colorOf(name: string): string {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) | 0;
  return `hsl(${((hash % 360) + 360) % 360} 70% 45%)`;
}

export class Identity {
  name: string;

  constructor() {
    const input = byId<HTMLInputElement>("name");
    // Each tab is a person of its own; a name that was typed is remembered for the next one.
    this.name = sessionStorage.getItem("name") ?? localStorage.getItem("name") ?? `${pick(moods)} ${pick(animals)}`;
    sessionStorage.setItem("name", this.name);
    input.value = this.name;
    input.addEventListener("change", () => {
      this.name = input.value.trim() || this.name;
      input.value = this.name;
      sessionStorage.setItem("name", this.name);
      localStorage.setItem("name", this.name);
    });
  }

  get color(): string {
    return colorOf(this.name);
  }
}
