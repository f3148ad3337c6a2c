/** Logs and counts what happened to runs: transitions, not visits, and never what a program said. */

import type { CodeRun } from '../api/coderun.ts';
import { REASONS } from '../api/reasons.ts';
import { reasonOf } from '../core/coderun.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { RunMetrics } from '../telemetry/metrics.ts';

/** To be called after `after` was written over `before`. */
export function observeTransition(
  { log, metrics }: { log: Logger; metrics: RunMetrics },
  before: CodeRun,
  after: CodeRun,
): void {
  const reason = reasonOf(after);
  if (!reason || reason === reasonOf(before)) return;
  const { name, namespace, uid } = after.metadata;
  const { status } = after;
  log.info({ run: name, namespace, uid, reason, pod: status?.sandbox?.podName }, 'Run changed its state');
  if (reason === 'Running') metrics.queued((status?.queueMilliseconds ?? 0) / 1000, status?.sandbox?.warm ?? false);
  if (REASONS[reason].succeeded === 'Unknown') return;
  metrics.finished(reason, after.spec.language, (status?.durationMilliseconds ?? 0) / 1000);
}
