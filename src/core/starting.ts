/** A run that has not been started: get it a sandbox, claim it, and only then tell the agent to execute. */

import { NO_NETWORK_RUNTIME_CLASS } from '../api/group.ts';
import type { Pod } from '../api/object.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import type { ChannelView } from '../sandbox/channels.ts';
import { executeCommand } from './execute.ts';
import { HOPELESS_WAITS, IMAGE_WAITS, type Observation, observe } from './observe.ts';
import { bothOf, type Plan, type WaitingSandbox, type World } from './plan.ts';
import { checkRun, type RunRequest } from './request.ts';
import { isOwnedBy, runPod } from './sandboxes.ts';
import { cleanUp, finish, limitsOf, waitingStatus } from './status.ts';

/** A run together with what it takes to start it. */
interface Startable extends World {
  sandboxClass: SandboxClass;
  request: RunRequest;
  text: string;
}

export function planStarting(world: World, now: Date): Plan {
  const { run, sandboxClass, code } = world;
  if (run.spec.cancelled) return end(world, now, { reason: 'Cancelled', message: '' });
  const checked = checkRun(run, sandboxClass);
  if ('refusal' in checked) return end(world, now, checked.refusal);
  if ('missing' in code) return end(world, now, { reason: 'InvalidSpec', message: code.missing });
  if (!sandboxClass) throw new Error('a checked run has a class');
  const pending = pendingMilliseconds(world, now);
  const limit = world.settings.pendingTimeoutSeconds * 1000;
  if (pending >= limit) return end(world, now, { reason: 'PendingTooLong', message: whyPending(world) });
  const plan = planSandbox({ ...world, sandboxClass, request: checked.request, text: code.text }, now);
  return { ...plan, after: Math.min(plan.after ?? limit, limit - pending) };
}

/** The program did not run, so nothing is kept of its sandbox. */
const end = (world: World, now: Date, outcome: Parameters<typeof finish>[2]): Plan => {
  const plan = finish(world, now, outcome);
  return { ...plan, actions: [...cleanUp(world), ...plan.actions.filter(({ type }) => type === 'event')] };
};

/** Nothing is there for the run yet: it takes a sandbox that waits, or has one started, or waits for its turn. */
function planWithoutPod(world: Startable, now: Date): Plan {
  if (world.waiting) return claim(world, now, world.waiting, true);
  if (!world.isAdmitted) return { status: waitingStatus(world, now, 'Queued'), actions: [] };
  return planCreation(world, now);
}

function planSandbox(world: Startable, now: Date): Plan {
  const { pod, run, channel } = world;
  if (!pod) return planWithoutPod(world, now);
  if (!isOwnedBy(pod, run))
    return startFailed(world, now, `the name of its pod, ${pod.metadata.name}, is taken by a pod that is not its own`);
  const seen = observe(pod);
  if (seen.deleting) return { status: waitingStatus(world, now, 'Starting'), actions: [] };
  if (seen.state === 'ended') return startFailed(world, now, whyEnded(seen));
  const reached = channel?.podUID === pod.metadata.uid ? channel : undefined;
  if (reached?.hello && reached.state === 'open') return claim(world, now, { pod, channel: reached }, false);
  if (seen.state === 'running') return planReaching(world, now, pod, reached);
  const plan = planPending(world, now, seen);
  return mayReachEarly(world, pod) && !isFinal(plan) ? bothOf(plan, planReaching(world, now, pod, reached)) : plan;
}

/** The kubelet tells late that a container runs; where no network has to be closed first, the agent is tried before. */
const mayReachEarly = ({ sandboxClass }: Startable, pod: Pod): boolean =>
  sandboxClass.spec.runtimeClassName === NO_NETWORK_RUNTIME_CLASS && pod.spec.nodeName !== undefined;

const isFinal = ({ status }: Plan): boolean => status?.completionTime !== undefined;

