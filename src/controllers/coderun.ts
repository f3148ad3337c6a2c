/** The controller of CodeRuns: gather the world, decide, write the status where it differs, and only then act. */

import { isDeepStrictEqual } from 'node:util';
import type { CodeRun } from '../api/coderun.ts';
import { CODE_RUNS } from '../api/group.ts';
import type { Pod } from '../api/object.ts';
import { planCodeRun, reasonOf } from '../core/coderun.ts';
import type { PlanSettings } from '../core/plan.ts';
import type { Kube } from '../kube/port.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Channels } from '../sandbox/channels.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { RunMetrics } from '../telemetry/metrics.ts';
import { act } from './act.ts';
import type { Admission } from './admission.ts';
import type { EventRecorder } from './events.ts';
import { gather } from './gather.ts';
import { interruptDeleted } from './in-session.ts';
import { Memory, type RunMemory } from './memory.ts';
import { deleteOrphans, ownerKeyOf } from './pods.ts';
import type { Stores } from './stores.ts';
import { observeTransition } from './transitions.ts';
import type { WaitingSandboxes } from './waiting.ts';

export interface CodeRunDeps {
  kube: Kube;
  stores: Stores;
  channels: Channels;
  waiting: WaitingSandboxes;
  admission: Admission;
  clock: Clock;
  events: EventRecorder;
  metrics: RunMetrics;
  log: Logger;
  settings: PlanSettings;
  agentCommand: string[];
  agentVersion: string;
  /** Of this leadership; agents take no orders from an older one. */
  epoch: number;
  /** Has the run at `key` looked at again soon. */
  wake: (key: string) => void;
  /** Has whoever has to do with a pod look at it again: the run that has it, or its pool. */
  wakePod: (pod: Pod) => void;
}

/** The index of the pods' store that finds pods by the key of the CodeRun that owns them. */
export const PODS_BY_RUN = 'run';

export const runKeyOf = (pod: Pod): string | undefined => ownerKeyOf('CodeRun', pod);

/** Reconciles one CodeRun at a time a key. Throws where the API server refuses; the queue tries again. */
export function codeRunReconciler(deps: CodeRunDeps): (key: string) => Promise<{ after?: number }> {
  const memory = new Memory<RunMemory>((common) => ({
    ...common,
    journal: undefined,
    journalFailures: 0,
    executedIn: undefined,
  }));
  return async (key) => {
    const run = deps.stores.runs.get(key);
    await deleteOrphans(deps, CODE_RUNS, deps.stores.pods.by(PODS_BY_RUN, key), run);
    await interruptDeleted(deps, memory.forget(key, run?.metadata.uid));
    if (!run) {
      deps.admission.follow(key, undefined);
      return {};
    }
    const known = memory.of(key, run.metadata.uid, run.metadata.creationTimestamp, deps.clock.now());
    const { plan, written } = await decide(deps, key, run, known);
    deps.admission.follow(key, reasonOf(written) ?? 'Queued');
    for (const action of plan.actions) await act(deps, key, written, known, action);
    return plan.after === undefined ? {} : { after: plan.after };
  };
}

/** The plan, its status written. A sandbox that was offered and not claimed by that write is free again. */
async function decide(deps: CodeRunDeps, key: string, run: CodeRun, memory: RunMemory) {
  const world = await gather(deps, key, run, memory);
  const { waiting } = world;
  let isKept = false;
  try {
    const plan = planCodeRun(world, deps.clock.now());
    const written = plan.status ? await writeStatus(deps, run, plan.status) : run;
    const isClaimed = waiting !== undefined && written.status?.sandbox?.podUID === waiting.pod.metadata.uid;
    isKept = isClaimed || plan.keepsOffer === true;
    return { plan, written };
  } finally {
    if (waiting && !isKept) deps.waiting.withdraw(waiting);
  }
}

async function writeStatus(deps: CodeRunDeps, run: CodeRun, status: NonNullable<CodeRun['status']>): Promise<CodeRun> {
  if (isDeepStrictEqual(run.status, JSON.parse(JSON.stringify(status)))) return run;
  const written = await deps.kube.replaceStatus<CodeRun>(CODE_RUNS, { ...run, status });
  deps.stores.runs.upsert(written);
  observeTransition(deps, run, written);
  return written;
}
