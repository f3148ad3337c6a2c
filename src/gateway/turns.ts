/** What one at a time may do for a key: the others wait in order, neither too many nor too long. */

import type { Clock } from './deps.ts';

export interface TurnsOptions {
  clock: Clock;
  /** How many may wait for one key. */
  limit: number;
  milliseconds: number;
  /** What a turn that can't be had is refused with. */
  refusal: () => Error;
}

export class Turns {
  readonly #options: TurnsOptions;
  /** Whoever waits, by keys of which a turn is taken. */
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** Resolves when it is one's turn, which lasts until what it resolves with is disposed of. */
  async take(key: string): Promise<Disposable> {
    const waiting = this.#waiting.get(key);
    if (waiting) await this.#wait(waiting);
    else this.#waiting.set(key, new Set());
    return { [Symbol.dispose]: () => this.#pass(key) };
  }

  #wait(waiting: Set<() => void>): Promise<void> {
    const { clock, limit, milliseconds, refusal } = this.#options;
    if (waiting.size >= limit) throw refusal();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = clock.after(milliseconds, () => {
      waiting.delete(proceed);
      reject(refusal());
    });
    const proceed = () => {
      timer[Symbol.dispose]();
      resolve();
    };
    waiting.add(proceed);
    return promise;
  }

  #pass(key: string): void {
    const waiting = this.#waiting.get(key);
    const [next] = waiting ?? [];
    if (!next) this.#waiting.delete(key);
    else {
      waiting?.delete(next);
      next();
    }
  }
}
