// Values by pattern, found by subject.

interface Node<T> {
  children: Map<string, Node<T>>;
  value: T | undefined;
  /** Whether a pattern ends here: `value` may be anything. */
  ends: boolean;
}

const newNode = <T>(): Node<T> => ({ children: new Map(), value: undefined, ends: false });

/**
 * A map from patterns (`a.*.c`, `a.>`) to values, with lookup by subject. `*` matches one token, a last token `>` one
 * or more.
 */
export class Patterns<T> {
  #root = newNode<T>();
  #size = 0;

  /** How many patterns there are. */
  get size(): number {
    return this.#size;
  }

  /** Sets the value of a pattern. */
  set(pattern: string, value: T): void {
    let node = this.#root;
    for (const token of pattern.split(".")) {
      let child = node.children.get(token);
      if (child === undefined) node.children.set(token, (child = newNode()));
      node = child;
    }
    if (!node.ends) this.#size += 1;
    node.value = value;
    node.ends = true;
  }

  /** The value of exactly this pattern. */
  get(pattern: string): T | undefined {
    return this.#find(pattern)?.value;
  }

  /** Forgets a pattern. */
  delete(pattern: string): void {
    const tokens = pattern.split(".");
    const path: Node<T>[] = [this.#root];
    for (const token of tokens) {
      const child = path.at(-1)?.children.get(token);
      if (child === undefined) return;
      path.push(child);
    }
    const last = path.at(-1);
    if (last === undefined || !last.ends) return;
    last.ends = false;
    last.value = undefined;
    this.#size -= 1;
    for (let i = tokens.length; i > 0; i--) {
      const node = path[i] as Node<T>;
      if (node.ends || node.children.size > 0) return;
      path[i - 1]?.children.delete(tokens[i - 1] as string);
    }
  }

  /** All patterns that match the subject, sorted. */
  matches(subject: string): string[] {
    const found: string[] = [];
    this.#match(subject.split("."), (pattern) => {
      found.push(pattern);
      return true;
    });
    return found.sort();
  }

  /** Whether any pattern matches the subject. */
  hasMatch(subject: string): boolean {
    return !this.#match(subject.split("."), () => false);
  }

  #find(pattern: string): Node<T> | undefined {
    let node: Node<T> | undefined = this.#root;
    for (const token of pattern.split(".")) {
      node = node.children.get(token);
      if (node === undefined) return undefined;
    }
    return node.ends ? node : undefined;
  }

  // Walks the nodes that match, breadth first, so that long subjects do not recurse. Stops when `visit` says false;
  // returns whether it went through all.
  #match(tokens: string[], visit: (pattern: string) => boolean): boolean {
    let level: [Node<T>, string[]][] = [[this.#root, []]];
    for (const token of tokens) {
      const next: [Node<T>, string[]][] = [];
      for (const [node, path] of level) {
        if (node.children.get(">")?.ends && !visit([...path, ">"].join("."))) return false;
        const wild = node.children.get("*");
        if (wild !== undefined) next.push([wild, [...path, "*"]]);
        const exact = token === "*" ? undefined : node.children.get(token);
        if (exact !== undefined && token !== ">") next.push([exact, [...path, token]]);
      }
      level = next;
    }
    for (const [node, path] of level) if (node.ends && !visit(path.join("."))) return false;
    return true;
  }
}
