/** Waiting for a run or a batch without asking again and again: the watch says when it has changed. */

import type { CodeRun } from '../api/coderun.ts';
import { CODE_RUNS, type ResourceType } from '../api/group.ts';
import { isNotFound } from '../kube/error.ts';
import type { GatewayDeps, ObjectWatch } from './deps.ts';
import type { Ending } from './objects.ts';
import { isEnded } from './run-view.ts';

/** `met`: it is as wanted; `deleted`: it is gone; `aborted`: by the signal. */
type Kind = 'met' | 'timedOut' | 'aborted' | 'deleted';

export interface Waited {
  kind: Kind;
  /** All of it, as last seen. */
  run: CodeRun;
}

export interface WaitOptions<T = CodeRun> {
  wanted: (object: T) => boolean;
  /** Undefined waits until the signal. */
  milliseconds: number | undefined;
  signal: AbortSignal;
}

interface ObjectDeps<T> extends Pick<GatewayDeps, 'kube' | 'clock'> {
  type: ResourceType;
  watch: ObjectWatch<T>;
}

/** Waits until the run of `first` is as wanted. The watch need not have seen it yet: `first` is its first state. */
export async function waitFor(
  { kube, runs, clock }: Pick<GatewayDeps, 'kube' | 'runs' | 'clock'>,
  first: CodeRun,
  options: WaitOptions,
): Promise<Waited> {
  const { kind, object } = await waitForObject({ kube, clock, type: CODE_RUNS, watch: runs }, first, options);
  return { kind, run: object };
}

/** The same for an object of any kind. */
export async function waitForObject<T extends Ending>(
  deps: ObjectDeps<T>,
  first: T,
  options: WaitOptions<T>,
): Promise<{ kind: Kind; object: T }> {
  if (options.wanted(first)) return { kind: 'met', object: first };
  const { kind, object, isWhole } = await changes(deps, first, options);
  if (isWhole) return { kind, object };
  const whole = await wholeOf(deps, object);
  return whole ? { kind, object: whole } : { kind: 'deleted', object: first };
}

/** All of an object of which the watch has kept a part; undefined where it is gone, or another has its name. */
async function wholeOf<T extends Ending>({ kube, type }: ObjectDeps<T>, { metadata }: T): Promise<T | undefined> {
  try {
    const whole = await kube.get<T>(type, metadata.namespace, metadata.name);
    return whole.metadata.uid === metadata.uid ? whole : undefined;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function changes<T extends Ending>(
  { watch, clock }: ObjectDeps<T>,
  first: T,
  { wanted, milliseconds, signal }: WaitOptions<T>,
) {
  const { namespace = '', name, uid } = first.metadata;
  const { promise, resolve } = Promise.withResolvers<{ kind: Kind; object: T; isWhole: boolean }>();
  const cleanup = new DisposableStack();
  let latest = { object: first, isWhole: true };
  let seen = false;

  const finish = (kind: Kind) => {
    cleanup.dispose();
    resolve({ kind, ...latest });
  };
  const look = (object: T | undefined, isWhole: boolean) => {
    // One of the same name with another UID is an older one, which the watch has yet to forget, or a newer one.
    if (object?.metadata.uid !== uid) return seen ? finish('deleted') : undefined;
    seen = true;
    latest = { object, isWhole };
    if (wanted(object)) finish('met');
  };
  const abort = () => finish('aborted');

  if (signal.aborted) abort();
  else {
    signal.addEventListener('abort', abort);
    cleanup.defer(() => signal.removeEventListener('abort', abort));
    cleanup.use(watch.onChange(namespace, name, (object) => look(object, true)));
    if (milliseconds !== undefined) cleanup.use(clock.after(milliseconds, () => finish('timedOut')));
    const current = watch.get(namespace, name);
    if (current) look(current, !isEnded(current));
  }
  return promise;
}
