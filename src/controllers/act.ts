/** Carries out the actions of a plan. Each is harmless when done twice; a failed one is tried again by the next plan. */

import type { CodeRun } from '../api/coderun.ts';
import { CODE_RUNS } from '../api/group.ts';
import type { NewPod, Pod } from '../api/object.ts';
import type { Action } from '../core/plan.ts';
import { CONTAINER } from '../core/pod.ts';
import { isAlreadyExists } from '../kube/error.ts';
import { PODS } from '../kube/resources.ts';
import { JOURNAL_READ_BYTES, readJournal } from '../sandbox/journal.ts';
import type { TranscriptLimits } from '../sandbox/transcript.ts';
import type { CodeRunDeps } from './coderun.ts';
import { ignoreGone } from './gone.ts';
import type { RunMemory } from './memory.ts';
import { ensureNetworkPolicies } from './network.ts';
import { refusalOf } from './refusal.ts';

type Act<T extends Action['type']> = (
  deps: CodeRunDeps,
  key: string,
  run: CodeRun,
  memory: RunMemory,
  action: Extract<Action, { type: T }>,
) => Promise<void>;

const ACTS: { [T in Action['type']]: Act<T> } = {
  createPod: (deps, key, run, memory, { pod }) => createPod(deps, key, run, memory, pod),
  openChannel: async ({ channels, wakePod, epoch }, _key, _run, _memory, { pod, limits }) =>
    channels.open({
      podUID: pod.metadata.uid,
      namespace: pod.metadata.namespace ?? '',
      podName: pod.metadata.name,
      limits,
      epoch,
      onChange: () => wakePod(pod),
    }),
  execute: ({ channels }, _key, _run, _memory, { podUID, command }) => channels.send(podUID, command),
  interrupt: ({ channels, epoch }, _key, _run, _memory, { podUID, runUID }) =>
    channels.send(podUID, { interrupt: { id: runUID, epoch } }),
  closeChannel: async ({ channels }, _key, _run, _memory, { podUID }) => channels.close(podUID),
  readJournal: (deps, key, run, memory, { pod, limits }) => collectJournal(deps, key, run, memory, pod, limits),
  adoptPod: async ({ kube, stores }, _key, run, _memory, { name, patch }) => {
    const adopted = await kube.patch<Pod>(PODS, run.metadata.namespace, name, patch, { strategy: 'merge' });
    stores.pods.upsert(adopted);
  },
  deletePod: async ({ kube }, _key, run, _memory, { name, uid }) =>
    kube.delete(PODS, run.metadata.namespace, name, { uid, gracePeriodSeconds: 0 }).catch(ignoreGone),
  deleteRun: async ({ kube }, _key, { metadata }) =>
    kube
      .delete(CODE_RUNS, metadata.namespace, metadata.name, { uid: metadata.uid, propagationPolicy: 'Background' })
      .catch(ignoreGone),
  event: async ({ events }, _key, run, _memory, { kind, reason, note }) => events.record(run, kind, reason, note),
};

/** Carries out one action. Rejects where the API server or the channel refuses. */
export async function act<T extends Action['type']>(
  deps: CodeRunDeps,
  key: string,
  run: CodeRun,
  memory: RunMemory,
  action: Extract<Action, { type: T }>,
): Promise<void> {
  await (ACTS[action.type as T] as Act<T>)(deps, key, run, memory, action);
}

async function createPod(deps: CodeRunDeps, key: string, run: CodeRun, memory: RunMemory, pod: NewPod): Promise<void> {
  const { kube, stores, clock, events, wake } = deps;
  try {
    await ensureNetworkPolicies(kube, stores.policies, pod.metadata.namespace);
    stores.pods.upsert(await kube.create<Pod>(PODS, pod));
    memory.refusedPod = undefined;
    events.record(run, 'Normal', 'SandboxCreated', `Created the sandbox pod ${pod.metadata.name}.`);
  } catch (error) {
    // The watch will show it; whether it is this run's own is checked before it is used.
    if (isAlreadyExists(error)) return;
    memory.refusedPod = refusalOf(error, memory.creationFailures++, clock.now());
    if (!memory.refusedPod) throw error;
  }
  wake(key);
}

const JOURNAL_ATTEMPTS = 4;

async function collectJournal(
  { kube, wake }: CodeRunDeps,
  key: string,
  run: CodeRun,
  memory: RunMemory,
  pod: Pod,
  limits: TranscriptLimits,
): Promise<void> {
  const options = { container: CONTAINER, limitBytes: JOURNAL_READ_BYTES };
  try {
    const log = kube.readLog(pod.metadata.namespace ?? '', pod.metadata.name, options);
    memory.journal = await readJournal(log, run.metadata.uid, limits);
  } catch (error) {
    if (++memory.journalFailures < JOURNAL_ATTEMPTS) throw error;
    memory.journal = 'unreadable';
  }
  wake(key);
}
