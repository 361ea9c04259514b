// Stores whose keys are properties, and whose methods work detached from their object.

interface Store {
  get(key: string): unknown;
  set(key: string, value: unknown): void;
  delete(key: string): void;
  has(key: string): boolean;
  keys(): string[];
}

/** Makes the methods of an object work detached from it. */
export function bindMethods(store: object): void {
  for (let proto = Object.getPrototypeOf(store) as object; proto !== Object.prototype; proto = Object.getPrototypeOf(proto) as object) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(proto))) {
      if (typeof value !== "function" || name === "constructor" || Object.hasOwn(store, name)) continue;
      const method = value as (...args: unknown[]) => unknown;
      // Configurable, because a proxy may only hide such properties.
      Object.defineProperty(store, name, { value: method.bind(store), configurable: true });
    }
  }
}

/** The store as programs get it: what is no member of the class is a key. */
export function withProperties<S extends Store & object>(store: S): S {
  bindMethods(store);
  const isMember = (name: string | symbol): boolean => typeof name === "symbol" || name in store;
  return new Proxy(store, {
    get: (target, name) => (isMember(name) ? Reflect.get(target, name, target) : target.get(name as string)),
    set(target, name, value) {
      if (isMember(name)) throw new TypeError(`method name '${String(name)}' is read only`);
      target.set(name as string, value);
      return true;
    },
    has: (target, name) => isMember(name) || target.has(name as string),
    deleteProperty(target, name) {
      if (isMember(name)) throw new TypeError(`method name '${String(name)}' is read only`);
      target.delete(name as string);
      return true;
    },
    ownKeys: (target) => target.keys(),
    getOwnPropertyDescriptor(target, name) {
      if (typeof name === "symbol" || !target.has(name)) return undefined;
      return { value: target.get(name), writable: true, enumerable: true, configurable: true };
    },
  });
}
