/** A run that is claimed: follow it to its end, and never start it anywhere else. */

import type { ChannelView } from '../sandbox/channels.ts';
import { executeCommand } from './execute.ts';
import { type Observation, observe } from './observe.ts';
import { type Outcome, outcomeOfExit, outcomeOfPod } from './outcome.ts';
import { bothOf, type Plan, type World } from './plan.ts';
import { checkRun } from './request.ts';
import { adoption, isOwnedBy } from './sandboxes.ts';
import { finish, limitsOf, waitingStatus } from './status.ts';

/** What the agent gets to end a cancelled program and to say so, in milliseconds. */
const CANCEL_GRACE = 3000;

const ADOPT_AFTER = 1000;
/** What the kubelet gets to say that a sandbox has ended whose output only its log holds, in milliseconds. */
const JOURNAL_GRACE = 5000;

export function planRunning(world: World, now: Date): Plan {
  const { run, pod, journal } = world;
  const channel = world.channel?.podUID === run.status?.sandbox?.podUID ? world.channel : undefined;
  const own = channel?.transcript?.id === run.metadata.uid ? channel.transcript : undefined;
  if (own?.exit) return finishWith(world, now, own);
  if (isTaken(world, channel)) return giveUpClaim(world, now);
  if (pod?.metadata.uid !== run.status?.sandbox?.podUID) return finishWithout(world, now, channel, undefined);
  const seen = pod && observe(pod);
  if (seen?.state === 'ended' && pod) {
    if (!journal) return { actions: [{ type: 'readJournal', pod, limits: limitsOf(world) }] };
    if (journal !== 'unreadable' && journal.exit) return finishWith(world, now, journal);
    return finishWithout(world, now, channel, seen);
  }
  return bothOf(planClocks(world, now, channel), planAdoption(world, now));
}

/** Two leaders may have claimed one sandbox for two runs. Its agent took one, so the other was not started. */
const isTaken = ({ run }: World, channel: ChannelView | undefined): boolean => {
  const taken = channel?.hello?.run?.id ?? channel?.transcript?.id;
  return taken !== undefined && taken !== run.metadata.uid;
};

/** Back to the beginning: without the claim, the run may be started in another sandbox. */
function giveUpClaim(world: World, now: Date): Plan {
  const { startTime: _start, queueMilliseconds: _queue, sandbox: _sandbox, ...rest } = world.run.status ?? {};
  const unclaimed = { ...world, run: { ...world.run, status: rest } };
  return { status: waitingStatus(unclaimed, now, 'Queued'), actions: [], after: 0 };
}

/**
 * A pod of a pool becomes the run's own once the program has run for a while: to write that costs its node as much as
 * most programs, and those are over before. A leader that died before is made up for.
 */
export function planAdoption({ pod, run, sandboxClass }: World, now: Date): Pick<Plan, 'actions' | 'after'> {
  if (!pod || isOwnedBy(pod, run) || pod.metadata.deletionTimestamp) return { actions: [] };
  const left = Date.parse(run.status?.completionTime ?? run.status?.startTime ?? '') + ADOPT_AFTER - now.getTime();
  if (left > 0) return { actions: [], after: left };
  const timeoutSeconds = run.spec.timeoutSeconds ?? sandboxClass?.spec.timeoutSeconds.default ?? 0;
  return { actions: [{ type: 'adoptPod', name: pod.metadata.name, patch: adoption(run, pod, timeoutSeconds, now) }] };
}

type Finished = NonNullable<ChannelView['transcript']>;

function finishWith(world: World, now: Date, transcript: Finished): Plan {
  if (!transcript.exit) throw new Error('a finished run has an exit');
  return finish(world, now, outcomeOfExit(transcript.exit), transcript);
}

/** The sandbox fell silent: the outcome is the pod's, and the output what was heard of it. */
function finishWithout(world: World, now: Date, channel: ChannelView | undefined, seen: Observation | undefined): Plan {
  const heard = world.journal && world.journal !== 'unreadable' ? world.journal : channel?.transcript;
  const outcome: Outcome = channel?.interruptedAt ? { reason: 'Cancelled', message: '' } : outcomeOfPod(seen);
  return finish(world, now, outcome, heard);
}

