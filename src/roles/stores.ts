/** The watch caches, and how each object is cut down before it is kept. */

import type { CodeBatch } from '../api/codebatch.ts';
import type { CodeRun } from '../api/coderun.ts';
import { LABEL_CLASS } from '../api/group.ts';
import type { KubernetesObject, Pod } from '../api/object.ts';
import { isFinalReason } from '../api/reasons.ts';
import type { ReplSession } from '../api/replsession.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import type { SandboxPool } from '../api/sandboxpool.ts';
import { batchKeyOf, RUNS_BY_BATCH } from '../controllers/batch.ts';
import { PODS_BY_RUN, runKeyOf } from '../controllers/coderun.ts';
import { openSessionOfRun, podOfRun, RUNS_BY_SESSION } from '../controllers/in-session.ts';
import type { NetworkPolicy } from '../controllers/network.ts';
import { PODS_BY_SESSION, sessionKeyOf } from '../controllers/session.ts';
import type { Stores } from '../controllers/stores.ts';
import {
  isAdopted,
  PODS_BY_POOL,
  POOLED_PODS_BY_CLASS,
  poolKeyOf,
  RUNS_BY_POD,
  SESSIONS_BY_POD,
} from '../controllers/waiting.ts';
import { isEndedBatch } from '../core/batch.ts';
import { reasonOf } from '../core/coderun.ts';
import type { Service } from '../core/package-index.ts';
import { isEndedSession } from '../core/session-status.ts';
import { joinKey } from '../runtime/keys.ts';
import { Store } from '../runtime/store.ts';
import type { Logger } from '../telemetry/logger.ts';

const maybe = (key: string | undefined): string[] => (key === undefined ? [] : [key]);

export const createStores = (logger: Logger): Stores => ({
  runs: new Store<CodeRun, typeof RUNS_BY_POD | typeof RUNS_BY_BATCH | typeof RUNS_BY_SESSION>({
    logger,
    transform: cutRun,
    indexes: {
      [RUNS_BY_POD]: (run) => maybe(podOfRun(run)),
      [RUNS_BY_BATCH]: (run) => maybe(batchKeyOf(run)),
      [RUNS_BY_SESSION]: (run) => maybe(openSessionOfRun(run)),
    },
  }),
  sessions: new Store<ReplSession, typeof SESSIONS_BY_POD>({
    logger,
    transform: cutSession,
    indexes: { [SESSIONS_BY_POD]: ({ status }) => maybe(status?.sandbox?.podUID) },
  }),
  batches: new Store<CodeBatch>({ logger, transform: cutBatch }),
  pods: new Store<Pod, keyof typeof POD_INDEXES>({ logger, transform: cutPod, indexes: POD_INDEXES }),
  pools: new Store<SandboxPool>({ logger, transform: withoutManagedFields }),
  classes: new Store<SandboxClass>({ logger }),
  policies: new Store<NetworkPolicy>({ logger, transform: withoutManagedFields }),
  services: new Store<Service>({ logger, transform: withoutManagedFields }),
});

const POD_INDEXES = {
  [PODS_BY_RUN]: (pod: Pod) => maybe(runKeyOf(pod)),
  [PODS_BY_SESSION]: (pod: Pod) => maybe(sessionKeyOf(pod)),
  [PODS_BY_POOL]: (pod: Pod) => maybe(poolKeyOf(pod)),
  [POOLED_PODS_BY_CLASS]: (pod: Pod) =>
    poolKeyOf(pod) && !isAdopted(pod)
      ? [joinKey(pod.metadata.namespace, pod.metadata.labels?.[LABEL_CLASS] ?? '')]
      : [],
};

function withoutManagedFields<T extends KubernetesObject>(object: T): T {
  delete (object.metadata as { managedFields?: unknown }).managedFields;
  return object;
}

/** Nothing is decided by the program and the result of a run that has ended, so thousands of them take little memory. */
export function cutRun(run: CodeRun): CodeRun {
  const cut = withoutManagedFields(run);
  const reason = reasonOf(cut);
  if (!reason || !isFinalReason(reason)) return cut;
  const { language, ttlSecondsAfterFinished, cancelled, className, sessionRef } = cut.spec;
  const { conditions = [], completionTime, exitCode, durationMilliseconds, sandbox } = cut.status ?? {};
  return {
    ...cut,
    spec: { language, ttlSecondsAfterFinished, cancelled, className, ...(sessionRef && { sessionRef }) },
    status: {
      conditions,
      ...(completionTime && { completionTime }),
      ...(exitCode !== undefined && { exitCode }),
      ...(durationMilliseconds !== undefined && { durationMilliseconds }),
      ...(sandbox && { sandbox }),
    },
  };
}

/** As with runs: of a batch that has ended, its items are left out. */
export function cutBatch(batch: CodeBatch): CodeBatch {
  const cut = withoutManagedFields(batch);
  if (!isEndedBatch(cut.status)) return cut;
  const { items, ...status } = cut.status ?? {};
  return { ...cut, spec: { ...cut.spec, template: { language: 'python' }, items: [] }, status };
}

/** As with runs: a session that has ended needs no files any more. */
function cutSession(session: ReplSession): ReplSession {
  const cut = withoutManagedFields(session);
  if (!isEndedSession(cut)) return cut;
  const { files: _files, env: _env, packages: _packages, ...spec } = cut.spec;
  return { ...cut, spec };
}

/** The command line holds the whole agent. */
function cutPod(pod: Pod): Pod {
  const cut = withoutManagedFields(pod);
  for (const container of cut.spec.containers) delete container.command;
  return cut;
}
