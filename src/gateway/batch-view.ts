/** A batch as it is answered over HTTP, and the result of each of its items. */

import { z } from 'zod';
import { type CodeBatch, codeBatchResultFields, type ItemStatus } from '../api/codebatch.ts';
import type { CodeRun } from '../api/coderun.ts';
import { CODE_RUNS } from '../api/group.ts';
import { isNotFound } from '../kube/error.ts';
import type { Kube } from '../kube/port.ts';
import { isEnded, RunView, runView, succeeded, type Viewed } from './run-view.ts';

export const BatchView = z
  .strictObject({
    name: z.string().describe('Name of the batch.'),
    namespace: z.string().describe('Namespace of the batch.'),
    state: z
      .enum(['queued', 'running', 'succeeded', 'failed'])
      .describe('Where the batch stands; succeeded and failed are final.'),
    reason: z
      .string()
      .describe('Why it stands there: Queued, Running, Completed, ItemsFailed, Cancelled, InvalidSpec.'),
    message: z.string().describe('The reason in a sentence.'),
    ...codeBatchResultFields,
  })
  .meta({ id: 'Batch', description: 'A batch. Fields that are not known yet are absent.' });
export type BatchView = z.output<typeof BatchView>;

const STATE_OF = { True: 'succeeded', False: 'failed', Unknown: 'running' } as const;

export function batchView(batch: CodeBatch): BatchView {
  const { name, namespace = '' } = batch.metadata;
  const condition = succeeded(batch);
  const { counts, items, startTime, completionTime } = batch.status ?? {};
  return {
    name,
    namespace,
    state: condition ? STATE_OF[condition.status] : 'queued',
    reason: condition?.reason ?? 'Queued',
    message: condition?.message || 'The batch waits for its turn.',
    ...(counts && { counts }),
    ...(items && { items }),
    ...(startTime && { startTime }),
    ...(completionTime && { completionTime }),
  };
}

export const BatchResult = z
  .strictObject({ item: z.string().describe('Name of the item.'), ...RunView.shape })
  .meta({ id: 'BatchResult', description: 'How an item ended: its run, with the name of the item.' });
type BatchResult = z.output<typeof BatchResult>;

/** How an item ended: all of its run, or what the batch has recorded where that is gone. */
export async function batchResult(kube: Kube, { metadata }: CodeBatch, item: ItemStatus): Promise<BatchResult> {
  const run = await kube.get<CodeRun>(CODE_RUNS, metadata.namespace, item.runName).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
  });
  const isIts = run !== undefined && run.metadata.uid === item.runUID && isEnded(run);
  return { item: item.name, ...runView(isIts ? run : recorded(metadata, item)) };
}

function recorded({ namespace }: CodeBatch['metadata'], item: ItemStatus): Viewed {
  const { name, runName, runUID, reason, ...result } = item;
  const status = reason === 'Completed' ? ('True' as const) : ('False' as const);
  const condition = { type: 'Succeeded', status, reason, message: '', observedGeneration: 0, lastTransitionTime: '' };
  return {
    metadata: { name: runName, ...(namespace && { namespace }) },
    status: { ...result, conditions: [condition] },
  };
}
