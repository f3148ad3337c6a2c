/**
 * A run with sessionRef: it is executed in the sandbox of its session, after those that came before it.
 *
 * It is claimed as every run is, by writing `Running` with the pod's UID, and ordered by its own UID, which the agent
 * executes once. The sandbox, its channel and its end are the session's; a run that ends leaves them alone.
 */

import type { ReplSession } from '../api/replsession.ts';
import type { ChannelView } from '../sandbox/channels.ts';
import { planClaimed } from './in-session-claimed.ts';
import { checkInSession, order, whyGone } from './in-session-order.ts';
import type { Home, Plan, World } from './plan.ts';
import type { RunRequest } from './request.ts';
import { pendingMilliseconds } from './sandbox-start.ts';
import { sessionReasonOf } from './session-status.ts';
import { end } from './starting.ts';
import { waitingStatus } from './status.ts';

export function planInSession(world: World, now: Date): Plan {
  const { run, home } = world;
  if (!home) throw new Error('a run with sessionRef has a home');
  return run.status?.startTime ? planClaimed(world, home, now) : planUnclaimed(world, home, now);
}

function planUnclaimed(world: World, home: Home, now: Date): Plan {
  const { run, code, settings } = world;
  if (run.spec.cancelled) return end(world, now, { reason: 'Cancelled', message: '' });
  const { session } = home;
  const gone = whyGone(world, session);
  if (!session || gone) return end(world, now, { reason: 'SessionEnded', message: gone ?? '' });
  const checked = checkInSession(world, session);
  if ('refusal' in checked) return end(world, now, checked.refusal);
  if ('missing' in code) return end(world, now, { reason: 'InvalidSpec', message: code.missing });
  const left = settings.pendingTimeoutSeconds * 1000 - pendingMilliseconds(world, now);
  const message = `Session "${session.metadata.name}" did not take it within ${settings.pendingTimeoutSeconds} s.`;
  if (left <= 0) return end(world, now, { reason: 'PendingTooLong', message });
  const { channel, isNext } = home;
  const isOpen = sessionReasonOf(session) === 'Ready' && channel?.state === 'open' && channel.hello !== undefined;
  if (isOpen && isNext) return claim(world, session, channel, checked.request, now);
  const why = isOpen ? 'Runs of the session that came before have not ended.' : 'The session is not ready.';
  return { status: waitingStatus(world, now, 'Queued', why), actions: [], after: left };
}

function claim(world: World, session: ReplSession, channel: ChannelView, request: RunRequest, now: Date): Plan {
  const status = waitingStatus(world, now, 'Running', '', {
    startTime: now.toISOString(),
    queueMilliseconds: Math.max(0, pendingMilliseconds(world, now)),
    ...(session.status?.sandbox && { sandbox: session.status.sandbox }),
  });
  return { status, actions: order(world, channel, request, false) };
}
