/** The controller of SandboxPools: gather, decide, act, and write the status on difference. */

import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { CodeRun } from '../api/coderun.ts';
import { findCondition } from '../api/conditions.ts';
import { CODE_RUNS, LABEL_POOL, REPL_SESSIONS, SANDBOX_POOLS } from '../api/group.ts';
import { labelValue, shorten } from '../api/names.ts';
import type { Pod } from '../api/object.ts';
import type { ReplSession } from '../api/replsession.ts';
import type { SandboxPool, SandboxPoolStatus } from '../api/sandboxpool.ts';
import type { PodRefusal } from '../core/plan.ts';
import { isWaiting, type PoolAction, planPool } from '../core/pool.ts';
import { isNotFound } from '../kube/error.ts';
import { PODS } from '../kube/resources.ts';
import { joinKey, splitKey } from '../runtime/keys.ts';
import type { CodeRunDeps } from './coderun.ts';
import { classOf, indexOf } from './gather.ts';
import { ignoreGone } from './gone.ts';
import { ensureNetworkPolicies } from './network.ts';
import { openChannel } from './pods.ts';
import { refusalOf } from './refusal.ts';
import { PODS_BY_POOL } from './waiting.ts';

export interface PoolDeps
  extends Pick<
    CodeRunDeps,
    'kube' | 'stores' | 'channels' | 'waiting' | 'clock' | 'log' | 'epoch' | 'agentCommand' | 'agentVersion' | 'wakePod'
  > {
  maxStarting: number;
  pendingTimeoutSeconds: number;
  /** Has runs that wait for a sandbox looked at again. */
  sandboxReady: (namespace: string, count: number) => void;
}

interface PoolMemory {
  refused: PodRefusal | undefined;
  failures: number;
  /** False until the pods were read from the API server itself: a watch that lags must not have too many created. */
  isRead: boolean;
  /** Since when the status says less than is known, in milliseconds of the monotonic clock. */
  differsSince: number | undefined;
  /** Since when claims are waited out, and the last one that was, in milliseconds of the monotonic clock. */
  holdingSince: number | undefined;
  filledFor: number | undefined;
}

/** A run takes a sandbox, and the next one is there: what is so again within this time, in milliseconds, is not written. */
const PASSING = 5000;

/** A pool is left alone until claims have paused for so long, but for no longer than the second. */
const QUIET_MILLISECONDS = 400;
const LONGEST_HOLD = 1000;

export function poolReconciler(deps: PoolDeps): (key: string) => Promise<{ after?: number }> {
  const memories = new Map<string, PoolMemory>();
  return async (key) => {
    const pool = deps.stores.pools.get(key);
    if (!pool || pool.metadata.deletionTimestamp) {
      memories.delete(key);
      if (!pool) await deleteOrphans(deps, key);
      return {};
    }
    const memory = memories.get(key) ?? {
      refused: undefined,
      failures: 0,
      isRead: false,
      differsSince: undefined,
      holdingSince: undefined,
      filledFor: undefined,
    };
    memories.set(key, memory);
    if (!memory.isRead) await readPods(deps, pool, memory);
    const hold = holdFor(deps, key, memory);
    return hold > 0 ? { after: hold } : reconcile(deps, key, pool, memory);
  };
}

async function reconcile(
  deps: PoolDeps,
  key: string,
  pool: SandboxPool,
  memory: PoolMemory,
): Promise<{ after?: number }> {
  const { stores, channels, waiting, clock, agentCommand, agentVersion, maxStarting, pendingTimeoutSeconds } = deps;
  const pods = stores.pods.by(PODS_BY_POOL, joinKey(pool.metadata.namespace, labelValue(pool.metadata.name)));
  const unclaimed = pods.filter((pod) => !waiting.isClaimed(pod));
  const sandboxClass = classOf(stores.classes.list(), pool.spec.className);
  const { hostAliases, refusal } = indexOf(stores, sandboxClass, clock.now());
  const plan = planPool(
    {
      pool,
      sandboxClass,
      sandboxes: unclaimed.map((pod) => ({ pod, channel: channels.view(pod.metadata.uid) })),
      claimed: pods.length - unclaimed.length,
      refusedPod: refusal ?? memory.refused,
      freshName: () => `${shorten(pool.metadata.name, 50)}-${randomBytes(5).toString('hex')}`,
      agentCommand,
      agentVersion,
      hostAliases,
      maxStarting,
      pendingTimeoutSeconds,
    },
    clock.now(),
  );
  // A claim between the look and the act would lose its sandbox: nothing is awaited before what is deleted is looked at.
  await Promise.all(plan.actions.map((action) => act(deps, key, memory, action)));
  deps.sandboxReady(pool.metadata.namespace ?? '', plan.status.ready ?? 0);
  const wait = await writeStatus(deps, pool, memory, plan.status);
  const after = Math.min(plan.after ?? Number.POSITIVE_INFINITY, wait ?? Number.POSITIVE_INFINITY);
  return Number.isFinite(after) ? { after } : {};
}

