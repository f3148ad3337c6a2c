/** The controller of CodeBatches: gather, decide, write the status where it is due, and only then act. */

import type { CodeBatch, CodeBatchStatus } from '../api/codebatch.ts';
import type { CodeRun } from '../api/coderun.ts';
import { CODE_BATCHES, CODE_RUNS, LABEL_BATCH } from '../api/group.ts';
import { labelValue } from '../api/names.ts';
import {
  type BatchAction,
  type BatchPlan,
  type BatchWorld,
  batchReasonOf,
  isEndedBatch,
  planBatch,
} from '../core/batch.ts';
import { reasonOf } from '../core/coderun.ts';
import { isRunOf, type NewRun } from '../core/items.ts';
import { isAlreadyExists, isInvalid } from '../kube/error.ts';
import type { Change } from '../runtime/store.ts';
import type { CodeRunDeps } from './coderun.ts';
import { ignoreGone } from './gone.ts';
import { refusalOf } from './refusal.ts';

export type BatchDeps = Pick<CodeRunDeps, 'kube' | 'stores' | 'clock' | 'events' | 'log'>;

/** The index of the runs' store that finds the runs of a batch by its key. */
export const RUNS_BY_BATCH = 'batch';

export const batchKeyOf = ({ metadata }: CodeRun): string | undefined => {
  const owner = metadata.ownerReferences?.find(({ kind, controller }) => kind === 'CodeBatch' && controller);
  return owner && `${metadata.namespace}/${owner.name}`;
};

/** Whether a batch has to do with what happened to a run: results and outputs it does not read. */
export function concernsBatch({ type, object, old }: Change<CodeRun>): boolean {
  return type === 'DELETED' || reasonOf(object) !== (old && reasonOf(old));
}

/** What the controller remembers of a batch. Only `status` may be ahead of the API, and all of it can be found out again. */
interface BatchMemory {
  uid: string;
  status: CodeBatchStatus | undefined;
  isWritten: boolean;
  writtenAt: Date | undefined;
  made: Map<string, string>;
  refused: Set<string>;
  failures: number;
  held: BatchWorld['held'];
}

/** Reconciles one CodeBatch at a time a key. Throws where the API server refuses; the queue tries again. */
export function batchReconciler(deps: BatchDeps): (key: string) => Promise<{ after?: number }> {
  const memories = new Map<string, BatchMemory>();
  return async (key) => {
    const batch = deps.stores.batches.get(key);
    if (!batch) {
      memories.delete(key);
      return {};
    }
    const known = memories.get(key);
    const memory = known?.uid === batch.metadata.uid ? known : await remember(deps, batch);
    memories.set(key, memory);
    return reconcile(deps, key, batch, memory);
  };
}

async function reconcile(
  deps: BatchDeps,
  key: string,
  batch: CodeBatch,
  memory: BatchMemory,
): Promise<{ after?: number }> {
  if (memory.held && memory.held.until <= deps.clock.now()) memory.held = undefined;
  const { status: known, writtenAt, made, refused, held } = memory;
  const own = deps.stores.runs.by(RUNS_BY_BATCH, key).filter((run) => isRunOf(run, batch));
  const runs = new Map(own.map((run) => [run.metadata.name, run]));
  const plan = planBatch({ batch, known, writtenAt, runs, made, refused, held }, deps.clock.now());
  const unwritten = await writeStatus(deps, batch, memory, plan);
  await Promise.all(plan.actions.map((action) => act(deps, batch, memory, action)));
  if (isEndedBatch(memory.status)) forgetItems(memory);
  const hold = memory.held && memory.held.until.getTime() - deps.clock.now().getTime();
  const after = Math.min(...[plan.after, unwritten, hold].map((wait) => wait ?? Number.POSITIVE_INFINITY));
  return Number.isFinite(after) ? { after } : {};
}

