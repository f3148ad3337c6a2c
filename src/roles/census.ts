/** Counts of runs, batches and sessions in the gateway's watch caches, by indexes, so that thousands of ended ones cost nothing. */

import type { CodeBatch } from '../api/codebatch.ts';
import type { CodeRun } from '../api/coderun.ts';
import { LABEL_API_KEY } from '../api/group.ts';
import type { KubernetesObject } from '../api/object.ts';
import type { ReplSession } from '../api/replsession.ts';
import type { Census } from '../gateway/admission.ts';
import { isEnded, succeeded } from '../gateway/run-view.ts';
import { standing } from '../gateway/session-view.ts';
import { joinKey } from '../runtime/keys.ts';
import type { Store } from '../runtime/store.ts';

const WAITING = 'waiting';
const UNFINISHED = 'unfinished';

const byKey = ({ metadata }: KubernetesObject): string[] => {
  const id = metadata.labels?.[LABEL_API_KEY];
  return id === undefined ? [] : [joinKey(metadata.namespace, id)];
};

export const RUN_CENSUS = {
  [WAITING]: (run: CodeRun) =>
    isEnded(run) || succeeded(run)?.reason === 'Running' ? [] : [joinKey(run.metadata.namespace, '')],
  [UNFINISHED]: (run: CodeRun) => (isEnded(run) ? [] : byKey(run)),
};

export const BATCH_CENSUS = {
  [UNFINISHED]: (batch: CodeBatch) => (isEnded(batch) ? [] : byKey(batch)),
};

export const SESSION_CENSUS = {
  [WAITING]: (session: ReplSession) =>
    standing(session).state === 'starting' ? [joinKey(session.metadata.namespace, '')] : [],
  [UNFINISHED]: (session: ReplSession) => (standing(session).state === 'ended' ? [] : byKey(session)),
};

interface Counted {
  runs: Pick<Store<CodeRun, keyof typeof RUN_CENSUS>, 'by'>;
  batches: Pick<Store<CodeBatch, keyof typeof BATCH_CENSUS>, 'by'>;
  sessions: Pick<Store<ReplSession, keyof typeof SESSION_CENSUS>, 'by'>;
}

export const censusOf = ({ runs, batches, sessions }: Counted): Census => ({
  waiting(namespace) {
    const key = joinKey(namespace, '');
    return runs.by(WAITING, key).length + sessions.by(WAITING, key).length;
  },
  unfinished(namespace, keyId) {
    const key = joinKey(namespace, keyId);
    const ofBatches = batches
      .by(UNFINISHED, key)
      .reduce((sum, { spec }) => sum + Math.min(spec.parallelism, spec.items.length), 0);
    return runs.by(UNFINISHED, key).length + sessions.by(UNFINISHED, key).length + ofBatches;
  },
});