/** Opens the channel to the agent, again and again, until it answers. */
function planReaching(world: Startable, now: Date, pod: Pod, channel: ChannelView | undefined): Plan {
  if (channel && channel.state !== 'closed') return { actions: [] };
  const wait = channel ? channel.reopenAt.getTime() - now.getTime() : 0;
  if (wait > 0) return { actions: [], after: wait };
  return {
    status: waitingStatus(world, now, 'Starting'),
    actions: [{ type: 'openChannel', pod, limits: limitsOf(world) }],
  };
}

function planCreation(world: Startable, now: Date): Plan {
  const { refusedPod: refused, run, sandboxClass, request, settings } = world;
  const pod = runPod(run, sandboxClass, request, world, settings.pendingTimeoutSeconds);
  const status = waitingStatus(world, now, refused?.kind === 'quota' ? 'QuotaExceeded' : 'Starting', refused?.message);
  if (refused?.kind === 'final') return startFailed(world, now, refused.message);
  const wait = refused ? refused.retryAt.getTime() - now.getTime() : 0;
  if (wait > 0) return { status, actions: [], after: wait };
  return { status, actions: [{ type: 'createPod', pod }] };
}

function planPending(world: Startable, now: Date, { waiting }: Observation): Plan {
  const status = waitingStatus(
    world,
    now,
    'Starting',
    waiting && `${waiting.reason}: ${waiting.message}`.slice(0, 1024),
  );
  if (!waiting) return { status, actions: [] };
  const why = `${waiting.reason}: ${waiting.message}`;
  if (HOPELESS_WAITS.includes(waiting.reason)) return startFailed(world, now, why);
  if (!IMAGE_WAITS.includes(waiting.reason)) return { status, actions: [] };
  const left = world.settings.imagePullGraceSeconds * 1000 - pendingMilliseconds(world, now);
  return left <= 0 ? startFailed(world, now, why) : { status, actions: [], after: left };
}

/** The agent answers: this run is written down as running in this very pod, and then it is. */
function claim(world: Startable, now: Date, { pod, channel }: WaitingSandbox, warm: boolean): Plan {
  const { run, sandboxClass, request, text } = world;
  if (!channel.hello?.gvisor && sandboxClass.spec.runtimeClassName.startsWith('gvisor'))
    return startFailed(world, now, 'the sandbox does not run under gVisor, although its RuntimeClass says so');
  const status = waitingStatus(world, now, 'Running', '', {
    startTime: now.toISOString(),
    queueMilliseconds: Math.max(0, pendingMilliseconds(world, now)),
    sandbox: {
      podName: pod.metadata.name,
      podUID: pod.metadata.uid,
      ...(pod.spec.nodeName && { nodeName: pod.spec.nodeName }),
      warm,
      runtimeClassName: sandboxClass.spec.runtimeClassName,
      ...(channel.hello && { kernel: channel.hello.kernel }),
      network: sandboxClass.spec.network,
    },
  });
  const command = executeCommand(run, sandboxClass, request, text, world.epoch);
  return { status, actions: [{ type: 'execute', podUID: channel.podUID, command }] };
}

const startFailed = (world: World, now: Date, message: string): Plan =>
  end(world, now, { reason: 'SandboxStartFailed', message: message.slice(0, 1024) });

const pendingMilliseconds = ({ firstSeen }: World, now: Date): number => now.getTime() - firstSeen.getTime();

const whyEnded = ({ exitCode, reason, message }: Observation): string =>
  `the sandbox ended before the program was started${reason && ` (${reason})`}${message && `: ${message}`}${
    exitCode === undefined ? '' : `; exit code ${exitCode}`
  }`;

function whyPending({ pod, refusedPod, settings }: World): string {
  const why = pod ? observe(pod).waiting : undefined;
  const detail = why ? `${why.reason}: ${why.message}` : refusedPod?.message;
  return `No sandbox became ready within ${settings.pendingTimeoutSeconds} s${detail ? `; last: ${detail}` : ''}`.slice(
    0,
    1024,
  );
}
