/** Logs and counts what happened to runs and sessions: transitions, not visits, and never what a program said. */

import type { CodeRun } from '../api/coderun.ts';
import { REASONS } from '../api/reasons.ts';
import type { ReplSession } from '../api/replsession.ts';
import { SESSION_REASONS } from '../api/session-reasons.ts';
import { reasonOf } from '../core/coderun.ts';
import { sessionReasonOf } from '../core/session-status.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { RunMetrics, SessionMetrics } from '../telemetry/metrics.ts';

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

/** As for runs; `firstSeen` is when this process came to know the session. */
export function observeSession(
  { log, metrics }: { log: Logger; metrics: SessionMetrics },
  before: ReplSession,
  after: ReplSession,
  firstSeen: Date,
): void {
  const reason = sessionReasonOf(after);
  if (!reason || reason === sessionReasonOf(before)) return;
  const { name, namespace, uid } = after.metadata;
  const { status } = after;
  log.info({ session: name, namespace, uid, reason, pod: status?.sandbox?.podName }, 'Session changed its state');
  if (reason === 'Ready') {
    const seconds = (Date.parse(status?.startTime ?? '') - firstSeen.getTime()) / 1000;
    metrics.started(Math.max(0, seconds), status?.sandbox?.warm ?? false);
  }
  if (SESSION_REASONS[reason].final) metrics.ended(reason);
}
