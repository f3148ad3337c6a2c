/** Batches in the cluster: creating, finding, cancelling and awaiting them for a caller. */

import type { CodeBatch, CodeBatchSpec } from '../api/codebatch.ts';
import { CODE_BATCHES } from '../api/group.ts';
import type { Kube } from '../kube/port.ts';
import type { GatewayDeps } from './deps.ts';
import type { Naming } from './idempotency.ts';
import { admitObject, cancelObject, findObject, type Kind } from './objects.ts';
import type { Caller } from './plugins/identify.ts';
import { Problem } from './problem.ts';
import { type WaitOptions, waitForObject } from './wait.ts';

const BATCH: Kind = { type: CODE_BATCHES, word: 'batch', notFound: 'BatchNotFound' };

export const createBatch = (
  deps: Pick<GatewayDeps, 'kube' | 'random' | 'admission' | 'batches'>,
  caller: Caller,
  spec: CodeBatchSpec,
  naming: Naming,
): Promise<CodeBatch> =>
  admitObject<CodeBatch>(BATCH, deps, caller, {
    spec,
    naming,
    wanted: { runs: Math.min(spec.parallelism, spec.items.length), field: 'parallelism' },
    watch: deps.batches,
  });

export const findBatch = ({ kube, batches }: GatewayDeps, caller: Caller, name: string): Promise<CodeBatch> =>
  findObject(BATCH, kube, batches, caller, name);

export const cancelBatch = (kube: Kube, batch: CodeBatch): Promise<CodeBatch> => cancelObject(BATCH, kube, batch);

/** The batch as wanted, or as it stands after the time or at the signal. Throws a `Problem` where it is gone. */
export async function awaitBatch(
  { kube, batches, clock }: GatewayDeps,
  first: CodeBatch,
  options: WaitOptions<CodeBatch>,
): Promise<CodeBatch> {
  const waited = await waitForObject({ kube, clock, type: CODE_BATCHES, watch: batches }, first, options);
  if (waited.kind === 'deleted') throw new Problem('BatchDeleted', 'The batch was deleted before it ended.');
  return waited.object;
}
