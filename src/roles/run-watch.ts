/** The gateway's view of runs and batches: small for those that have ended, whole for whoever waits for one. */

import type { KubernetesObject } from '../api/object.ts';
import type { ObjectWatch } from '../gateway/deps.ts';
import { joinKey, keyOf } from '../runtime/keys.ts';
import { Store } from '../runtime/store.ts';
import type { Logger } from '../telemetry/logger.ts';

/** A store and what is seen of it; `cut` makes small what has ended. */
export function watchObjects<T extends KubernetesObject, Index extends string>(
  logger: Logger,
  cut: (object: T) => T,
  indexes: Record<Index, (object: T) => readonly string[]>,
): { store: Store<T, Index>; watch: ObjectWatch<T> } {
  type Listener = (object: T | undefined) => void;
  const listeners = new Map<string, Set<Listener>>();
  /** Objects on their way through the store that somebody waits for, as they were before they were cut. */
  const whole = new Map<string, T>();
  const store = new Store<T, Index>({
    logger,
    indexes,
    transform(object) {
      if (listeners.has(keyOf(object))) whole.set(keyOf(object), { ...object });
      return cut(object);
    },
  });
  store.onChange(({ type, object }) => {
    const key = keyOf(object);
    const seen = type === 'DELETED' ? undefined : (whole.get(key) ?? object);
    whole.delete(key);
    for (const listener of listeners.get(key) ?? []) listener(seen);
  });
  const onChange = (namespace: string, name: string, listener: Listener): Disposable => {
    const key = joinKey(namespace, name);
    const waiting = listeners.get(key) ?? new Set();
    listeners.set(key, waiting.add(listener));
    return {
      [Symbol.dispose]() {
        waiting.delete(listener);
        if (waiting.size > 0 || listeners.get(key) !== waiting) return;
        listeners.delete(key);
        whole.delete(key);
      },
    };
  };
  return { store, watch: { get: (namespace, name) => store.get(joinKey(namespace, name)), onChange } };
}
