/**
 * What should happen to a CodeBatch next: a pure function of the batch, its runs and the time.
 *
 * Its status names the run of every item before the first of them is made. A run that is known to have been made is
 * never made again, whatever became of it; of one that is not, making it twice is harmless, for its name is given.
 */

import {
  BATCH_REASONS,
  type BatchReason,
  type CodeBatch,
  type CodeBatchStatus,
  type ItemStatus,
} from '../api/codebatch.ts';
import type { CodeRun } from '../api/coderun.ts';
import { condition, findCondition } from '../api/conditions.ts';
import { itemRunName } from '../api/names.ts';
import { batchFault, endedItem, isEndedItem, isFailedItem, itemStatus, type NewRun, runOfItem } from './items.ts';

export interface BatchWorld {
  batch: CodeBatch;
  /** The status as it was last worked out: the batch's own, or one ahead of it that is still to be written. */
  known: CodeBatchStatus | undefined;
  /** When the status was last written; undefined where this process has not. */
  writtenAt: Date | undefined;
  /** The runs that the batch owns, by name. */
  runs: ReadonlyMap<string, CodeRun>;
  /** UIDs of the runs that this process has made, by name; no watch need have shown them. */
  made: ReadonlyMap<string, string>;
  /** Names of runs that the API server will never take. */
  refused: ReadonlySet<string>;
  /** Set while no run is to be made: until when, and why. */
  held: { message: string; until: Date } | undefined;
}

export type BatchAction =
  | { type: 'createRun'; run: NewRun }
  | { type: 'cancelRun'; run: CodeRun }
  | { type: 'deleteBatch' }
  | { type: 'event'; reason: BatchReason; note: string };

/** The status is written first, unless it may wait; nothing else happens unless that write succeeded. */
export interface BatchPlan {
  /** `known` itself where nothing changed. */
  status: CodeBatchStatus | undefined;
  /** How long the status may wait to be written, in milliseconds: what was counted may, what was decided may not. */
  writeAfter: number;
  actions: BatchAction[];
  /** Look again after this many milliseconds, if nothing changes before. */
  after?: number;
}

/** Counts change with every run; they are written this often, in milliseconds. */
const WRITE_INTERVAL = 1000;
/** Requests a plan: the rest follows at once, but other batches have their turn. */
const MAX_REQUESTS = 20;

/** The reason of the condition `Succeeded`; undefined for a batch that nobody has looked at. */
export function batchReasonOf(status: CodeBatchStatus | undefined): BatchReason | undefined {
  const reason = findCondition(status?.conditions, 'Succeeded')?.reason;
  return reason !== undefined && reason in BATCH_REASONS ? (reason as BatchReason) : undefined;
}

export const isEndedBatch = (status: CodeBatchStatus | undefined): boolean => {
  const reason = batchReasonOf(status);
  return reason !== undefined && BATCH_REASONS[reason].succeeded !== 'Unknown';
};

/** Decides the next step of a batch that exists. */
export function planBatch(world: BatchWorld, now: Date): BatchPlan {
  const { batch, known } = world;
  if (batch.metadata.deletionTimestamp) return { status: known, writeAfter: WRITE_INTERVAL, actions: [] };
  if (isEndedBatch(known)) return planEnded(world, now);
  const fault = known?.items ? undefined : batchFault(batch.spec);
  if (fault) return end(world, now, {}, 'InvalidSpec', fault);
  const looked = items(world, now);
  const isStopped = batch.spec.cancelled || (batch.spec.failFast && looked.some(isFailedItem));
  const settled = isStopped
    ? looked.map((item) => (isUnmade(item) ? endedItem(item, 'Cancelled', now) : item))
    : looked;
  if (settled.every(isEndedItem)) return endWithItems(world, now, settled);
  return { ...goOn(world, now, settled), ...requests(world, settled, isStopped) };
}

const isUnmade = (item: ItemStatus): boolean => !isEndedItem(item) && item.runUID === undefined;

function items({ batch, known, runs, made, refused }: BatchWorld, now: Date): ItemStatus[] {
  return batch.spec.items.map(({ name }, index) => {
    const before = known?.items?.[index] ?? { name, runName: itemRunName(batch.metadata, name), reason: 'Queued' };
    const { runName } = before;
    const world = { run: runs.get(runName), madeUID: made.get(runName), isRefused: refused.has(runName) };
    return itemStatus(before, world, now);
  });
}

