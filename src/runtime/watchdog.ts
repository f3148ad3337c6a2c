/** Gives up on what has gone silent. */

import { onAbort } from './abort.ts';
import type { Clock } from './clock.ts';

/** A signal that aborts with its parent, or when `touch` wasn't called for `milliseconds`. To be disposed of. */
export class Watchdog implements Disposable {
  readonly #abort = new AbortController();
  readonly #parent: Disposable;
  readonly #startTimer: () => Disposable;
  #timer: Disposable;
  #hasBarked = false;

  constructor(clock: Clock, milliseconds: number, parent: AbortSignal) {
    this.#parent = onAbort(parent, () => this.#abort.abort(parent.reason));
    this.#startTimer = () =>
      clock.after(milliseconds, () => {
        this.#hasBarked = true;
        this.#abort.abort(new Error(`silent for ${milliseconds} ms`));
      });
    this.#timer = this.#startTimer();
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Whether silence is what the signal aborted for. */
  get hasBarked(): boolean {
    return this.#hasBarked;
  }

  touch(): void {
    this.#timer[Symbol.dispose]();
    this.#timer = this.#startTimer();
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    this.#parent[Symbol.dispose]();
  }
}
