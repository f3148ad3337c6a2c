/** A run that has claimed its turn in a session: follow it to its end, and never execute it twice. */

import type { ReplSession } from '../api/replsession.ts';
import type { ChannelView } from '../sandbox/channels.ts';
import type { Transcript } from '../sandbox/transcript.ts';
import { checkInSession, order, whyGone } from './in-session-order.ts';
import { type Observation, observe } from './observe.ts';
import { type Outcome, outcomeOfExit, outcomeOfPod } from './outcome.ts';
import type { Home, Plan, World } from './plan.ts';
import { sessionReasonOf } from './session-status.ts';
import { finish, limitsOf, waitingStatus } from './status.ts';

/** What the agent gets to end a cancelled program and to say so, in milliseconds. */
const CANCEL_GRACE = 3000;
/** By how much the clock of a node may be behind ours, in milliseconds. */
const CLOCKS_DIFFER = 60_000;
/** How soon a run that the agent had no room for is tried again, in milliseconds. */
const BUSY_WAIT = 1000;

export function planClaimed(world: World, home: Home, now: Date): Plan {
  const { run } = world;
  const podUID = run.status?.sandbox?.podUID;
  const channel = home.channel?.podUID === podUID ? home.channel : undefined;
  if (channel?.transcript?.exit) return planExited(world, home, now, channel);
  const { pod } = home;
  const isAlive = pod?.metadata.uid === podUID && pod !== undefined && observe(pod).state !== 'ended';
  if (!isAlive || !home.session || whyGone(world, home.session)) return planLost(world, home, now, channel);
  if (run.spec.cancelled) return planCancel(world, home, now, channel);
  return planListening(world, home, now, channel);
}

/** The program has ended. Where this channel did not hear all of it, the journal did. */
function planExited(world: World, home: Home, now: Date, { transcript, isWhole }: ChannelView): Plan {
  if (!transcript?.exit) throw new Error('an execution that has ended has an exit');
  if (isWhole) return finish(world, now, outcomeOfExit(transcript.exit), transcript);
  if (!world.journal && home.pod) return readJournal(world, home);
  const { journal } = world;
  if (!journal || journal === 'unreadable') return finish(world, now, outcomeOfExit(transcript.exit), transcript);
  // The log may lag behind the channel by its last line.
  journal.add({ id: uidOf(world), exit: transcript.exit });
  return finish(world, now, outcomeOfExit(journal.exit ?? transcript.exit), journal);
}

const uidOf = ({ run }: World): string => run.metadata.uid;

/** The sandbox or its session is gone: what its program said is in the journal, while there is one. */
function planLost(world: World, home: Home, now: Date, channel: ChannelView | undefined): Plan {
  const { pod, session } = home;
  const isOwnPod = pod?.metadata.uid === world.run.status?.sandbox?.podUID;
  const seen = isOwnPod && pod ? observe(pod) : undefined;
  // A session that was ended has its sandbox shut down, and is followed by its pod's end within seconds.
  if (seen && seen.state !== 'ended' && !seen.deleting) return { actions: [], after: 1000 };
  if (seen?.state === 'ended' && !world.journal) return readJournal(world, home);
  const journal = world.journal === 'unreadable' ? undefined : world.journal;
  if (journal?.exit) return finish(world, now, outcomeOfExit(journal.exit), journal);
  // Only the journal can tell that a program has not begun: a channel may have broken before it said so.
  if (journal && !hasBegun(journal))
    return finish(world, now, { reason: 'SessionEnded', message: whyGone(world, session) ?? '' });
  return finish(world, now, lostOutcome(world, session, seen), journal ?? channel?.transcript);
}

const hasBegun = ({ started, stdout, stderr, results }: Transcript): boolean =>
  started || stdout !== '' || stderr !== '' || results.length > 0;

/** What the pod says, or else what the session does. */
function lostOutcome(world: World, session: ReplSession | undefined, seen: Observation | undefined): Outcome {
  const byPod = outcomeOfPod(seen);
  const reason = session && sessionReasonOf(session);
  if (byPod.reason !== 'SandboxLost' && byPod.reason !== 'Timeout') return byPod;
  if (reason === 'OutOfMemory' || reason === 'DiskLimit' || reason === 'Evicted') return { reason, message: '' };
  const message = whyGone(world, session) ? `The session ended (${reason ?? 'deleted'}) while the program ran.` : '';
  return { reason: 'SandboxLost', message };
}

function readJournal(world: World, { pod }: Home): Plan {
  if (!pod) return { actions: [] };
  const started = Date.parse(world.run.status?.startTime ?? world.run.metadata.creationTimestamp);
  const since = new Date(started - CLOCKS_DIFFER).toISOString();
  return { actions: [{ type: 'readJournal', pod, limits: limitsOf(world), since }] };
}

