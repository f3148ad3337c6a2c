/** The gateway's view of CodeRuns: small for those that have ended, whole for whoever waits for one. */

import type { CodeRun } from '../api/coderun.ts';
import type { RunWatch } from '../gateway/deps.ts';
import { joinKey, keyOf } from '../runtime/keys.ts';
import { Store } from '../runtime/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import { cutRun } from './stores.ts';

type Listener = (run: CodeRun | undefined) => void;

export function watchRuns(logger: Logger): { store: Store<CodeRun>; runs: RunWatch } {
  const listeners = new Map<string, Set<Listener>>();
  /** Runs on their way through the store that somebody waits for, as they were before they were cut. */
  const whole = new Map<string, CodeRun>();
  const store = new Store<CodeRun>({
    logger,
    transform(run) {
      if (listeners.has(keyOf(run))) whole.set(keyOf(run), { ...run });
      return cutRun(run);
    },
  });
  store.onChange(({ type, object }) => {
    const key = keyOf(object);
    const run = type === 'DELETED' ? undefined : (whole.get(key) ?? object);
    whole.delete(key);
    for (const listener of listeners.get(key) ?? []) listener(run);
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
  return { store, runs: { get: (namespace, name) => store.get(joinKey(namespace, name)), onChange } };
}
