/**
 * What should happen to a CodeRun next: a pure function of the world and the time.
 *
 * A run is claimed by writing `Running` with the pod's UID before the agent is told to execute. Hence a run without
 * that claim has not been started, and one with it is never started in another sandbox.
 */

import type { CodeRun } from '../api/coderun.ts';
import { findCondition } from '../api/conditions.ts';
import { isFinalReason, REASONS, type Reason } from '../api/reasons.ts';
import { planInSession } from './in-session.ts';
import { bothOf, type Plan, type World } from './plan.ts';
import { planAdoption, planRunning } from './running.ts';
import { planStarting } from './starting.ts';
import { cleanUp, closeChannel } from './status.ts';

/** The reason of the condition `Succeeded`; undefined for a run that nobody has looked at. */
export function reasonOf(run: CodeRun): Reason | undefined {
  const reason = findCondition(run.status?.conditions, 'Succeeded')?.reason;
  return reason !== undefined && reason in REASONS ? (reason as Reason) : undefined;
}

/** Decides the next step of a run that exists. */
export function planCodeRun(world: World, now: Date): Plan {
  const { run } = world;
  if (run.metadata.deletionTimestamp) return { actions: cleanUp(world) };
  const reason = reasonOf(run);
  if (reason && isFinalReason(reason)) return planFinished(world, now);
  if (run.spec.sessionRef) return planInSession(world, now);
  if (reason === 'Running') return planRunning(world, now);
  return planStarting(world, now);
}

/** A deletion that was not carried out is tried again after this time, in milliseconds. */
const DELETE_AGAIN = 10_000;

/** An ended run: its pod goes after the class's time, the run itself after its own. */
function planFinished(world: World, now: Date): Plan {
  const { run, sandboxClass, pod } = world;
  const ended = Date.parse(run.status?.completionTime ?? run.metadata.creationTimestamp);
  const runLeft = ended + run.spec.ttlSecondsAfterFinished * 1000 - now.getTime();
  if (runLeft <= 0) return { actions: [...cleanUp(world), { type: 'deleteRun' }], after: DELETE_AGAIN };
  if (!pod) return { actions: closeChannel(world), after: runLeft };
  const podLeft = ended + (sandboxClass?.spec.podTTLSecondsAfterFinished ?? 0) * 1000 - now.getTime();
  if (podLeft <= 0) return { actions: cleanUp(world), after: Math.min(runLeft, DELETE_AGAIN) };
  return bothOf({ actions: closeChannel(world), after: Math.min(runLeft, podLeft) }, planAdoption(world, now));
}