function planCancel(world: World, home: Home, now: Date, channel: ChannelView | undefined): Plan {
  const isReached = channel?.state === 'open' && channel.hello !== undefined;
  if (channel && isReached && !channel.wasToldToEnd)
    return {
      actions: [{ type: 'interrupt', podUID: channel.podUID, runUID: uidOf(world) }],
      after: CANCEL_GRACE,
    };
  const since = channel?.interruptedAt ?? channel?.silentSince ?? now;
  const left = since.getTime() + CANCEL_GRACE - now.getTime();
  if (left > 0) return { actions: [], after: left };
  return finishFromJournal(world, home, now, channel, { reason: 'Cancelled', message: '' });
}

/** The channel told no end: the journal may, and otherwise it is `outcome`. */
function finishFromJournal(
  world: World,
  home: Home,
  now: Date,
  channel: ChannelView | undefined,
  outcome: Outcome,
): Plan {
  const heard = channel?.transcript;
  if (heard && channel?.isWhole) return finish(world, now, outcome, heard);
  if (!world.journal && home.pod) return readJournal(world, home);
  const journal = world.journal === 'unreadable' ? undefined : world.journal;
  return finish(world, now, journal?.exit ? outcomeOfExit(journal.exit) : outcome, journal ?? heard);
}

/** The session keeps its channel open. Whether the order came through is for the agent to say, which takes it once. */
function planListening(world: World, home: Home, now: Date, channel: ChannelView | undefined): Plan {
  if (channel?.refused) return planRefused(world, home, now, channel, channel.refused);
  const isReached = channel?.state === 'open' && channel.hello !== undefined;
  if (channel && isReached && !channel.transcript) return planOrder(world, home, now, channel);
  const left = deadline(world, channel) - now.getTime();
  if (left > 0) return { actions: [], after: left };
  if (channel && isReached && !channel.startedAt) return { actions: [], after: timeAllowed(world) };
  if (channel && isReached) return planTimeout(world, home, now, channel);
  const message = 'The sandbox could not be reached when the time of the program was over.';
  return finishFromJournal(world, home, now, channel, { reason: 'SandboxLost', message });
}

function planOrder(world: World, { session }: Home, now: Date, channel: ChannelView): Plan {
  const checked = session && checkInSession(world, session);
  const actions = checked && 'request' in checked ? order(world, channel, checked.request, true) : [];
  if (actions.length > 0) return { actions, after: timeAllowed(world) };
  return finish(world, now, { reason: 'SandboxLost', message: 'its class or its code is gone' });
}

/** The agent should have ended it by itself: it is told once more, and not waited for. */
function planTimeout(world: World, home: Home, now: Date, channel: ChannelView): Plan {
  const plan = finishFromJournal(world, home, now, channel, { reason: 'Timeout', message: '' });
  if (!plan.status) return plan;
  return { ...plan, actions: [{ type: 'interrupt', podUID: channel.podUID, runUID: uidOf(world) }, ...plan.actions] };
}

/** What an execution may take, together with what its agent gets to end it, in milliseconds. */
function timeAllowed({ run, sandboxClass, settings }: World): number {
  const seconds = run.spec.timeoutSeconds ?? sandboxClass?.spec.timeoutSeconds.default ?? 0;
  return (seconds + settings.timeoutGraceSeconds) * 1000;
}

/** When the program should have ended: its time begins when its turn in the session does. */
function deadline(world: World, channel: ChannelView | undefined): number {
  const started = channel?.startedAt?.getTime() ?? Date.parse(world.run.status?.startTime ?? '');
  return started + timeAllowed(world);
}

function planRefused(
  world: World,
  home: Home,
  now: Date,
  channel: ChannelView,
  refused: NonNullable<ChannelView['refused']>,
): Plan {
  if (refused.reason === 'StaleEpoch') return { actions: [] };
  if (refused.reason === 'Busy') return giveUpClaim(world, now);
  // An agent keeps the ends of its last executions only: of an older one, the journal tells.
  const isOver =
    !channel.isWhole && world.journal !== undefined && world.journal !== 'unreadable' && hasBegun(world.journal);
  const message = `The sandbox refused the run: ${refused.message}`;
  return finishFromJournal(world, home, now, channel, { reason: isOver ? 'SandboxLost' : 'InvalidSpec', message });
}

/** The agent has no room for one more: without the claim, the run is tried again. */
function giveUpClaim(world: World, now: Date): Plan {
  const { startTime: _start, queueMilliseconds: _queue, sandbox: _sandbox, ...rest } = world.run.status ?? {};
  const unclaimed = { ...world, run: { ...world.run, status: rest } };
  const podUID = world.home?.channel?.podUID;
  return {
    status: waitingStatus(unclaimed, now, 'Queued', 'The session has no room for one more execution.'),
    actions: podUID === undefined ? [] : [{ type: 'forgetExecution', podUID }],
    after: BUSY_WAIT,
  };
}
