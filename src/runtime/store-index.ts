/** One index of a store: from a value to the keys of the objects that have it. */

import { isDeepStrictEqual } from 'node:util';

export class StoreIndex<T> {
  readonly #valuesOf: (object: T) => readonly string[];
  readonly #keys = new Map<string, Set<string>>();
  /** What each key is filed under; not worked out again, so that it is found even if the object was changed in place. */
  readonly #filed = new Map<string, readonly string[]>();

  constructor(valuesOf: (object: T) => readonly string[]) {
    this.#valuesOf = valuesOf;
  }

  /** An object whose values stay keeps its place: those of one value are found in the order of their coming. */
  set(key: string, object: T): void {
    const values = this.#valuesOf(object);
    if (isDeepStrictEqual(values, this.#filed.get(key))) return;
    this.delete(key);
    if (values.length === 0) return;
    this.#filed.set(key, values);
    for (const value of values) {
      const keys = this.#keys.get(value);
      if (keys) keys.add(key);
      else this.#keys.set(value, new Set([key]));
    }
  }

  delete(key: string): void {
    for (const value of this.#filed.get(key) ?? []) {
      const keys = this.#keys.get(value);
      keys?.delete(key);
      if (keys?.size === 0) this.#keys.delete(value);
    }
    this.#filed.delete(key);
  }

  keys(value: string): Iterable<string> {
    return this.#keys.get(value) ?? [];
  }
}
