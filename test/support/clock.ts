/** Time that stands still until a test moves it. */

import { setImmediate } from 'node:timers/promises';
import { type Clock, sleepWith } from '../../src/runtime/clock.ts';

interface Timer {
  at: number;
  run: () => void;
}

export class FakeClock implements Clock {
  readonly #start: number;
  readonly #timers = new Set<Timer>();
  #elapsed = 0;

  constructor(start = '2026-01-01T00:00:00Z') {
    this.#start = Date.parse(start);
  }

  now(): Date {
    return new Date(this.#start + this.#elapsed);
  }

  monotonic(): number {
    return this.#elapsed;
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return sleepWith((ms, run) => this.after(ms, run), milliseconds, signal);
  }

  after(milliseconds: number, run: () => void): Disposable {
    const timer = { at: this.#elapsed + Math.max(0, milliseconds), run };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => this.#timers.delete(timer) };
  }

  /** Timers that are set and have not fired: a test can see that none is left behind. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves on by `milliseconds`: fires each timer due at its own time, and lets all that follows from it happen first. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#elapsed + milliseconds;
    await settle();
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end)) {
      this.#elapsed = timer.at;
      this.#timers.delete(timer);
      timer.run();
      await settle();
    }
    this.#elapsed = end;
  }

  /** The earliest timer due by `end`; of several due together, the one set first. */
  #next(end: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.at <= end && (first === undefined || timer.at < first.at)) first = timer;
    }
    return first;
  }
}

/** Lets every promise that can go on without time passing go on. */
export const settle = (): Promise<void> => setImmediate();