/** A batch that has ended goes, with its runs, after its time. */
function planEnded({ batch, known }: BatchWorld, now: Date): BatchPlan {
  const ended = Date.parse(known?.completionTime ?? batch.metadata.creationTimestamp);
  const left = ended + batch.spec.ttlSecondsAfterFinished * 1000 - now.getTime();
  if (left <= 0) return { status: known, writeAfter: 0, actions: [{ type: 'deleteBatch' }] };
  return { status: known, writeAfter: 0, actions: [], after: left };
}

/** The status of a batch that runs: at once where it is the first, or else with others. */
function goOn({ batch, known, writtenAt, held }: BatchWorld, now: Date, settled: ItemStatus[]) {
  const running = conditionOf(batch, known, now, 'Running', held?.message ?? '');
  const before = findCondition(known?.conditions, 'Succeeded');
  const isSame =
    settled.every((item, index) => item === known?.items?.[index]) &&
    before?.message === running.message &&
    before.observedGeneration === running.observedGeneration;
  const status = isSame
    ? known
    : { ...statusOf(batch, settled, known?.startTime ?? now.toISOString()), conditions: [running] };
  const since = now.getTime() - (writtenAt?.getTime() ?? 0);
  // A clock that was set back must not hold the status up.
  const writeAfter = batchReasonOf(known) ? Math.min(WRITE_INTERVAL, Math.max(0, WRITE_INTERVAL - since)) : 0;
  return { status, writeAfter };
}

/** Makes runs while there is room for them, or cancels those that are left. */
function requests(world: BatchWorld, settled: ItemStatus[], isStopped: boolean) {
  const actions = isStopped ? cancellations(world, settled) : creations(world, settled);
  const isMore = actions.length > MAX_REQUESTS;
  return { actions: actions.slice(0, MAX_REQUESTS), ...(isMore && { after: 0 }) };
}

function creations({ batch, held }: BatchWorld, settled: ItemStatus[]): BatchAction[] {
  if (held) return [];
  const alive = settled.filter((item) => !isEndedItem(item) && !isUnmade(item)).length;
  const room = Math.max(0, batch.spec.parallelism - alive);
  const unmade = settled.flatMap((item, index) => (isUnmade(item) ? (batch.spec.items[index] ?? []) : []));
  return unmade.slice(0, room).map((item) => ({ type: 'createRun', run: runOfItem(batch, item) }));
}

function cancellations({ runs }: BatchWorld, settled: ItemStatus[]): BatchAction[] {
  const alive = settled.filter((item) => !isEndedItem(item)).map(({ runName }) => runs.get(runName));
  return alive.flatMap((run) => (run && !run.spec.cancelled ? [{ type: 'cancelRun', run }] : []));
}

function endWithItems(world: BatchWorld, now: Date, settled: ItemStatus[]): BatchPlan {
  const { batch, known } = world;
  const failed = settled.filter(isFailedItem).length;
  const wasCancelled = batch.spec.cancelled && settled.some(({ reason }) => reason === 'Cancelled');
  const reason = failed === 0 ? 'Completed' : wasCancelled ? 'Cancelled' : 'ItemsFailed';
  const message = failed === 0 ? '' : `${failed} of ${settled.length} items did not end with exit code 0.`;
  const status = statusOf(batch, settled, known?.startTime ?? now.toISOString());
  return end(world, now, status, reason, message);
}

function end(
  { batch, known }: BatchWorld,
  now: Date,
  status: CodeBatchStatus,
  reason: BatchReason,
  message: string,
): BatchPlan {
  const ended = conditionOf(batch, known, now, reason, message);
  return {
    status: {
      ...status,
      observedGeneration: ended.observedGeneration,
      completionTime: now.toISOString(),
      conditions: [ended],
    },
    writeAfter: 0,
    actions: [{ type: 'event', reason, note: ended.message }],
    after: batch.spec.ttlSecondsAfterFinished * 1000,
  };
}

function statusOf(batch: CodeBatch, settled: ItemStatus[], startTime: string): CodeBatchStatus {
  const ended = settled.filter(isEndedItem).length;
  const failed = settled.filter(isFailedItem).length;
  const running = settled.filter(({ reason }) => reason === 'Running').length;
  const total = settled.length;
  return {
    counts: { total, queued: total - ended - running, running, succeeded: ended - failed, failed },
    items: settled,
    startTime,
    observedGeneration: batch.metadata.generation ?? 0,
  };
}

const conditionOf = (
  { metadata }: CodeBatch,
  known: CodeBatchStatus | undefined,
  now: Date,
  reason: BatchReason,
  message: string,
) =>
  condition(
    'Succeeded',
    BATCH_REASONS[reason].succeeded,
    reason,
    message || BATCH_REASONS[reason].sentence,
    metadata.generation ?? 0,
    now,
    findCondition(known?.conditions, 'Succeeded'),
  );
