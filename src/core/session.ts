/**
 * What should happen to a ReplSession next: a pure function of the world and the time.
 *
 * A sandbox is claimed by writing its pod's UID before its agent is told to open it for the session. A session that has
 * a claim never moves to another sandbox: what it held is in there, or is lost.
 */

import { observe } from './observe.ts';
import type { SessionPlan, SessionWorld } from './session-plan.ts';
import { planReady } from './session-ready.ts';
import { planSessionStarting } from './session-starting.ts';
import { closeSessionChannel, isEndedSession, removeSandbox, sessionReasonOf } from './session-status.ts';

/** Decides the next step of a session that exists. */
export function planSession(world: SessionWorld, now: Date): SessionPlan {
  const { session } = world;
  if (session.metadata.deletionTimestamp) return { actions: removeSandbox(world) };
  if (isEndedSession(session)) return planEnded(world, now);
  return sessionReasonOf(session) === 'Ready' ? planReady(world, now) : planSessionStarting(world, now);
}

/** A deletion that was not carried out is tried again after this time, in milliseconds. */
const DELETE_AGAIN = 10_000;
/** What an agent that was told to shut down gets to do so, in milliseconds. */
const SHUTDOWN_GRACE = 5000;

/** An ended session: its pod, once it has ended, goes after the class's time, the session itself after its own. */
function planEnded(world: SessionWorld, now: Date): SessionPlan {
  const { session, sandboxClass, pod } = world;
  const ended = Date.parse(session.status?.completionTime ?? session.metadata.creationTimestamp);
  const left = ended + session.spec.ttlSecondsAfterFinished * 1000 - now.getTime();
  if (left <= 0) return { actions: [...removeSandbox(world), { type: 'deleteSession' }], after: DELETE_AGAIN };
  if (!pod) return { actions: closeSessionChannel(world), after: left };
  const isOver = observe(pod).state === 'ended';
  // Runs in the session may still want its journal, which is the log of the pod.
  const keep = isOver ? (sandboxClass?.spec.podTTLSecondsAfterFinished ?? 0) * 1000 : SHUTDOWN_GRACE;
  const podLeft = ended + keep - now.getTime();
  if (podLeft <= 0) return { actions: removeSandbox(world), after: Math.min(left, DELETE_AGAIN) };
  return { actions: isOver ? closeSessionChannel(world) : [], after: Math.min(left, podLeft) };
}
