/** Parts of plans that every step of a run shares: its status, its condition, and what belongs to it. */

import { type CodeRun, type CodeRunStatus, STATUS_LIMIT_BYTES } from '../api/coderun.ts';
import { findCondition, succeededCondition } from '../api/conditions.ts';
import { podName } from '../api/names.ts';
import { REASONS, type Reason } from '../api/reasons.ts';
import { KIB } from '../api/schema.ts';
import type { Transcript, TranscriptLimits } from '../sandbox/transcript.ts';
import { fitStatus, type Outcome, resultStatus } from './outcome.ts';
import type { Action, Plan, World } from './plan.ts';

export const closeChannel = ({ channel }: World): Action[] =>
  channel ? [{ type: 'closeChannel', podUID: channel.podUID }] : [];

/** The channel of a session stays, without what the run said. */
const forgetExecution = ({ home }: World): Action[] =>
  home?.channel ? [{ type: 'forgetExecution', podUID: home.channel.podUID }] : [];

/** Ends what belongs to a run: its channel and its pod. */
export const cleanUp = (world: World): Action[] => [...closeChannel(world), ...deletePod(world)];

const deletePod = ({ pod }: World): Action[] =>
  pod && !pod.metadata.deletionTimestamp ? [{ type: 'deletePod', name: pod.metadata.name, uid: pod.metadata.uid }] : [];

/** The status of a run that goes on, with its condition set to `reason`. */
export function waitingStatus(
  { run }: World,
  now: Date,
  reason: Reason,
  message = '',
  more: CodeRunStatus = {},
): CodeRunStatus {
  return {
    ...run.status,
    ...more,
    observedGeneration: run.metadata.generation ?? 0,
    ...sandboxOf(run, more),
    conditions: [condition(run, now, reason, message)],
  };
}

/** A run in a session never has a pod of its own. */
function sandboxOf({ metadata, spec, status }: CodeRun, more: CodeRunStatus): Pick<CodeRunStatus, 'sandbox'> {
  if (!spec.sessionRef) return { sandbox: { podName: podName(metadata), ...status?.sandbox, ...more.sandbox } };
  const sandbox = more.sandbox ?? status?.sandbox;
  return sandbox ? { sandbox } : {};
}

/** The plan that ends a run for good: its result, its condition, and an Event where it failed. */
export function finish(world: World, now: Date, { reason, message }: Outcome, transcript?: Transcript): Plan {
  const { run } = world;
  const status: CodeRunStatus = {
    ...run.status,
    ...(transcript && resultStatus(transcript)),
    observedGeneration: run.metadata.generation ?? 0,
    completionTime: now.toISOString(),
    retrySafe: REASONS[reason].retrySafe,
    conditions: [condition(run, now, reason, message)],
  };
  const failed = REASONS[reason].succeeded === 'False';
  const note = message || REASONS[reason].sentence;
  return {
    status: fitStatus(status),
    actions: [
      ...closeChannel(world),
      ...forgetExecution(world),
      ...(transcript?.exit ? [] : deletePod(world)),
      ...(failed ? [{ type: 'event', kind: 'Warning', reason, note } as const] : []),
    ],
  };
}

const condition = (run: CodeRun, now: Date, reason: Reason, message: string) =>
  succeededCondition(
    reason,
    message,
    run.metadata.generation ?? 0,
    now,
    findCondition(run.status?.conditions, 'Succeeded'),
  );

/** What a class that is gone would have kept of stdout, and of stderr. */
const USUAL_OUTPUT_BYTES = 64 * KIB;

/** How much of what the run says is kept for its status. */
export const limitsOf = ({ sandboxClass }: Pick<World, 'sandboxClass'>): TranscriptLimits => ({
  outputBytes: sandboxClass?.spec.outputLimitBytes ?? USUAL_OUTPUT_BYTES,
  resultBytes: STATUS_LIMIT_BYTES,
});
