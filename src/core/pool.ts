/** What should happen to a SandboxPool next: a pure function of the pool, its sandboxes and the time. */

import type { V1HostAlias } from '@kubernetes/client-node';
import { type Condition, findCondition, readyCondition } from '../api/conditions.ts';
import { LABEL_AGENT, LABEL_CLASS_GENERATION, LABEL_POOL, LABEL_RUN, LABEL_SESSION } from '../api/group.ts';
import { labelValue } from '../api/names.ts';
import type { NewPod, Pod } from '../api/object.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import type { SandboxPool, SandboxPoolStatus } from '../api/sandboxpool.ts';
import type { ChannelView } from '../sandbox/channels.ts';
import type { TranscriptLimits } from '../sandbox/transcript.ts';
import { type Observation, observe } from './observe.ts';
import type { PodRefusal } from './plan.ts';
import { isUsualSize } from './resize.ts';
import { poolPod, type SandboxParts } from './sandboxes.ts';
import { limitsOf } from './status.ts';

export interface PoolWorld extends SandboxParts {
  pool: SandboxPool;
  sandboxClass: SandboxClass | undefined;
  /** Pods of the pool that no run and no session has claimed. */
  sandboxes: readonly PooledSandbox[];
  /** How many pods of the pool are claimed. */
  claimed: number;
  /** How the last try to create a pod was refused, or why there can be none. */
  refusedPod: PodRefusal | undefined;
  /** Names for new pods, each used once. */
  freshName: () => string;
  /** How many sandboxes may be starting at once. */
  maxStarting: number;
  /** How long a sandbox may take until its agent answers, in seconds. */
  pendingTimeoutSeconds: number;
}

export interface PooledSandbox {
  pod: Pod;
  channel: ChannelView | undefined;
}

export type PoolAction =
  | { type: 'createPod'; pod: NewPod }
  | { type: 'openChannel'; pod: Pod; limits: TranscriptLimits }
  | { type: 'deletePod'; pod: Pod };

export interface PoolPlan {
  status: SandboxPoolStatus;
  actions: PoolAction[];
  after?: number;
}

/** Whether a sandbox waits: its agent was reached, and has run and opened nothing. */
export const isWaiting = ({ pod, channel }: PooledSandbox): boolean =>
  pod.metadata.deletionTimestamp === undefined &&
  channel?.state === 'open' &&
  channel.hello?.run === null &&
  channel.hello.session === null &&
  !isUsed(channel) &&
  channel.refused === undefined &&
  !observe(pod).nodeLost;

/** Whether the sandbox was given something to do over the channel, by us or before our eyes. */
const isUsed = ({ transcript, wasToldToOpen, opened }: ChannelView): boolean =>
  transcript !== undefined || wasToldToOpen || opened !== undefined;

/** A sandbox that ran or held something and that nobody has: its run or its session was deleted. */
const hasRun = ({ channel }: PooledSandbox): boolean =>
  channel !== undefined &&
  (isUsed(channel) || (channel.hello?.run ?? null) !== null || (channel.hello?.session ?? null) !== null);

/** Whether the class as it is, and this very program, would make the sandbox as it was made. */
export const isCurrent = ({ metadata: { labels = {} } }: Pod, { metadata }: SandboxClass, agentVersion: string) =>
  labels[LABEL_CLASS_GENERATION] === String(metadata.generation ?? 0) && labels[LABEL_AGENT] === agentVersion;

export function planPool(world: PoolWorld, now: Date): PoolPlan {
  const { sandboxClass, sandboxes } = world;
  if (!sandboxClass) return withoutClass(world, now);
  const judged = sandboxes.map((sandbox) => ({ ...sandbox, verdict: judge(world, sandboxClass, sandbox, now) }));
  const rank = ({ verdict }: { verdict: Verdict }) => (verdict === 'ready' ? 0 : 1);
  const kept = judged
    .filter(({ verdict }) => verdict === 'ready' || verdict === 'starting')
    .sort((a, b) => rank(a) - rank(b));
  const surplus = kept.slice(world.pool.spec.replicas);
  const missing = world.pool.spec.replicas - kept.length;
  const starting = kept.filter(({ verdict }) => verdict === 'starting').length;
  const refusal = refusedFor(world, now);
  const creating = refusal ? 0 : Math.max(0, Math.min(missing, world.maxStarting - starting));
  const limits = limitsOf(world);
  const actions: PoolAction[] = [
    ...judged.filter(({ verdict }) => verdict === 'replace').map(({ pod }) => ({ type: 'deletePod', pod }) as const),
    ...surplus.map(({ pod }) => ({ type: 'deletePod', pod }) as const),
    ...kept
      .filter(({ channel, pod }) => needsChannel(pod, channel, now))
      .map(({ pod }) => ({ type: 'openChannel', pod, limits }) as const),
    ...Array.from({ length: creating }, () => ({
      type: 'createPod' as const,
      pod: poolPod(world.pool, sandboxClass, world.freshName(), world),
    })),
  ];
  const ready = kept.filter(({ verdict }) => verdict === 'ready').length;
  const status = statusOf(world, now, { replicas: kept.length, ready }, whyNotReady(world, kept));
  return { status, actions, after: lookAgain(world, kept, refusal, now) };
}

