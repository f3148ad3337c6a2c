/** How late this process is: what it was to do now waited for so long, on average over the last second. */

import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Clock } from '../runtime/clock.ts';

const RESOLUTION_MILLISECONDS = 20;
const WINDOW_MILLISECONDS = 1000;
const NANOSECONDS = 1e6;

/** Measures until it is disposed of; `milliseconds` is the lag beyond what the measuring itself takes. */
export function watchLag(clock: Pick<Clock, 'after'>): Disposable & { milliseconds(): number } {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MILLISECONDS });
  let latest = 0;
  let timer: Disposable;
  const look = () => {
    latest = histogram.count > 0 ? Math.max(0, histogram.mean / NANOSECONDS - RESOLUTION_MILLISECONDS) : latest;
    histogram.reset();
    timer = clock.after(WINDOW_MILLISECONDS, look);
  };
  histogram.enable();
  timer = clock.after(WINDOW_MILLISECONDS, look);
  return {
    milliseconds: () => latest,
    [Symbol.dispose]() {
      timer[Symbol.dispose]();
      histogram.disable();
    },
  };
}
