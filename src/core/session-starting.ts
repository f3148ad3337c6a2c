/** A session that is not ready: get it a sandbox, claim it, and have its agent open it. */

import type { SandboxClass } from '../api/sandboxclass.ts';
import type { ChannelView } from '../sandbox/channels.ts';
import { openCommand } from './execute.ts';
import { observe } from './observe.ts';
import type { WaitingSandbox } from './plan.ts';
import { checkSession, type ResourceRequest } from './request.ts';
import { nextStep, pendingMilliseconds, sandboxStatus, whyPending } from './sandbox-start.ts';
import { sessionPod } from './sandboxes.ts';
import type { SessionPlan, SessionWorld } from './session-plan.ts';
import { expiry } from './session-ready.ts';
import { endOfPod, endSession, reachSandbox, type SessionEnd, sessionStatus } from './session-status.ts';

/** A session together with what it takes to start it. */
interface Startable extends SessionWorld {
  sandboxClass: SandboxClass;
  request: ResourceRequest;
}

export function planSessionStarting(world: SessionWorld, now: Date): SessionPlan {
  const { session, sandboxClass, settings } = world;
  if (session.spec.terminated) return endSession(world, now, { reason: 'Terminated', message: '' });
  const checked = checkSession(session, sandboxClass);
  if ('refusal' in checked) return endSession(world, now, checked.refusal);
  if (!sandboxClass) throw new Error('a checked session has a class');
  const limit = settings.pendingTimeoutSeconds * 1000;
  const left = limit - pendingMilliseconds(world, now);
  if (left <= 0) return endSession(world, now, { reason: 'PendingTooLong', message: whyPending(world) });
  const startable = { ...world, sandboxClass, request: checked.request };
  const isClaimed = session.status?.sandbox?.podUID !== undefined;
  const plan = isClaimed ? planOpening(startable, now) : planSandbox(startable, now);
  return { ...plan, after: Math.min(plan.after ?? left, left) };
}

function planSandbox(world: Startable, now: Date): SessionPlan {
  const { session, sandboxClass, request, settings } = world;
  const newPod = () => sessionPod(session, sandboxClass, request, world, settings.pendingTimeoutSeconds);
  const step = nextStep({ ...world, owner: session, newPod }, now);
  if (step.type === 'claim') return claim(world, now, step.sandbox, step.warm);
  if (step.type === 'fail') return endSession(world, now, { reason: 'SandboxStartFailed', message: step.message });
  const { as, message, actions, keepsOffer, after } = step;
  return {
    ...(as && { status: sessionStatus(world, now, as, message) }),
    actions,
    ...(keepsOffer && { keepsOffer }),
    ...(after !== undefined && { after }),
  };
}

/** The agent answers: this very pod is written down as the session's, and then it is. */
function claim(world: Startable, now: Date, sandbox: WaitingSandbox, warm: boolean): SessionPlan {
  const status = sessionStatus(world, now, 'Starting', 'The sandbox is being opened for the session.', {
    sandbox: sandboxStatus(world.sandboxClass, sandbox, warm),
  });
  return open({ ...world, channel: sandbox.channel }, { status, actions: [] });
}

function open(world: Startable, plan: SessionPlan): SessionPlan {
  const { session, sandboxClass, request, epoch, channel } = world;
  if (!channel) return plan;
  const command = openCommand(session, sandboxClass, request, epoch);
  return { ...plan, actions: [...plan.actions, { type: 'openSession', podUID: channel.podUID, command }] };
}

/** The session has a claim. Whether a leader before us got as far as the order to open is for the agent to say. */
function planOpening(world: Startable, now: Date): SessionPlan {
  const { pod, channel, session } = world;
  if (channel && isTaken(session.metadata.uid, channel)) return giveUpClaim(world, now);
  const seen = pod && observe(pod);
  if (!seen || seen.deleting || seen.state === 'ended') return endSession(world, now, endOfPod(seen));
  if (!channel || channel.state === 'closed') return reachSandbox(world, now);
  if (channel.opened) return finishOpening(world, now, channel.opened);
  if (channel.refused) return planRefused(world, now, channel.refused);
  if (!channel.hello || channel.wasToldToOpen) return { actions: [] };
  return open(world, { actions: [] });
}

/** Two leaders may have claimed one sandbox, each for something else. Its agent took one of them. */
function isTaken(uid: string, { opened, hello, refused }: ChannelView): boolean {
  const session = opened?.id ?? hello?.session?.id;
  if (session !== undefined) return session !== uid;
  return (hello?.run ?? null) !== null || refused?.reason === 'Busy';
}

/** Back to the beginning: without the claim, the session may be started in another sandbox. */
function giveUpClaim(world: Startable, now: Date): SessionPlan {
  const { sandbox: _sandbox, ...status } = world.session.status ?? {};
  const unclaimed = { ...world, session: { ...world.session, status } };
  return { status: sessionStatus(unclaimed, now, 'Queued'), actions: [], after: 0 };
}

function finishOpening(
  world: Startable,
  now: Date,
  { cause, message }: NonNullable<ChannelView['opened']>,
): SessionPlan {
  if (cause) return endSession(world, now, { reason: cause, message });
  const { session, channel } = world;
  const status = sessionStatus(world, now, 'Ready', '', {
    startTime: now.toISOString(),
    lastActivityTime: now.toISOString(),
    expiresAt: expiry(session, now, now),
    executions: channel?.hello?.session?.executions ?? 0,
  });
  return { status, actions: [] };
}

function planRefused(world: Startable, now: Date, refused: NonNullable<ChannelView['refused']>): SessionPlan {
  if (refused.reason === 'StaleEpoch') return { actions: [] };
  const end: SessionEnd = { reason: 'InvalidSpec', message: `The sandbox refused the session: ${refused.message}` };
  return endSession(world, now, end);
}
