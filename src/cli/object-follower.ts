/** Watches single objects while somebody waits for them: a command looks at a few, and must not list a namespace. */

import type { ResourceType } from '../api/group.ts';
import type { KubernetesObject } from '../api/object.ts';
import type { ObjectWatch } from '../gateway/deps.ts';
import { isNotFound } from '../kube/error.ts';
import type { Kube } from '../kube/port.ts';
import type { Clock } from '../runtime/clock.ts';

const WATCH_SECONDS = 300;
const PAUSE_MILLISECONDS = 1000;

export function followObjects<T extends KubernetesObject>(
  kube: Kube,
  type: ResourceType,
  clock: Clock,
): ObjectWatch<T> {
  return {
    // Nothing is remembered: who asks is sent on to the API server.
    get: () => undefined,
    onChange(namespace, name, listener) {
      const stop = new AbortController();
      void follow<T>({ kube, type, clock, namespace, name, signal: stop.signal }, listener);
      return { [Symbol.dispose]: () => stop.abort() };
    },
  };
}

interface Following {
  kube: Kube;
  type: ResourceType;
  clock: Clock;
  namespace: string;
  name: string;
  signal: AbortSignal;
}

async function follow<T extends KubernetesObject>(
  following: Following,
  listener: (object: T | undefined) => void,
): Promise<void> {
  const { clock, signal } = following;
  const tell = (object: T | undefined) => {
    if (!signal.aborted) listener(object);
  };
  while (!signal.aborted) {
    try {
      await once(following, tell);
    } catch {
      // The API server is away, or has forgotten the version: it is asked anew.
      await clock.sleep(PAUSE_MILLISECONDS, signal).catch(() => undefined);
    }
  }
}

/** The object as it is, then its changes until the watch ends. */
async function once<T extends KubernetesObject>(
  { kube, type, namespace, name, signal }: Following,
  tell: (object: T | undefined) => void,
): Promise<void> {
  const object = await kube.get<T>(type, namespace, name).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
    return undefined;
  });
  tell(object);
  const resourceVersion = object?.metadata.resourceVersion ?? '0';
  const selection = { namespace, fieldSelector: `metadata.name=${name}`, timeoutSeconds: WATCH_SECONDS };
  for await (const event of kube.watch<T>(type, { ...selection, resourceVersion, signal }))
    if (event.type !== 'BOOKMARK' && event.object.metadata.name === name)
      tell(event.type === 'DELETED' ? undefined : event.object);
}
