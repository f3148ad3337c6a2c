/** Waiting for a run without asking again and again: the watch says when it has changed. */

import type { CodeRun } from '../api/coderun.ts';
import type { GatewayDeps } from './deps.ts';
import { wholeRun } from './run-store.ts';
import { isEnded } from './run-view.ts';

export interface Waited {
  /** `met`: the run is as wanted; `deleted`: it is gone; `aborted`: by the signal. */
  kind: 'met' | 'timedOut' | 'aborted' | 'deleted';
  /** All of it, as last seen. */
  run: CodeRun;
}

export interface WaitOptions {
  wanted: (run: CodeRun) => boolean;
  /** Undefined waits until the signal. */
  milliseconds: number | undefined;
  signal: AbortSignal;
}

type WaitDeps = Pick<GatewayDeps, 'kube' | 'runs' | 'clock'>;

/** Waits until the run of `first` is as wanted. The watch need not have seen it yet: `first` is its first state. */
export async function waitFor(deps: WaitDeps, first: CodeRun, options: WaitOptions): Promise<Waited> {
  if (options.wanted(first)) return { kind: 'met', run: first };
  const waited = await watch(deps, first, options);
  if (waited.isWhole) return waited;
  const run = await wholeRun(deps.kube, waited.run);
  return run ? { ...waited, run } : { kind: 'deleted', run: first };
}

function watch({ runs, clock }: WaitDeps, first: CodeRun, { wanted, milliseconds, signal }: WaitOptions) {
  const { namespace = '', name, uid } = first.metadata;
  const { promise, resolve } = Promise.withResolvers<Waited & { isWhole: boolean }>();
  const cleanup = new DisposableStack();
  let latest = { run: first, isWhole: true };
  let seen = false;

  const finish = (kind: Waited['kind']) => {
    cleanup.dispose();
    resolve({ kind, ...latest });
  };
  const look = (run: CodeRun | undefined, isWhole: boolean) => {
    // A run of the same name with another UID is an older one, which the watch has yet to forget, or a newer one.
    if (run?.metadata.uid !== uid) return seen ? finish('deleted') : undefined;
    seen = true;
    latest = { run, isWhole };
    if (wanted(run)) finish('met');
  };
  const abort = () => finish('aborted');

  if (signal.aborted) abort();
  else {
    signal.addEventListener('abort', abort);
    cleanup.defer(() => signal.removeEventListener('abort', abort));
    cleanup.use(runs.onChange(namespace, name, (run) => look(run, true)));
    if (milliseconds !== undefined) cleanup.use(clock.after(milliseconds, () => finish('timedOut')));
    const current = runs.get(namespace, name);
    if (current) look(current, !isEnded(current));
  }
  return promise;
}
