/** The watch caches, and how each object is cut down before it is kept. */

import type { CodeRun } from '../api/coderun.ts';
import type { KubernetesObject, Pod } from '../api/object.ts';
import { isFinalReason } from '../api/reasons.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import { PODS_BY_RUN, runKeyOf, type Stores } from '../controllers/coderun.ts';
import type { NetworkPolicy } from '../controllers/network.ts';
import { reasonOf } from '../core/coderun.ts';
import { Store } from '../runtime/store.ts';
import type { Logger } from '../telemetry/logger.ts';

export const createStores = (logger: Logger): Stores => ({
  runs: new Store<CodeRun>({ logger, transform: cutRun }),
  pods: new Store<Pod, typeof PODS_BY_RUN>({
    logger,
    transform: cutPod,
    indexes: { [PODS_BY_RUN]: (pod) => [runKeyOf(pod) ?? []].flat() },
  }),
  classes: new Store<SandboxClass>({ logger }),
  policies: new Store<NetworkPolicy>({ logger, transform: withoutManagedFields }),
});

function withoutManagedFields<T extends KubernetesObject>(object: T): T {
  delete (object.metadata as { managedFields?: unknown }).managedFields;
  return object;
}

/** Nothing is decided by the program and the result of a run that has ended, so thousands of them take little memory. */
export function cutRun(run: CodeRun): CodeRun {
  const cut = withoutManagedFields(run);
  const reason = reasonOf(cut);
  if (!reason || !isFinalReason(reason)) return cut;
  const { language, ttlSecondsAfterFinished, cancelled, className } = cut.spec;
  const { conditions = [], completionTime, durationMilliseconds, sandbox } = cut.status ?? {};
  return {
    ...cut,
    spec: { language, ttlSecondsAfterFinished, cancelled, className },
    status: {
      conditions,
      ...(completionTime && { completionTime }),
      ...(durationMilliseconds !== undefined && { durationMilliseconds }),
      ...(sandbox && { sandbox }),
    },
  };
}

/** The command line holds the whole agent. */
function cutPod(pod: Pod): Pod {
  const cut = withoutManagedFields(pod);
  for (const container of cut.spec.containers) delete container.command;
  return cut;
}
