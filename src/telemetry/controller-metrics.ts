/** Metrics of controllers, under the names of controller-runtime, so that its dashboards work. */

import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { ControllerMetrics } from '../runtime/controller.ts';
import { FAST_BUCKETS } from './metrics.ts';

/** The metrics of each controller, by its name: those that controller-runtime has, under the same names. */
export function controllerMetrics(register: Registry): (controller: string) => ControllerMetrics {
  const registers = [register];
  const labelNames = ['controller'];
  const name = (suffix: string) => `controller_runtime_${suffix}`;
  const total = new Counter({
    name: name('reconcile_total'),
    help: 'Reconciliations, by result.',
    labelNames: [...labelNames, 'result'],
    registers,
  });
  const errors = new Counter({
    name: name('reconcile_errors_total'),
    help: 'Failed reconciliations.',
    labelNames,
    registers,
  });
  const terminal = new Counter({
    name: name('terminal_reconcile_errors_total'),
    help: 'Reconciliations that failed for good.',
    labelNames,
    registers,
  });
  const time = new Histogram({
    name: name('reconcile_time_seconds'),
    help: 'Duration of reconciliations.',
    labelNames,
    buckets: FAST_BUCKETS,
    registers,
  });
  const active = new Gauge({ name: name('active_workers'), help: 'Reconciliations going on.', labelNames, registers });
  const maximum = new Gauge({ name: name('max_concurrent_reconciles'), help: 'Workers.', labelNames, registers });
  return (controller) => {
    for (const result of ['success', 'requeue_after', 'requeue', 'error']) total.inc({ controller, result }, 0);
    errors.inc({ controller }, 0);
    terminal.inc({ controller }, 0);
    return {
      maxConcurrent: (workers) => maximum.set({ controller }, workers),
      active: (workers) => active.set({ controller }, workers),
      reconciled: (result, seconds) => {
        total.inc({ controller, result });
        time.observe({ controller }, seconds);
      },
      failed: () => errors.inc({ controller }),
      failedTerminally: () => terminal.inc({ controller }),
    };
  };
}
