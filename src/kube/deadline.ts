/** A signal that aborts when time is over. */

import type { Clock } from '../runtime/clock.ts';
import { KubeError } from './error.ts';

export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
}

/** Aborts as `signal` does, or with a `KubeError` after `milliseconds`, unless disposed of before. */
export function startDeadline(clock: Clock, milliseconds: number, signal?: AbortSignal): Deadline {
  const timeout = new AbortController();
  const timer = clock.after(milliseconds, () =>
    timeout.abort(new KubeError(0, 'Timeout', `the API server took longer than ${Math.round(milliseconds)} ms`)),
  );
  return {
    signal: signal === undefined ? timeout.signal : AbortSignal.any([signal, timeout.signal]),
    [Symbol.dispose]: () => timer[Symbol.dispose](),
  };
}
