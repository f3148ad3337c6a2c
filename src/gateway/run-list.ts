/** Pages of a caller's runs. */

import type { CodeRun } from '../api/coderun.ts';
import { CODE_RUNS } from '../api/group.ts';
import { isExpired, KubeError } from '../kube/error.ts';
import type { Kube } from '../kube/port.ts';
import type { Caller } from './plugins/identify.ts';
import { fieldError, Problem } from './problem.ts';
import { type RunSummary, runSummary } from './run-view.ts';

/** A run may take more than a megabyte: so many are held at once, and only their summaries are kept. */
const STEP = 20;

export async function listRuns(
  kube: Kube,
  { namespace }: Caller,
  { limit, continue: from }: { limit: number; continue?: string | undefined },
): Promise<{ items: RunSummary[]; continue?: string }> {
  const items: RunSummary[] = [];
  let token = from;
  do {
    const step = Math.min(STEP, limit - items.length);
    const page = await kube
      .list<CodeRun>(CODE_RUNS, { namespace, limit: step, ...(token && { continue: token }) })
      .catch((error: unknown) => {
        throw listProblem(error);
      });
    items.push(...page.items.map(runSummary));
    token = page.metadata.continue;
  } while (token && items.length < limit);
  return token ? { items, continue: token } : { items };
}

function listProblem(error: unknown): unknown {
  if (isExpired(error))
    return new Problem('PageExpired', 'The list has grown too old; begin it again without continue.');
  if (!(error instanceof KubeError && error.code === 400)) return error;
  const errors = [fieldError('query', 'continue', 'is not what a page answered')];
  return new Problem('InvalidRequest', 'Send as continue what the page before answered, or nothing.', { errors });
}
