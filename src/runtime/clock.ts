/** Time as an argument: the only file that reads the machine's clock or sets a timer. */

import { AbortError, onAbort } from './abort.ts';

export interface Clock {
  /** Wall time, for what is written down. May jump either way. */
  now(): Date;
  /** Milliseconds since a fixed moment; never goes back. For measuring. */
  monotonic(): number;
  /** Resolves after `milliseconds`; rejects with AbortError as soon as `signal` aborts. Keeps the process alive. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  /** Calls `run` once after `milliseconds`, unless disposed of before. Doesn't keep the process alive. */
  after(milliseconds: number, run: () => void): Disposable;
}

/** setTimeout fires at once for anything longer. */
const LONGEST_TIMER_MILLISECONDS = 2 ** 31 - 1;

function startTimer(milliseconds: number, run: () => void, keepAlive: boolean): Disposable {
  let timer: NodeJS.Timeout;
  const arm = (left: number): void => {
    const step = Math.min(left, LONGEST_TIMER_MILLISECONDS);
    timer = setTimeout(() => (left > step ? arm(left - step) : run()), step);
    if (!keepAlive) timer.unref();
  };
  arm(milliseconds);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

/** `Clock.sleep` made of `Clock.after`. */
export function sleepWith(after: Clock['after'], milliseconds: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  if (signal === undefined) {
    after(milliseconds, resolve);
    return promise;
  }
  if (signal.aborted) return Promise.reject(new AbortError(signal.reason));
  const listener = onAbort(signal, () => {
    timer[Symbol.dispose]();
    reject(new AbortError(signal.reason));
  });
  const timer = after(milliseconds, () => {
    listener[Symbol.dispose]();
    resolve();
  });
  return promise;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),
  sleep: (milliseconds, signal) => sleepWith((ms, run) => startTimer(ms, run, true), milliseconds, signal),
  after: (milliseconds, run) => startTimer(milliseconds, run, false),
};

/** Something took longer than it was given. */
export class TimeoutError extends Error {
  override readonly name = 'TimeoutError';

  constructor(milliseconds: number) {
    super(`not done within ${milliseconds} ms`);
  }
}

/**
 * What `promise` gives, or a rejection with TimeoutError after `milliseconds`.
 *
 * Caveat: the work behind `promise` goes on; what comes of it later is ignored, an error included.
 */
export function within<T>(clock: Clock, milliseconds: number, promise: Promise<T>): Promise<T> {
  const { promise: outcome, resolve, reject } = Promise.withResolvers<T>();
  const timer = clock.after(milliseconds, () => reject(new TimeoutError(milliseconds)));
  promise.then(resolve, reject).finally(() => timer[Symbol.dispose]());
  return outcome;
}
