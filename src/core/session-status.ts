/** Parts of plans that every step of a session shares: its status, its condition, and its end. */

import { findCondition, readyCondition } from '../api/conditions.ts';
import { podName } from '../api/names.ts';
import type { ReplSession, ReplSessionStatus } from '../api/replsession.ts';
import { SESSION_REASONS, type SessionReason } from '../api/session-reasons.ts';
import type { Observation } from './observe.ts';
import { outcomeOfPod } from './outcome.ts';
import { isOwnedBy } from './sandboxes.ts';
import type { SessionAction, SessionPlan, SessionWorld } from './session-plan.ts';
import { limitsOf } from './status.ts';

export interface SessionEnd {
  reason: SessionReason;
  message: string;
}

/** The reason of the condition `Ready`; undefined for a session that nobody has looked at. */
export function sessionReasonOf({ status }: ReplSession): SessionReason | undefined {
  const reason = findCondition(status?.conditions, 'Ready')?.reason;
  return reason !== undefined && reason in SESSION_REASONS ? (reason as SessionReason) : undefined;
}

export const isEndedSession = (session: ReplSession): boolean => {
  const reason = sessionReasonOf(session);
  return reason !== undefined && SESSION_REASONS[reason].final;
};

/** The status of a session that goes on, with its condition set to `reason`. */
export function sessionStatus(
  { session }: SessionWorld,
  now: Date,
  reason: SessionReason,
  message = '',
  more: ReplSessionStatus = {},
): ReplSessionStatus {
  return {
    ...session.status,
    ...more,
    observedGeneration: session.metadata.generation ?? 0,
    sandbox: { podName: podName(session.metadata), ...session.status?.sandbox, ...more.sandbox },
    conditions: [condition(session, now, reason, message)],
  };
}

const condition = ({ metadata, status }: ReplSession, now: Date, reason: SessionReason, message: string) => {
  const { state, sentence } = SESSION_REASONS[reason];
  const previous = findCondition(status?.conditions, 'Ready');
  return readyCondition(state === 'ready', reason, message || sentence, metadata.generation ?? 0, now, previous);
};

/** Ends that were asked for, by the spec or by its user: nothing went wrong. */
const ORDINARY_ENDS: readonly SessionReason[] = ['IdleTimeout', 'LifetimeExceeded', 'Terminated'];

/** The plan that ends a session for good. Its sandbox is shut down, or deleted where its agent is not reached. */
export function endSession(world: SessionWorld, now: Date, { reason, message }: SessionEnd): SessionPlan {
  const { expiresAt: _expires, ...status } = world.session.status ?? {};
  const ended = condition(world.session, now, reason, message);
  const note = ended.message;
  return {
    status: {
      ...status,
      observedGeneration: ended.observedGeneration,
      completionTime: now.toISOString(),
      conditions: [ended],
    },
    actions: [
      ...stop(world),
      ...(ORDINARY_ENDS.includes(reason) ? [] : [{ type: 'event', kind: 'Warning', reason, note } as const]),
    ],
  };
}

function stop(world: SessionWorld): SessionAction[] {
  const { channel, session } = world;
  const opened = channel?.state === 'open' ? (channel.opened?.id ?? channel.hello?.session?.id) : undefined;
  return channel && opened === session.metadata.uid
    ? [{ type: 'shutdown', podUID: channel.podUID }]
    : removeSandbox(world);
}

/** Lets go of the channel and deletes the pod, where it is the session's. */
export function removeSandbox(world: SessionWorld): SessionAction[] {
  const { pod, session } = world;
  const isOwn = pod && (isOwnedBy(pod, session) || pod.metadata.uid === session.status?.sandbox?.podUID);
  if (!isOwn || pod.metadata.deletionTimestamp) return closeSessionChannel(world);
  return [...closeSessionChannel(world), { type: 'deletePod', name: pod.metadata.name, uid: pod.metadata.uid }];
}

export const closeSessionChannel = ({ channel }: SessionWorld): SessionAction[] =>
  channel ? [{ type: 'closeChannel', podUID: channel.podUID }] : [];

/** Attaches to the sandbox, where that is not so already and may be tried. */
export function reachSandbox(world: SessionWorld, now: Date): SessionPlan {
  const { pod, channel } = world;
  if (!pod || (channel && channel.state !== 'closed')) return { actions: [] };
  const wait = channel ? channel.reopenAt.getTime() - now.getTime() : 0;
  if (wait > 0) return { actions: [], after: wait };
  return { actions: [{ type: 'openChannel', pod, limits: limitsOf(world) }] };
}

/** How a session ended whose pod has, or is gone. */
export function endOfPod(seen: Observation | undefined): SessionEnd {
  const { reason, message } = outcomeOfPod(seen);
  switch (reason) {
    // The kubelet's own clock, which is behind ours.
    case 'Timeout':
      return { reason: 'LifetimeExceeded', message };
    case 'OutOfMemory':
    case 'DiskLimit':
    case 'Evicted':
      return { reason, message };
    default:
      return { reason: 'SandboxLost', message };
  }
}
