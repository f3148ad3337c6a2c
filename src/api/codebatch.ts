/** CodeBatch: many programs, each run once as a CodeRun of its own, so many of them at a time. */

import { z } from 'zod';
import { codeRunFields } from './coderun.ts';
import type { Condition } from './conditions.ts';
import type { ObjectMeta } from './object.ts';
import { ObjectName, withTransition } from './schema.ts';

export const MAX_ITEMS = 1000;

const { language, className, timeoutSeconds, resources, stdin, args, env, files, packages, artifacts } = codeRunFields;

/** What template and item may both say. */
const commonFields = { className, timeoutSeconds, resources, stdin, args, env, files };

const CodeBatchTemplate = z.strictObject({ language, ...commonFields, packages, artifacts });

/** What an item may say of its own; it takes the place of the field of the template as a whole. */
export const codeBatchItemFields = {
  code: codeRunFields.code.unwrap().describe('The program of the item, 1 byte to 512 KiB.'),
  ...commonFields,
};

const CodeBatchItem = z.strictObject({
  name: ObjectName.describe('Name of the item, unique in the batch.'),
  ...codeBatchItemFields,
});

/** Refuses the later of two items of one name. */
export function refuseTwins(items: readonly { name: string }[], refuse: (index: number) => void): void {
  const seen = new Set<string>();
  for (const [index, { name }] of items.entries()) {
    if (seen.has(name)) refuse(index);
    seen.add(name);
  }
}

/** The fields of a spec beside its items. */
export const codeBatchFields = {
  template: CodeBatchTemplate.prefault({}).describe('What the runs of all items have in common.'),
  parallelism: z.int().min(1).max(MAX_ITEMS).default(10).describe('How many items may run at once; may be changed.'),
  failFast: z
    .boolean()
    .default(false)
    .describe('True cancels all other items as soon as one has failed; otherwise each is run.'),
  ttlSecondsAfterFinished: z
    .int()
    .min(0)
    .max(2_592_000)
    .default(3600)
    .describe('How long the CodeBatch and its runs are kept after its end, in seconds, up to 30 days.'),
};

export const CodeBatchSpec = z.strictObject({
  ...codeBatchFields,
  items: z
    .array(CodeBatchItem)
    .min(1)
    .max(MAX_ITEMS)
    .superRefine((items, context) =>
      refuseTwins(items, (index) =>
        context.addIssue({ code: 'custom', path: [index, 'name'], message: 'is the name of an item before' }),
      ),
    )
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
    .describe(`The programs, 1 to ${MAX_ITEMS}. Fields given here take the place of those of the template.`),
  cancelled: withTransition(z.boolean().default(false), {
    rule: 'self || !oldSelf',
    message: 'a cancelled batch cannot be set back',
  }).describe('Set to true to cancel all items that have not ended; it cannot be set back.'),
});

const count = z.int().min(0).max(MAX_ITEMS);
const Time = z.string().max(64).meta({ format: 'date-time' });

const ItemStatus = z.strictObject({
  name: z.string().max(63).describe('Name of the item.'),
  runName: z.string().max(63).describe('Name of its CodeRun.'),
  runUID: z.string().max(64).optional().describe('UID of its CodeRun, once that was made.'),
  reason: z.string().max(64).describe('Reason of its CodeRun: Queued, Running, Completed, NonZeroExit, Timeout, …'),
  exitCode: z.int().min(0).max(255).optional().describe('Exit code of the program.'),
  durationMilliseconds: z.int().min(0).optional().describe('How long the program ran, in milliseconds.'),
  completionTime: Time.optional().describe('When the item ended.'),
});

const Counts = z.strictObject({
  total: count.describe('Items of the batch.'),
  queued: count.describe('Items that wait for their turn or for a sandbox.'),
  running: count.describe('Items whose program runs.'),
  succeeded: count.describe('Items whose program ended with exit code 0.'),
  failed: count.describe('Items that ended in any other way.'),
});

export const codeBatchResultFields = {
  counts: Counts.optional().describe('How many items stand where.'),
  items: z
    .array(ItemStatus)
    .max(MAX_ITEMS)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'atomic' })
    .describe('Each item, in the order of the spec.'),
  startTime: Time.optional().describe('When the batch was begun.'),
  completionTime: Time.optional().describe('When its last item ended.'),
};

/** Bounded by its items: about 330 bytes each. */
export const CodeBatchResult = z.strictObject(codeBatchResultFields);

interface BatchReasonRow {
  readonly succeeded: Condition['status'];
  readonly state: 'running' | 'succeeded' | 'failed';
  readonly sentence: string;
}

/** Why a batch stands where it stands; reasons of single items are those of CodeRuns. */
export const BATCH_REASONS = {
  Running: { succeeded: 'Unknown', state: 'running', sentence: 'The items are being run.' },
  Completed: { succeeded: 'True', state: 'succeeded', sentence: 'All items ended with exit code 0.' },
  ItemsFailed: { succeeded: 'False', state: 'failed', sentence: 'Items have failed.' },
  Cancelled: { succeeded: 'False', state: 'failed', sentence: 'The batch was cancelled.' },
  InvalidSpec: { succeeded: 'False', state: 'failed', sentence: 'The spec cannot be run as it is; nothing was run.' },
} as const satisfies Record<string, BatchReasonRow>;

export type BatchReason = keyof typeof BATCH_REASONS;
export type CodeBatchSpec = z.output<typeof CodeBatchSpec>;
export type CodeBatchSpecInput = z.input<typeof CodeBatchSpec>;
export type CodeBatchItem = z.output<typeof CodeBatchItem>;
export type ItemStatus = z.output<typeof ItemStatus>;
export type CodeBatchStatus = z.output<typeof CodeBatchResult> & {
  conditions?: Condition[];
  observedGeneration?: number;
};

export interface CodeBatch {
  apiVersion: string;
  kind: 'CodeBatch';
  metadata: ObjectMeta;
  spec: CodeBatchSpec;
  status?: CodeBatchStatus;
}
