/** How a run or a session comes by a sandbox: the next step towards one whose agent answers, whoever it is for. */

import { NO_NETWORK_RUNTIME_CLASS } from '../api/group.ts';
import type { NewPod, ObjectMeta, Pod } from '../api/object.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import type { ChannelView } from '../sandbox/channels.ts';
import { HOPELESS_WAITS, IMAGE_WAITS, type Observation, observe } from './observe.ts';
import { type Action, bothOf, type SandboxWorld, type WaitingSandbox } from './plan.ts';
import { resizeLeft } from './resize.ts';
import { isOwnedBy } from './sandboxes.ts';
import { limitsOf } from './status.ts';

/** Who needs a sandbox, and what is there for it. */
export interface Start extends SandboxWorld {
  sandboxClass: SandboxClass;
  owner: { metadata: ObjectMeta };
  /** The pod that it gets where no sandbox waits for it. */
  newPod: () => NewPod;
}

type StartAction = Extract<Action, { type: 'createPod' | 'openChannel' | 'resizePod' | 'forgoResize' }>;

export type Step =
  /** An agent answers: the sandbox is to be claimed. */
  | { type: 'claim'; sandbox: WaitingSandbox; warm: boolean }
  /** What is to be said of it and done; without `as`, nothing new is to be said. */
  | Wait
  /** There will be no sandbox. */
  | { type: 'fail'; message: string };

interface Wait {
  type: 'wait';
  as?: 'Queued' | 'QuotaExceeded' | 'Starting';
  message?: string | undefined;
  actions: StartAction[];
  keepsOffer?: boolean;
  after?: number;
}

export function nextStep(start: Start, now: Date): Step {
  const { pod, channel, owner, sandboxClass } = start;
  if (!pod) return stepWithoutPod(start, now);
  if (!isOwnedBy(pod, owner))
    return fail(`the name of its pod, ${pod.metadata.name}, is taken by a pod that is not its own`);
  const seen = observe(pod);
  if (seen.deleting) return { type: 'wait', as: 'Starting', actions: [] };
  if (seen.state === 'ended') return fail(whyEnded(seen));
  const reached = channel?.podUID === pod.metadata.uid ? channel : undefined;
  if (reached?.hello && reached.state === 'open') return claim(sandboxClass, { pod, channel: reached }, false);
  if (seen.state === 'running') return reach(start, now, pod, reached);
  const step = waitForPod(start, now, seen);
  return step.type === 'wait' && mayReachEarly(sandboxClass, pod)
    ? bothOf(step, reach(start, now, pod, reached))
    : step;
}

/** Nothing is there yet: it takes a sandbox that waits, or has one started, or waits for its turn. */
function stepWithoutPod(start: Start, now: Date): Step {
  if (start.waiting) return stepWithOffer(start.sandboxClass, start.waiting, now);
  if (!start.isAdmitted) return { type: 'wait', as: 'Queued', actions: [] };
  return create(start, now);
}

/** What is offered is claimed once it has the size that is asked for, which takes a tenth of what a start takes. */
function stepWithOffer(sandboxClass: SandboxClass, sandbox: WaitingSandbox, now: Date): Step {
  const { pod, resize } = sandbox;
  const left = resize && resizeLeft(pod, resize, now);
  if (!resize || left === undefined) return claim(sandboxClass, sandbox, true);
  if (left <= 0) return { type: 'wait', actions: [{ type: 'forgoResize', sandbox }], after: 0 };
  const ask = { type: 'resizePod', sandbox, limits: resize.limits } as const;
  return { type: 'wait', actions: resize.askedAt ? [] : [ask], keepsOffer: true, after: left };
}

function claim({ spec }: SandboxClass, sandbox: WaitingSandbox, warm: boolean): Step {
  if (!sandbox.channel.hello?.gvisor && spec.runtimeClassName.startsWith('gvisor'))
    return fail('the sandbox does not run under gVisor, although its RuntimeClass says so');
  return { type: 'claim', sandbox, warm };
}

/** The kubelet tells late that a container runs; where no network has to be closed first, the agent is tried before. */
const mayReachEarly = ({ spec }: SandboxClass, pod: Pod): boolean =>
  spec.runtimeClassName === NO_NETWORK_RUNTIME_CLASS && pod.spec.nodeName !== undefined;

/** Opens the channel to the agent, again and again, until it answers. */
function reach(start: Start, now: Date, pod: Pod, channel: ChannelView | undefined): Wait {
  if (channel && channel.state !== 'closed') return { type: 'wait', actions: [] };
  const wait = channel ? channel.reopenAt.getTime() - now.getTime() : 0;
  if (wait > 0) return { type: 'wait', actions: [], after: wait };
  return { type: 'wait', as: 'Starting', actions: [{ type: 'openChannel', pod, limits: limitsOf(start) }] };
}

function create({ refusedPod: refused, newPod }: Start, now: Date): Step {
  if (refused?.kind === 'final') return fail(refused.message);
  const said = { as: refused?.kind === 'quota' ? 'QuotaExceeded' : 'Starting', message: refused?.message } as const;
  const after = refused ? refused.retryAt.getTime() - now.getTime() : 0;
  if (after > 0) return { type: 'wait', ...said, actions: [], after };
  return { type: 'wait', ...said, actions: [{ type: 'createPod', pod: newPod() }] };
}

function waitForPod(start: Start, now: Date, { waiting }: Observation): Step {
  if (!waiting) return { type: 'wait', as: 'Starting', actions: [] };
  const why = `${waiting.reason}: ${waiting.message}`;
  const step: Wait = { type: 'wait', as: 'Starting', message: why.slice(0, 1024), actions: [] };
  if (HOPELESS_WAITS.includes(waiting.reason)) return fail(why);
  if (!IMAGE_WAITS.includes(waiting.reason)) return step;
  const left = start.settings.imagePullGraceSeconds * 1000 - pendingMilliseconds(start, now);
  return left <= 0 ? fail(why) : { ...step, after: left };
}

const fail = (message: string): Step => ({ type: 'fail', message: message.slice(0, 1024) });

/** Since when this process knows that a sandbox is wanted, in milliseconds. */
export const pendingMilliseconds = ({ firstSeen }: Pick<SandboxWorld, 'firstSeen'>, now: Date): number =>
  now.getTime() - firstSeen.getTime();

export function whyPending({ pod, refusedPod, settings }: SandboxWorld): string {
  const why = pod ? observe(pod).waiting : undefined;
  const detail = why ? `${why.reason}: ${why.message}` : refusedPod?.message;
  return `No sandbox became ready within ${settings.pendingTimeoutSeconds} s${detail ? `; last: ${detail}` : ''}`.slice(
    0,
    1024,
  );
}

const whyEnded = ({ exitCode, reason, message }: Observation): string =>
  `the sandbox ended before the program was started${reason && ` (${reason})`}${message && `: ${message}`}${
    exitCode === undefined ? '' : `; exit code ${exitCode}`
  }`;

/** What a status says of a sandbox that is being claimed. */
export const sandboxStatus = ({ spec }: SandboxClass, { pod, channel }: WaitingSandbox, warm: boolean) => ({
  podName: pod.metadata.name,
  podUID: pod.metadata.uid,
  ...(pod.spec.nodeName && { nodeName: pod.spec.nodeName }),
  warm,
  runtimeClassName: spec.runtimeClassName,
  ...(channel.hello && { kernel: channel.hello.kernel }),
  network: spec.network,
});
