/** The work queue of a controller: which keys are to be reconciled, when, and never one of them twice at once. */

import { type Backoff, Failures, type Random } from './backoff.ts';
import type { Clock } from './clock.ts';
import { Fifo, Lanes } from './lanes.ts';

/** What happens, as it happens; `depth` and the two gauges of running work are read from the queue. */
export interface WorkQueueMetrics {
  /** A key was queued (not: was queued already). */
  added(): void;
  /** A key was queued again by `addRateLimited`. */
  retried(): void;
  /** How long a key was queued before it was taken. */
  queueDuration(seconds: number): void;
  /** How long a key was in work. */
  workDuration(seconds: number): void;
}

export interface WorkQueueOptions {
  clock: Clock;
  random: Random;
  /** Of `addRateLimited`; 5 ms, doubled up to a minute, if absent. */
  backoff?: Backoff;
  /** Keys are taken in turn over lanes, such as namespaces, so that no lane can starve the others. One lane if absent. */
  laneOf?: (key: string) => string;
  metrics?: WorkQueueMetrics;
}

const DEFAULT_BACKOFF: Backoff = { baseMilliseconds: 5, maximumMilliseconds: 60_000, jitter: 0.1 };

/**
 * Guarantees:
 * - A key is in the hands of one worker at most, from `get` to `done`.
 * - After `add`, the key is taken at least once more, also where it is in work at that moment.
 * - However often a key is added, it is queued once, at the earliest of the times asked for.
 *
 * Caveats: a key whose time was asked for twice is taken once only, at the earlier time; whoever takes it decides again
 * when it is due next. Lanes take turns in being begun; work that is slow holds its workers whatever its lane. Nothing is
 * kept over a restart.
 */
export class WorkQueue {
  readonly #clock: Clock;
  readonly #failures: Failures;
  readonly #metrics: WorkQueueMetrics | undefined;
  readonly #ready: Lanes;
  /** Keys to be taken, with since when: those that are ready, and those in work that shall run once more. */
  readonly #queued = new Map<string, number>();
  /** Keys in work, with since when. */
  readonly #processing = new Map<string, number>();
  readonly #delayed = new Map<string, { at: number; timer: Disposable }>();
  readonly #waiting = new Fifo<(key: string | undefined) => void>();
  readonly #idle = Promise.withResolvers<void>();
  #closed = false;

  constructor({ clock, random, backoff = DEFAULT_BACKOFF, laneOf = () => '', metrics }: WorkQueueOptions) {
    this.#clock = clock;
    this.#failures = new Failures(backoff, random);
    this.#ready = new Lanes(laneOf);
    this.#metrics = metrics;
  }

  /** Keys to be taken as soon as may be: neither delayed ones, nor those in work without a change since. */
  get depth(): number {
    return this.#queued.size;
  }

  /** Keys in work. */
  get processing(): string[] {
    return [...this.#processing.keys()];
  }

  /** The time that keys have been in work without being done, added up. */
  get unfinishedSeconds(): number {
    const now = this.#clock.monotonic();
    return [...this.#processing.values()].reduce((sum, since) => sum + (now - since) / 1000, 0);
  }

  /** How long the key longest in work has been so; 0 where there is none. */
  get longestRunningSeconds(): number {
    const now = this.#clock.monotonic();
    return [...this.#processing.values()].reduce((longest, since) => Math.max(longest, (now - since) / 1000), 0);
  }

  /** Queues `key` now. Ignored after `shutDown`. */
  add(key: string): void {
    if (this.#closed || this.#queued.has(key)) return;
    this.#cancelDelay(key);
    this.#queued.set(key, this.#clock.monotonic());
    this.#metrics?.added();
    if (this.#processing.has(key)) return;
    this.#ready.push(key);
    this.#handOut();
  }

  /** Queues `key` in `milliseconds`; has no effect where it is to be taken earlier anyway. */
  addAfter(key: string, milliseconds: number): void {
    if (this.#closed || this.#queued.has(key)) return;
    if (milliseconds <= 0) {
      this.add(key);
      return;
    }
    const at = this.#clock.monotonic() + milliseconds;
    const planned = this.#delayed.get(key);
    if (planned !== undefined && planned.at <= at) return;
    planned?.timer[Symbol.dispose]();
    this.#delayed.set(key, { at, timer: this.#clock.after(milliseconds, () => this.add(key)) });
  }

  /** Queues `key` after a delay that doubles each time, until `forget`. */
  addRateLimited(key: string): void {
    this.#metrics?.retried();
    this.addAfter(key, this.#failures.next(key));
  }

  /** Ends the row of failures of `key`: its next `addRateLimited` is quick again. Doesn't take it out of the queue. */
  forget(key: string): void {
    this.#failures.forget(key);
  }

  /** The next key, as soon as there is one; undefined after `shutDown`. `done` must follow. */
  get(): Promise<string | undefined> {
    if (!this.#ready.isEmpty) return Promise.resolve(this.#take());
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The work on `key` has ended. Throws where it wasn't in work. */
  done(key: string): void {
    const since = this.#processing.get(key);
    if (since === undefined) throw new Error(`done without get: ${key}`);
    this.#processing.delete(key);
    this.#metrics?.workDuration((this.#clock.monotonic() - since) / 1000);
    if (this.#queued.has(key)) {
      this.#ready.push(key);
      this.#handOut();
    }
    this.#resolveIfIdle();
  }

  /**
   * Takes no more keys and forgets the delayed ones. With `drain`, keys already queued are still handed out; without,
   * they are dropped. Resolves when nothing is queued or in work. May be called again, to drop what is still queued.
   */
  shutDown({ drain }: { drain: boolean }): Promise<void> {
    this.#closed = true;
    for (const key of this.#delayed.keys()) this.#cancelDelay(key);
    if (!drain) {
      this.#queued.clear();
      while (!this.#ready.isEmpty) this.#ready.shift();
    }
    while (this.#waiting.size > 0) this.#waiting.shift()?.(undefined);
    this.#resolveIfIdle();
    return this.#idle.promise;
  }

  #take(): string | undefined {
    const key = this.#ready.shift();
    if (key === undefined) return undefined;
    const now = this.#clock.monotonic();
    this.#metrics?.queueDuration((now - (this.#queued.get(key) ?? now)) / 1000);
    this.#queued.delete(key);
    this.#processing.set(key, now);
    return key;
  }

  #handOut(): void {
    if (this.#waiting.size > 0) this.#waiting.shift()?.(this.#take());
  }

  #cancelDelay(key: string): void {
    this.#delayed.get(key)?.timer[Symbol.dispose]();
    this.#delayed.delete(key);
  }

  #resolveIfIdle(): void {
    if (this.#closed && this.#queued.size === 0 && this.#processing.size === 0) this.#idle.resolve();
  }
}
