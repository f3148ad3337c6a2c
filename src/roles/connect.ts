/** Connects a role to its API server and keeps its watch caches. */

import type { ResourceType } from '../api/group.ts';
import type { KubernetesObject } from '../api/object.ts';
import type { Config } from '../config.ts';
import { createKube } from '../kube/client.ts';
import { inClusterCredentials, kubeconfigCredentials } from '../kube/config.ts';
import { isExpired, KubeError } from '../kube/error.ts';
import type { Kube } from '../kube/port.ts';
import { systemClock } from '../runtime/clock.ts';
import { Reflector } from '../runtime/reflector.ts';
import type { Store } from '../runtime/store.ts';
import type { Logger } from '../telemetry/logger.ts';

/** The API server of the cluster that this process runs in, or else the one of the kubeconfig. */
export async function connect(config: Config, role: string): Promise<Kube> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port, CODERUN_CONTEXT: context } = config;
  const credentials =
    host && port
      ? await inClusterCredentials({ host, port }, systemClock)
      : await kubeconfigCredentials(context === undefined ? {} : { context }, systemClock);
  return createKube(credentials, { userAgent: `coderun-${role}` });
}

export interface CacheOptions<T extends KubernetesObject, Index extends string> {
  kube: Kube;
  type: ResourceType;
  store: Store<T, Index>;
  /** All of them without. */
  namespace?: string;
  labelSelector?: string;
  log: Logger;
  signal: AbortSignal;
}

/** Bookmarks come once a minute, on a quiet kind every other: a watch that is silent for longer is dead. */
const SILENCE_MILLISECONDS = 150_000;
/** After etcd was restored from a backup, only a list shows what is no longer there. */
const RELIST_MILLISECONDS = 3_600_000;

/** Feeds `store` until `signal` aborts. */
export async function keepCache<T extends KubernetesObject, Index extends string>(options: CacheOptions<T, Index>) {
  const { kube, type, store, namespace, labelSelector, log, signal } = options;
  const selection = {
    ...(namespace !== undefined && { namespace }),
    ...(labelSelector !== undefined && { labelSelector }),
  };
  const reflector = new Reflector<T>({
    name: type.plural,
    source: {
      list: (page) => kube.list<T>(type, { ...selection, ...page }),
      watch: (page) => kube.watch<T>(type, { ...selection, ...page }),
    },
    store,
    errors: {
      isExpired,
      retryAfterMilliseconds: (error) => (error instanceof KubeError ? error.retryAfterMilliseconds : undefined),
    },
    clock: systemClock,
    random: Math.random,
    logger: log,
    silenceMilliseconds: SILENCE_MILLISECONDS,
    relistMilliseconds: RELIST_MILLISECONDS,
  });
  await reflector.run(signal);
}
