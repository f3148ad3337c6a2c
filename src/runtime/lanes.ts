/** The order in which waiting keys are taken: in turn over lanes, first in first out within a lane. */

/** First in, first out, in amortised constant time (`Array.shift`, and Set as a queue, are linear). */
export class Fifo<T> {
  #items: T[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const item = this.#items[this.#head++];
    if (this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}

/** Guarantee: between two keys of one lane, every other lane with keys waiting gives one. */
export class Lanes {
  readonly #laneOf: (key: string) => string;
  readonly #lanes = new Map<string, Fifo<string>>();
  readonly #turns = new Fifo<string>();

  constructor(laneOf: (key: string) => string) {
    this.#laneOf = laneOf;
  }

  get isEmpty(): boolean {
    return this.#lanes.size === 0;
  }

  push(key: string): void {
    const lane = this.#laneOf(key);
    const keys = this.#lanes.get(lane);
    if (keys) {
      keys.push(key);
      return;
    }
    const fresh = new Fifo<string>();
    fresh.push(key);
    this.#lanes.set(lane, fresh);
    this.#turns.push(lane);
  }

  shift(): string | undefined {
    const lane = this.#turns.shift();
    const keys = lane === undefined ? undefined : this.#lanes.get(lane);
    if (lane === undefined || keys === undefined) return undefined;
    const key = keys.shift();
    if (keys.size > 0) this.#turns.push(lane);
    else this.#lanes.delete(lane);
    return key;
  }
}
