/**
 * A session that is ready: follow its sandbox, and end it when it was not used for long enough or has lived long enough.
 *
 * The agent knows when it was last used, whoever it was by. It is asked at most every half minute, and whenever its
 * time may be over by what it said last; nothing but an answer of just now ends a session for being idle.
 */

import type { ReplSession } from '../api/replsession.ts';
import type { ChannelView } from '../sandbox/channels.ts';
import { observe } from './observe.ts';
import { bothOf } from './plan.ts';
import { isOwnedBy, sessionAdoption } from './sandboxes.ts';
import type { SessionPlan, SessionWorld } from './session-plan.ts';
import { closeSessionChannel, endOfPod, endSession, reachSandbox } from './session-status.ts';

/** How often the agent is asked, and the status written, at most, in milliseconds. */
const REFRESH = 30_000;
/** An answer as old as this, in milliseconds, ends no session: it may have been used since. */
const FRESH = 1000;
/** What an agent gets to answer before its channel is taken for broken, in milliseconds. */
const ANSWER = 10_000;
/** Times of use closer than this, in milliseconds, are one: they come by way of two clocks. */
const SAME_USE = 1000;
/** To patch a pod costs its node as much as a short program: not while the session's first execution begins. */
const ADOPT_AFTER = 1000;

export function planReady(world: SessionWorld, now: Date): SessionPlan {
  const { session, pod } = world;
  const seen = pod && observe(pod);
  if (!seen || seen.deleting || seen.state === 'ended') return endSession(world, now, endOfPod(seen));
  if (session.spec.terminated) return endSession(world, now, { reason: 'Terminated', message: '' });
  const left = lifeEnd(session) - now.getTime();
  if (left <= 0) return endSession(world, now, { reason: 'LifetimeExceeded', message: '' });
  const plan = bothOf(planUse(world, now), planAdoption(world, now));
  return { ...plan, after: Math.min(plan.after ?? left, left) };
}

const startOf = ({ metadata, status }: ReplSession): number =>
  Date.parse(status?.startTime ?? metadata.creationTimestamp);

const lifeEnd = (session: ReplSession): number => startOf(session) + session.spec.maxLifetimeSeconds * 1000;

/** When a session that was last used at `lastUse` ends, unless it is used before. `now` is its start where it has none. */
export function expiry(session: ReplSession, lastUse: Date, now: Date): string {
  const start = session.status?.startTime ? startOf(session) : now.getTime();
  const { idleTimeoutSeconds, maxLifetimeSeconds } = session.spec;
  const idleEnd = lastUse.getTime() + idleTimeoutSeconds * 1000;
  return new Date(Math.min(idleEnd, start + maxLifetimeSeconds * 1000)).toISOString();
}

/** A pod of a pool becomes the session's own, with the session's deadline. */
function planAdoption({ pod, session }: SessionWorld, now: Date): SessionPlan {
  if (!pod || isOwnedBy(pod, session)) return { actions: [] };
  const left = startOf(session) + ADOPT_AFTER - now.getTime();
  if (left > 0) return { actions: [], after: left };
  const patch = sessionAdoption(session, pod, (lifeEnd(session) - now.getTime()) / 1000, now);
  return { actions: [{ type: 'adoptPod', name: pod.metadata.name, patch }] };
}

/** What the agent said last of the session's use. */
interface Use {
  saidAt: number;
  busy: boolean;
  lastUse: number;
  executions: number;
}

function planUse(world: SessionWorld, now: Date): SessionPlan {
  const { session, channel } = world;
  if (!channel || channel.state === 'closed') return reachSandbox(world, now);
  if (!channel.hello || channel.refused?.reason === 'StaleEpoch') return { actions: [] };
  if (isForeign(session, channel)) return endSession(world, now, { reason: 'SandboxLost', message: FOREIGN });
  const use = useOf(session, channel);
  const idleTimeout = session.spec.idleTimeoutSeconds * 1000;
  const isIdle = !use.busy && use.saidAt - use.lastUse >= idleTimeout;
  if (isIdle && now.getTime() - use.saidAt < FRESH)
    return endSession(world, now, { reason: 'IdleTimeout', message: '' });
  const askAt = Math.min(use.saidAt + REFRESH, use.lastUse + idleTimeout);
  return bothOf(planRefresh(world, use, now), planQuestion(world, channel, askAt, use.saidAt, now));
}

const FOREIGN = 'The sandbox does not hold the session any more.';

/** An agent that has spoken since the session was ready and does not hold it. */
const isForeign = (session: ReplSession, { hello, helloAt }: ChannelView): boolean =>
  hello?.session?.id !== session.metadata.uid && (helloAt?.getTime() ?? 0) > startOf(session);

/** Asks the agent when it is time; gives a channel up over which no answer came. */
function planQuestion(
  world: SessionWorld,
  { podUID, askedAt }: ChannelView,
  askAt: number,
  saidAt: number,
  now: Date,
): SessionPlan {
  const asked = askedAt?.getTime() ?? 0;
  const isWaiting = asked > saidAt;
  const wait = (isWaiting ? asked + ANSWER : askAt) - now.getTime();
  if (wait > 0) return { actions: [], after: wait };
  if (isWaiting) return { actions: closeSessionChannel(world), after: 0 };
  return { actions: [{ type: 'sayHello', podUID }], after: ANSWER };
}

/** Before the agent has said anything of the session, it was used last when it was opened. */
function useOf({ metadata, status }: ReplSession, { hello, helloAt }: ChannelView): Use {
  const said = hello?.session?.id === metadata.uid ? hello.session : undefined;
  if (!said || !helloAt) {
    const opened = Date.parse(status?.startTime ?? metadata.creationTimestamp);
    return { saidAt: opened, busy: false, lastUse: opened, executions: status?.executions ?? 0 };
  }
  const { busy, idleMilliseconds, executions } = said;
  const saidAt = helloAt.getTime();
  return { saidAt, busy, lastUse: busy ? saidAt : saidAt - idleMilliseconds, executions };
}

/** Writes down the session's use, where that has changed, as soon as it may be written again. */
function planRefresh({ session, refreshedAt }: SessionWorld, use: Use, now: Date): SessionPlan {
  const { status = {} } = session;
  const before = Date.parse(status.lastActivityTime ?? '');
  if (use.executions === status.executions && Math.abs(use.lastUse - before) < SAME_USE) return { actions: [] };
  const wait = refreshedAt ? refreshedAt.getTime() + REFRESH - now.getTime() : 0;
  if (wait > 0) return { actions: [], after: wait };
  const lastUse = new Date(use.lastUse);
  const lastActivityTime = lastUse.toISOString();
  const { executions } = use;
  return { status: { ...status, lastActivityTime, expiresAt: expiry(session, lastUse, now), executions }, actions: [] };
}