/** For how many milliseconds the pool is left alone: what it does takes processors from the programs just started. */
function holdFor({ waiting, clock }: PoolDeps, key: string, memory: PoolMemory): number {
  const last = waiting.lastPromise(key);
  if (last === undefined || last === memory.filledFor) return 0;
  memory.holdingSince ??= last;
  const left = Math.min(last + QUIET_MILLISECONDS, memory.holdingSince + LONGEST_HOLD) - clock.monotonic();
  if (left > 0) return left;
  memory.filledFor = last;
  memory.holdingSince = undefined;
  return 0;
}

async function act(deps: PoolDeps, key: string, memory: PoolMemory, action: PoolAction): Promise<void> {
  const { kube, stores, clock } = deps;
  if (action.type === 'openChannel') return openChannel(deps, action.pod, action.limits);
  if (action.type === 'deletePod') return giveUp(deps, action.pod);
  try {
    await ensureNetworkPolicies(kube, stores.policies, action.pod.metadata.namespace);
    stores.pods.upsert(await kube.create<Pod>(PODS, action.pod));
    memory.refused = undefined;
    memory.failures = 0;
  } catch (error) {
    memory.isRead = false;
    memory.refused = refusalOf(error, memory.failures++, clock.now());
    if (!memory.refused) throw error;
    deps.log.warn({ pool: key, err: error }, 'Could not create a sandbox for a pool');
  }
}

/**
 * Gives up a sandbox that nobody has: one that was claimed meanwhile, by a write, is the claimant's. One that waits
 * is asked to end by itself, and deleted when its channel is closed: its agent takes no orders from a leader of the past,
 * whose successor may have claimed it; the API server would.
 */
async function giveUp(deps: PoolDeps, pod: Pod): Promise<void> {
  const { kube, channels, waiting, stores, epoch } = deps;
  const { name, namespace, uid } = pod.metadata;
  const current = stores.pods.get(joinKey(namespace, name));
  if (!current || waiting.isClaimed(current)) return;
  const channel = channels.view(uid);
  if (channel?.refused?.reason === 'StaleEpoch') return;
  if (isWaiting({ pod: current, channel })) return channels.send(uid, { shutdown: { epoch } });
  if (await isClaimedByNow(deps, current)) return;
  channels.close(uid);
  await kube.delete(PODS, namespace, name, { uid, gracePeriodSeconds: 0 }).catch(ignoreGone);
}

/** What a sandbox does not tell, and what the watches may not have shown yet: whether a run or a session has it. */
async function isClaimedByNow({ kube, stores }: PoolDeps, { metadata: { uid, namespace = '' } }: Pod) {
  const selection = { namespace, fieldSelector: `status.sandbox.podUID=${uid}` };
  const [runs, sessions] = await Promise.all([
    kube.list<CodeRun>(CODE_RUNS, selection),
    kube.list<ReplSession>(REPL_SESSIONS, selection),
  ]);
  for (const run of runs.items) stores.runs.upsert(run);
  for (const session of sessions.items) stores.sessions.upsert(session);
  return runs.items.length + sessions.items.length > 0;
}

async function readPods({ kube, stores }: PoolDeps, { metadata }: SandboxPool, memory: PoolMemory): Promise<void> {
  const labelSelector = `${LABEL_POOL}=${labelValue(metadata.name)}`;
  const { items } = await kube.list<Pod>(PODS, {
    ...(metadata.namespace && { namespace: metadata.namespace }),
    labelSelector,
  });
  for (const pod of items) stores.pods.upsert(pod);
  memory.isRead = true;
}

/** Whether the difference is one that refilling the pool makes up for. */
function mayPass(written: SandboxPoolStatus | undefined, now: SandboxPoolStatus): boolean {
  if (written?.observedGeneration !== now.observedGeneration) return false;
  const [before, after] = [written, now].map((status) => findCondition(status?.conditions, 'Ready'));
  const isSaid = before?.reason === after?.reason && before?.message === after?.message;
  return isSaid || (before?.status === 'True' && after?.reason === 'Filling');
}

/** Writes the status where it differs; returns after how many milliseconds it is to be tried again. */
async function writeStatus(
  { kube, stores, clock }: PoolDeps,
  pool: SandboxPool,
  memory: PoolMemory,
  status: SandboxPoolStatus,
) {
  if (isDeepStrictEqual(pool.status, status)) {
    memory.differsSince = undefined;
    return undefined;
  }
  memory.differsSince ??= clock.monotonic();
  const wait = memory.differsSince + PASSING - clock.monotonic();
  if (wait > 0 && mayPass(pool.status, status)) return wait;
  memory.differsSince = undefined;
  const written = await kube.replaceStatus<SandboxPool>(SANDBOX_POOLS, { ...pool, status });
  stores.pools.upsert(written);
  return undefined;
}

/** Sandboxes of a pool that is gone, but for those that are claimed. The watch may lag, so the server is asked. */
async function deleteOrphans(deps: PoolDeps, key: string): Promise<void> {
  const { namespace, name } = splitKey(key);
  const orphans = deps.stores.pods.by(PODS_BY_POOL, key).filter((pod) => !deps.waiting.isClaimed(pod));
  if (orphans.length === 0) return;
  const isThere = await deps.kube.get(SANDBOX_POOLS, namespace, name).then(
    () => true,
    (error: unknown) => {
      if (isNotFound(error)) return false;
      throw error;
    },
  );
  if (!isThere) await Promise.all(orphans.map((pod) => giveUp(deps, pod)));
}
