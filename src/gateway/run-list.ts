/** Pages of a caller's runs, and of their sessions. */

import type { CodeRun } from '../api/coderun.ts';
import { CODE_RUNS, REPL_SESSIONS, type ResourceType } from '../api/group.ts';
import type { KubernetesObject } from '../api/object.ts';
import type { ReplSession } from '../api/replsession.ts';
import { isExpired, KubeError } from '../kube/error.ts';
import type { Kube } from '../kube/port.ts';
import type { Caller } from './plugins/identify.ts';
import { fieldError, Problem } from './problem.ts';
import { runSummary } from './run-view.ts';
import { sessionView } from './session-view.ts';

/** An object may take more than a megabyte: so many are held at once, and only their summaries are kept. */
const STEP = 20;

interface PageQuery {
  limit: number;
  continue?: string | undefined;
}

export const listRuns = (kube: Kube, caller: Caller, query: PageQuery) =>
  listPage(kube, caller, query, CODE_RUNS, (run: CodeRun) => runSummary(run));

export const listSessions = (kube: Kube, caller: Caller, query: PageQuery) =>
  listPage(kube, caller, query, REPL_SESSIONS, (session: ReplSession) => sessionView(session));

async function listPage<T extends KubernetesObject, Summary>(
  kube: Kube,
  { namespace }: Caller,
  { limit, continue: from }: PageQuery,
  type: ResourceType,
  summaryOf: (object: T) => Summary,
): Promise<{ items: Summary[]; continue?: string }> {
  const items: Summary[] = [];
  let token = from;
  do {
    const step = Math.min(STEP, limit - items.length);
    const page = await kube
      .list<T>(type, { namespace, limit: step, ...(token && { continue: token }) })
      .catch((error: unknown) => {
        throw listProblem(error);
      });
    items.push(...page.items.map(summaryOf));
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
