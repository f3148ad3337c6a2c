/** The results of a batch as they come: a line of JSON an item, in the order in which they ended. */

import type { CodeBatch, ItemStatus } from '../api/codebatch.ts';
import { awaitBatch } from './batch-store.ts';
import { batchResult } from './batch-view.ts';
import type { GatewayDeps } from './deps.ts';
import { isEnded } from './run-view.ts';

/** Ends with the batch. A result is read from the cluster when its line is wanted, so that none are held. */
export async function* batchResults(deps: GatewayDeps, first: CodeBatch, signal: AbortSignal): AsyncGenerator<string> {
  const told = new Set<string>();
  const untold = ({ status }: CodeBatch): ItemStatus[] =>
    (status?.items ?? []).filter(({ name, completionTime }) => completionTime !== undefined && !told.has(name));
  const wanted = (batch: CodeBatch): boolean => isEnded(batch) || untold(batch).length > 0;
  for (let batch = first; !signal.aborted; ) {
    for (const item of untold(batch).sort(byCompletion)) {
      told.add(item.name);
      yield `${JSON.stringify(await batchResult(deps.kube, batch, item))}\n`;
    }
    if (isEnded(batch)) return;
    batch = await awaitBatch(deps, batch, { wanted, milliseconds: undefined, signal });
  }
}

const byCompletion = (a: ItemStatus, b: ItemStatus): number =>
  (a.completionTime ?? '').localeCompare(b.completionTime ?? '');