/** A batch that this process has not seen: its runs are read from the API server itself, lest one be taken for unmade. */
async function remember({ kube, stores }: BatchDeps, batch: CodeBatch): Promise<BatchMemory> {
  const { uid, namespace, name } = batch.metadata;
  if (batch.status?.items && !isEndedBatch(batch.status)) {
    const selection = { ...(namespace && { namespace }), labelSelector: `${LABEL_BATCH}=${labelValue(name)}` };
    let from: string | undefined;
    do {
      const page = await kube.list<CodeRun>(CODE_RUNS, { ...selection, limit: PAGE, ...(from && { continue: from }) });
      for (const run of page.items) stores.runs.upsert(run);
      from = page.metadata.continue;
    } while (from);
  }
  return {
    uid,
    status: batch.status,
    isWritten: true,
    writtenAt: undefined,
    made: new Map(),
    refused: new Set(),
    failures: 0,
    held: undefined,
  };
}

/** Of a batch that has ended, only its end is needed. */
function forgetItems(memory: BatchMemory): void {
  const { items, ...end } = memory.status ?? {};
  if (items) memory.status = end;
  memory.made.clear();
  memory.refused.clear();
}

/** A run may take more than a megabyte: so many are held at once. */
const PAGE = 20;

/** Writes the status where it is due; returns after how many milliseconds it will be, where it is not. */
async function writeStatus(
  { kube, stores, clock, log }: BatchDeps,
  batch: CodeBatch,
  memory: BatchMemory,
  { status, writeAfter }: BatchPlan,
): Promise<number | undefined> {
  if (status === undefined || (status === memory.status && memory.isWritten)) return undefined;
  if (writeAfter > 0) {
    memory.status = status;
    memory.isWritten = false;
    return writeAfter;
  }
  stores.batches.upsert(await kube.replaceStatus<CodeBatch>(CODE_BATCHES, { ...batch, status }));
  const reason = batchReasonOf(status);
  if (reason !== batchReasonOf(memory.status))
    log.info({ batch: batch.metadata.name, namespace: batch.metadata.namespace, reason }, 'Batch changed its state');
  memory.status = status;
  memory.isWritten = true;
  memory.writtenAt = clock.now();
  return undefined;
}

async function act(deps: BatchDeps, batch: CodeBatch, memory: BatchMemory, action: BatchAction): Promise<void> {
  const { kube, stores, events } = deps;
  const { namespace, name, uid } = batch.metadata;
  switch (action.type) {
    case 'createRun':
      return createRun(deps, batch, memory, action.run);
    case 'cancelRun': {
      const { metadata } = action.run;
      const patch = { metadata: { uid: metadata.uid }, spec: { cancelled: true } };
      const cancelled = kube.patch<CodeRun>(CODE_RUNS, namespace, metadata.name, patch, { strategy: 'merge' });
      await cancelled.then((run) => stores.runs.upsert(run), ignoreGone);
      return;
    }
    case 'deleteBatch':
      return kube.delete(CODE_BATCHES, namespace, name, { uid, propagationPolicy: 'Background' }).catch(ignoreGone);
    case 'event':
      events.record(batch, action.reason === 'Completed' ? 'Normal' : 'Warning', action.reason, action.note);
  }
}

/** Makes a run, unless it was made before; a refusal is remembered. */
async function createRun(deps: BatchDeps, batch: CodeBatch, memory: BatchMemory, run: NewRun): Promise<void> {
  const { kube, stores, clock, events } = deps;
  const { name, namespace } = run.metadata;
  try {
    const made = await kube.create<CodeRun>(CODE_RUNS, run).catch((error: unknown) => {
      if (!isAlreadyExists(error)) throw error;
      return kube.get<CodeRun>(CODE_RUNS, namespace, name);
    });
    if (isRunOf(made, batch)) memory.made.set(name, made.metadata.uid);
    else memory.refused.add(name);
    memory.failures = 0;
    stores.runs.upsert(made);
  } catch (error) {
    const refusal = refusalOf(error, memory.failures, clock.now());
    if (!refusal) throw error;
    if (isInvalid(error)) {
      memory.refused.add(name);
      events.record(batch, 'Warning', 'RunRefused', `The API server refuses the run ${name} as invalid.`);
      return;
    }
    memory.failures++;
    const message = refusal.kind === 'quota' ? `A quota leaves no room for more runs. ${refusal.message}` : '';
    memory.held = { message, until: refusal.retryAt };
  }
}
