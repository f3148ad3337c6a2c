/** Metrics of work queues, under the names of client-go. */

import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { WorkQueue, WorkQueueMetrics } from '../runtime/workqueue.ts';
import { FAST_BUCKETS } from './metrics.ts';

export interface WorkQueuesMetrics {
  /** What the queue `name` tells as it happens. */
  of(name: string): WorkQueueMetrics;
  /** Reads the gauges of `queue` whenever the metrics are read. */
  watch(name: string, queue: WorkQueue): void;
}

export function workQueueMetrics(register: Registry): WorkQueuesMetrics {
  const registers = [register];
  const labelNames = ['name'];
  const queues = new Map<string, WorkQueue>();
  const counter = (name: string, help: string) =>
    new Counter({ name: `workqueue_${name}`, help, labelNames, registers });
  const seconds = (name: string, help: string) =>
    new Histogram({ name: `workqueue_${name}`, help, labelNames, buckets: FAST_BUCKETS, registers });
  const gauge = (suffix: string, help: string, read: (queue: WorkQueue) => number) =>
    new Gauge({
      name: `workqueue_${suffix}`,
      help,
      labelNames,
      registers,
      collect() {
        for (const [name, queue] of queues) this.set({ name }, read(queue));
      },
    });
  const adds = counter('adds_total', 'Keys added.');
  const retries = counter('retries_total', 'Keys tried again.');
  const queued = seconds('queue_duration_seconds', 'How long keys were queued.');
  const worked = seconds('work_duration_seconds', 'How long keys were in work.');
  gauge('depth', 'Keys queued.', (queue) => queue.depth);
  gauge('unfinished_work_seconds', 'Time that keys have been in work, added up.', (queue) => queue.unfinishedSeconds);
  gauge(
    'longest_running_processor_seconds',
    'Time that the oldest key has been in work.',
    (queue) => queue.longestRunningSeconds,
  );
  return {
    of: (name) => ({
      added: () => adds.inc({ name }),
      retried: () => retries.inc({ name }),
      queueDuration: (duration) => queued.observe({ name }, duration),
      workDuration: (duration) => worked.observe({ name }, duration),
    }),
    watch: (name, queue) => void queues.set(name, queue),
  };
}