type Verdict = 'ready' | 'starting' | 'replace' | 'gone';

function judge(
  { pool, pendingTimeoutSeconds, agentVersion, hostAliases }: PoolWorld,
  sandboxClass: SandboxClass,
  sandbox: PooledSandbox,
  now: Date,
): Verdict {
  const { pod } = sandbox;
  const seen = observe(pod);
  if (seen.deleting) return 'gone';
  const age = ageOf(pod, now);
  const isMadeOtherwise = !isCurrent(pod, sandboxClass, agentVersion) || !knows(pod, hostAliases);
  const isOutdated = isMadeOtherwise || !isUsualSize(pod, sandboxClass);
  if (seen.state === 'ended' || seen.nodeLost || isOutdated || age >= pool.spec.maxAgeSeconds) return 'replace';
  if (isWaiting(sandbox)) return 'ready';
  if (hasRun(sandbox)) return 'replace';
  return age >= pendingTimeoutSeconds ? 'replace' : 'starting';
}

/** Whether the sandbox was told the address that its package index has now. */
const knows = ({ spec }: Pod, hostAliases: readonly V1HostAlias[]): boolean =>
  hostAliases.every(({ ip }) => spec.hostAliases?.some((alias) => alias.ip === ip));

const ageOf = (pod: Pod, now: Date): number => (now.getTime() - Date.parse(pod.metadata.creationTimestamp)) / 1000;

const needsChannel = (pod: Pod, channel: ChannelView | undefined, now: Date): boolean =>
  observe(pod).state === 'running' && (!channel || (channel.state === 'closed' && channel.reopenAt <= now));

/** For how many milliseconds no pod is tried after a refusal. */
function refusedFor({ refusedPod }: PoolWorld, now: Date): number | undefined {
  const left = refusedPod ? refusedPod.retryAt.getTime() - now.getTime() : 0;
  return left > 0 ? left : undefined;
}

/** When something changes by time alone: a sandbox gets too old, a refusal is over, a channel may be opened again. */
function lookAgain(
  { pool }: PoolWorld,
  kept: readonly PooledSandbox[],
  refusal: number | undefined,
  now: Date,
): number {
  const ages = kept.map(({ pod }) => (pool.spec.maxAgeSeconds - ageOf(pod, now)) * 1000);
  const reopenings = kept.flatMap(({ channel }) =>
    channel?.state === 'closed' ? channel.reopenAt.getTime() - now.getTime() : [],
  );
  return Math.max(0, Math.min(LONGEST_WAIT, refusal ?? LONGEST_WAIT, ...ages, ...reopenings));
}

const LONGEST_WAIT = 60_000;

function withoutClass(world: PoolWorld, now: Date): PoolPlan {
  const message = `There is no SandboxClass "${world.pool.spec.className}".`;
  const status = statusOf(world, now, { replicas: 0, ready: 0 }, { reason: 'ClassNotFound', message });
  return { status, actions: world.sandboxes.map(({ pod }) => ({ type: 'deletePod', pod })) };
}

interface Trouble {
  reason: string;
  message: string;
}

function whyNotReady(
  { refusedPod, pool }: PoolWorld,
  kept: readonly (PooledSandbox & { verdict: Verdict })[],
): Trouble | undefined {
  if (kept.filter(({ verdict }) => verdict === 'ready').length >= pool.spec.replicas) return undefined;
  if (refusedPod)
    return { reason: refusedPod.kind === 'quota' ? 'QuotaExceeded' : 'PodRefused', message: refusedPod.message };
  const waiting = kept.map(({ pod }): Observation['waiting'] => observe(pod).waiting).find((why) => why !== undefined);
  if (waiting) return { reason: 'SandboxesPending', message: `${waiting.reason}: ${waiting.message}`.slice(0, 1024) };
  return { reason: 'Filling', message: 'Sandboxes are being started.' };
}

function statusOf(
  world: PoolWorld,
  now: Date,
  counts: { replicas: number; ready: number },
  trouble: Trouble | undefined,
): SandboxPoolStatus {
  const { pool, claimed } = world;
  const previous = findCondition(pool.status?.conditions, 'Ready');
  const condition: Condition = readyCondition(
    trouble === undefined,
    trouble?.reason ?? 'Ready',
    trouble?.message ?? 'As many sandboxes wait as are asked for.',
    pool.metadata.generation ?? 0,
    now,
    previous,
  );
  return {
    ...counts,
    claimed,
    selector: `${LABEL_POOL}=${labelValue(pool.metadata.name)},!${LABEL_RUN},!${LABEL_SESSION}`,
    observedGeneration: pool.metadata.generation ?? 0,
    conditions: [condition],
  };
}