/** The sandbox runs: cancel it when asked, give it up when its time and its grace are over, listen otherwise. */
function planClocks(world: World, now: Date, channel: ChannelView | undefined): Plan {
  const { run, settings } = world;
  const deadline = timeoutAt(world) + settings.timeoutGraceSeconds * 1000;
  const left = deadline - now.getTime();
  if (left <= 0) return finish(world, now, timeIsOver(channel), channel?.transcript);
  if (run.spec.cancelled) return planCancel(world, now, channel);
  const plan = planListening(world, now, channel);
  return { ...plan, after: Math.min(plan.after ?? left, left) };
}

/** An agent that is reached and has not ended the program was kept from it by the program; of others nothing is known. */
const timeIsOver = (channel: ChannelView | undefined): Outcome =>
  channel?.state === 'open' && channel.hello
    ? { reason: 'Timeout', message: '' }
    : { reason: 'SandboxLost', message: 'The sandbox could not be reached when the time of the program was over.' };

/** The agent is reached first, so that the run ends with what its program said; one that never was told to execute just ends. */
function planCancel(world: World, now: Date, channel: ChannelView | undefined): Plan {
  const { run } = world;
  const isReached = channel?.state === 'open' && channel.hello !== undefined;
  if (isReached && !channel.wasToldToEnd) {
    if (!channel.hello?.run && !channel.transcript) return finish(world, now, { reason: 'Cancelled', message: '' });
    return { actions: [{ type: 'interrupt', podUID: channel.podUID, runUID: run.metadata.uid }], after: CANCEL_GRACE };
  }
  const since = channel?.interruptedAt ?? channel?.silentSince ?? now;
  const grace = isReached && channel.transcript ? CANCEL_GRACE : CANCEL_GRACE + JOURNAL_GRACE;
  const left = since.getTime() + grace - now.getTime();
  if (left <= 0) return finish(world, now, { reason: 'Cancelled', message: '' }, channel?.transcript);
  if (channel && channel.state !== 'closed') return { actions: [], after: left };
  const plan = planReopening(world, now, channel);
  return { ...plan, after: Math.min(left, plan.after ?? left) };
}

/** A channel that is closed is opened again when its time has come. */
function planReopening(world: World, now: Date, channel: ChannelView | undefined): Plan {
  const wait = channel ? channel.reopenAt.getTime() - now.getTime() : 0;
  if (wait > 0 || !world.pod) return { actions: [], after: Math.max(wait, 0) };
  return { actions: [{ type: 'openChannel', pod: world.pod, limits: limitsOf(world) }] };
}

/** Whether a leader before us got as far as the order to execute is for the agent to say. */
function planListening(world: World, now: Date, channel: ChannelView | undefined): Plan {
  const { run, sandboxClass, code } = world;
  if (!channel || channel.state === 'closed') return planReopening(world, now, channel);
  if (channel.refused) return planRefused(world, now, channel.refused);
  if (!channel.hello || channel.transcript || channel.hello.run) return { actions: [] };
  const checked = checkRun(run, sandboxClass);
  if ('refusal' in checked || 'missing' in code || !sandboxClass)
    return finish(world, now, { reason: 'SandboxLost', message: 'its class or its code is gone' });
  const command = executeCommand(run, sandboxClass, checked.request, code.text, world.epoch);
  return { actions: [{ type: 'execute', podUID: channel.podUID, command }] };
}

/** The agent took no order: from a leader of the past, who has no say any more, or because it can't be carried out. */
function planRefused(world: World, now: Date, refused: NonNullable<ChannelView['refused']>): Plan {
  if (refused.reason === 'StaleEpoch') return { actions: [] };
  const reason = refused.reason === 'Invalid' ? 'InvalidSpec' : 'SandboxLost';
  return finish(world, now, { reason, message: `The sandbox refused the run: ${refused.message}` });
}

/** When the program's time is over, in milliseconds since the epoch. */
function timeoutAt({ run, sandboxClass }: World): number {
  const seconds = run.spec.timeoutSeconds ?? sandboxClass?.spec.timeoutSeconds.default ?? 0;
  return Date.parse(run.status?.startTime ?? run.metadata.creationTimestamp) + seconds * 1000;
}
