/** Carries out the actions of a plan. Each is harmless when done twice; a failed one is tried again by the next plan. */

import type { CodeRun } from '../api/coderun.ts';
import { CODE_RUNS } from '../api/group.ts';
import type { Action } from '../core/plan.ts';
import { CONTAINER } from '../core/pod.ts';
import { JOURNAL_READ_BYTES, readJournal } from '../sandbox/journal.ts';
import type { CodeRunDeps } from './coderun.ts';
import { ignoreGone } from './gone.ts';
import type { RunMemory } from './memory.ts';
import { adoptPod, createPod, deletePod, openChannel, resizePod } from './pods.ts';

type Act<T extends Action['type']> = (
  deps: CodeRunDeps,
  key: string,
  run: CodeRun,
  memory: RunMemory,
  action: Extract<Action, { type: T }>,
) => Promise<void>;

const ACTS: { [T in Action['type']]: Act<T> } = {
  createPod: async (deps, key, run, memory, { pod }) => {
    if (await createPod(deps, run, memory, pod)) deps.wake(key);
  },
  resizePod: async (deps, key, _run, _memory, { sandbox, limits }) => {
    if (!(await resizePod(deps, sandbox, limits))) deps.wake(key);
  },
  forgoResize: async ({ waiting }, _key, _run, _memory, { sandbox }) => waiting.forgoResize(sandbox),
  openChannel: async (deps, _key, _run, _memory, { pod, limits }) => openChannel(deps, pod, limits),
  execute: ({ channels }, _key, { spec }, memory, { podUID, command, again = false }) => {
    if (spec.sessionRef) memory.executedIn = podUID;
    return channels.send(podUID, command, { again });
  },
  interrupt: ({ channels, epoch }, _key, _run, _memory, { podUID, runUID }) =>
    channels.send(podUID, { interrupt: { id: runUID, epoch } }),
  closeChannel: async ({ channels }, _key, _run, _memory, { podUID }) => channels.close(podUID),
  forgetExecution: async ({ channels }, _key, { metadata }, memory, { podUID }) => {
    memory.executedIn = undefined;
    channels.forget(podUID, metadata.uid);
  },
  readJournal: collectJournal,
  adoptPod: (deps, _key, { metadata }, _memory, { name, patch }) => adoptPod(deps, metadata.namespace, name, patch),
  deletePod: (deps, _key, { metadata }, _memory, { name, uid }) => deletePod(deps, metadata.namespace, name, uid),
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

const JOURNAL_ATTEMPTS = 4;

async function collectJournal(
  { kube, wake }: CodeRunDeps,
  key: string,
  run: CodeRun,
  memory: RunMemory,
  { pod, limits, since }: Extract<Action, { type: 'readJournal' }>,
): Promise<void> {
  const options = { container: CONTAINER, limitBytes: JOURNAL_READ_BYTES, ...(since && { sinceTime: since }) };
  try {
    const log = kube.readLog(pod.metadata.namespace ?? '', pod.metadata.name, options);
    memory.journal = await readJournal(log, run.metadata.uid, limits);
  } catch (error) {
    if (++memory.journalFailures < JOURNAL_ATTEMPTS) throw error;
    memory.journal = 'unreadable';
  }
  wake(key);
}
