/** The items of a CodeBatch: the CodeRun that each becomes, and what is known of it. */

import type { CodeBatch, CodeBatchItem, ItemStatus } from '../api/codebatch.ts';
import { CodeBatchSpec } from '../api/codebatch.ts';
import { type CodeRun, type CodeRunSpec, SPEC_LIMIT_BYTES } from '../api/coderun.ts';
import { API_VERSION, LABEL_BATCH, LABEL_ITEM, LABEL_MANAGED_BY, MANAGER } from '../api/group.ts';
import { itemRunName, labelValue } from '../api/names.ts';
import type { OwnerReference } from '../api/object.ts';
import { isFinalReason, REASONS, type Reason } from '../api/reasons.ts';
import { storedBytes } from '../api/schema.ts';
import { reasonOf } from './coderun.ts';

/** A CodeRun as it is sent for creation. */
export interface NewRun {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace: string; labels: Record<string, string>; ownerReferences: OwnerReference[] };
  spec: CodeRunSpec;
}

/** Results are kept as long as their batch, with which they are deleted; this is the longest that a run may be kept. */
const LONGEST_TTL_SECONDS = 2_592_000;

export function runOfItem({ metadata, spec }: CodeBatch, { name, ...own }: CodeBatchItem): NewRun {
  return {
    apiVersion: API_VERSION,
    kind: 'CodeRun',
    metadata: {
      name: itemRunName(metadata, name),
      namespace: metadata.namespace ?? '',
      labels: { [LABEL_MANAGED_BY]: MANAGER, [LABEL_BATCH]: labelValue(metadata.name), [LABEL_ITEM]: name },
      ownerReferences: [
        { apiVersion: API_VERSION, kind: 'CodeBatch', name: metadata.name, uid: metadata.uid, controller: true },
      ],
    },
    spec: { ...spec.template, ...own, ttlSecondsAfterFinished: LONGEST_TTL_SECONDS, cancelled: false },
  };
}

export const isRunOf = ({ metadata }: CodeRun, batch: CodeBatch): boolean =>
  metadata.ownerReferences?.some(({ uid, controller }) => controller && uid === batch.metadata.uid) ?? false;

/** What is wrong with a spec beyond what the API server checks; undefined where nothing is. */
export function batchFault(spec: CodeBatchSpec): string | undefined {
  const bytes = storedBytes(spec);
  if (bytes > SPEC_LIMIT_BYTES) return `spec takes ${bytes} bytes as JSON; the limit is ${SPEC_LIMIT_BYTES}`;
  const [issue] = CodeBatchSpec.safeParse(spec).error?.issues ?? [];
  return issue && `spec.${issue.path.map(String).join('.')}: ${issue.message}`;
}

export const isEndedItem = ({ reason }: ItemStatus): boolean => reason in REASONS && isFinalReason(reason as Reason);
export const isFailedItem = (item: ItemStatus): boolean => isEndedItem(item) && item.reason !== 'Completed';

/** What is known of an item that has not ended. */
export interface ItemWorld {
  run: CodeRun | undefined;
  /** UID of the run that this process has made for the item. */
  madeUID: string | undefined;
  /** True where the API server will never take the run. */
  isRefused: boolean;
}

/** The item as it stands now; `before` itself where nothing changed. What has been recorded as ended stays so. */
export function itemStatus(before: ItemStatus, { run, madeUID, isRefused }: ItemWorld, now: Date): ItemStatus {
  if (isEndedItem(before)) return before;
  const runUID = before.runUID ?? run?.metadata.uid ?? madeUID;
  if (runUID === undefined) return isRefused ? endedItem(before, 'InvalidSpec', now) : before;
  // Its program may have run: it is not made a second time.
  if (run?.metadata.uid !== runUID) return endedItem({ ...before, runUID }, 'SandboxLost', now);
  const reason = reasonOf(run) ?? 'Queued';
  if (isFinalReason(reason)) return { ...endedItem({ ...before, runUID }, reason, now), ...resultOf(run) };
  return reason === before.reason && runUID === before.runUID ? before : { ...before, runUID, reason };
}

export const endedItem = (before: ItemStatus, reason: Reason, now: Date): ItemStatus => ({
  ...before,
  reason,
  completionTime: now.toISOString(),
});

function resultOf({ status = {} }: CodeRun): Partial<ItemStatus> {
  const { exitCode, durationMilliseconds, completionTime } = status;
  return {
    ...(exitCode !== undefined && { exitCode }),
    ...(durationMilliseconds !== undefined && { durationMilliseconds }),
    ...(completionTime !== undefined && { completionTime }),
  };
}
