/** The sandboxes of pools that wait for a run, and who has been promised which. */

import type { CodeRun } from '../api/coderun.ts';
import { LABEL_POOL, LABEL_RUN } from '../api/group.ts';
import { labelValue } from '../api/names.ts';
import type { Pod } from '../api/object.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import type { WaitingSandbox } from '../core/plan.ts';
import { isCurrent, isWaiting } from '../core/pool.ts';
import { fitsPool } from '../core/request.ts';
import { joinKey } from '../runtime/keys.ts';
import type { Channels } from '../sandbox/channels.ts';
import type { Stores } from './stores.ts';

/** The index of the pods' store that finds the pods of a pool, claimed or not. */
export const PODS_BY_POOL = 'pool';
/** The index of the pods' store that finds pods of pools that no run has adopted, by namespace and class. */
export const POOLED_PODS_BY_CLASS = 'pooled';
/** The index of the runs' store that finds the run that has claimed a pod. */
export const RUNS_BY_POD = 'pod';

export const poolKeyOf = ({ metadata }: Pod): string | undefined => {
  const pool = metadata.labels?.[LABEL_POOL];
  return pool === undefined ? undefined : joinKey(metadata.namespace, pool);
};

export const isAdopted = ({ metadata }: Pod): boolean => metadata.labels?.[LABEL_RUN] !== undefined;

export class WaitingSandboxes {
  readonly #stores: Stores;
  readonly #channels: Channels;
  /** Pod UID → the run that it was promised to, from the offer until the pod is gone. */
  readonly #promised = new Map<string, { key: string; runUID: string }>();

  /** Pool key → when a sandbox of it was promised last, in milliseconds of the monotonic clock. */
  readonly #lastPromise = new Map<string, number>();
  readonly #monotonic: () => number;

  constructor(stores: Stores, channels: Channels, monotonic: () => number) {
    this.#monotonic = monotonic;
    this.#stores = stores;
    this.#channels = channels;
    stores.pods.onChange(({ type, object }) => type === 'DELETED' && this.#promised.delete(object.metadata.uid));
  }

  /** Whether a run has the pod, or will have it as soon as its claim is written. */
  isClaimed(pod: Pod): boolean {
    const { uid } = pod.metadata;
    const promised = this.#promised.get(uid);
    const isPromised = promised && this.#stores.runs.get(promised.key)?.metadata.uid === promised.runUID;
    return isAdopted(pod) || isPromised === true || this.#stores.runs.by(RUNS_BY_POD, uid).length > 0;
  }

  /** The key of the run that the pod was promised to. */
  promisedTo(podUID: string): string | undefined {
    return this.#promised.get(podUID)?.key;
  }

  /** When a sandbox of the pool was promised last. */
  lastPromise(poolKey: string): number | undefined {
    return this.#lastPromise.get(poolKey);
  }

  /** A sandbox for `run`, promised to nobody else from now on; undefined where none waits that fits it. */
  offer(key: string, run: CodeRun, sandboxClass: SandboxClass | undefined): WaitingSandbox | undefined {
    if (!sandboxClass || !fitsPool(run, sandboxClass)) return undefined;
    const place = joinKey(run.metadata.namespace, labelValue(sandboxClass.metadata.name));
    for (const pod of this.#stores.pods.by(POOLED_PODS_BY_CLASS, place)) {
      const channel = this.#channels.view(pod.metadata.uid);
      if (!channel || !isCurrent(pod, sandboxClass) || !isWaiting({ pod, channel }) || this.isClaimed(pod)) continue;
      this.#promised.set(pod.metadata.uid, { key, runUID: run.metadata.uid });
      this.#lastPromise.set(poolKeyOf(pod) ?? '', this.#monotonic());
      return { pod, channel };
    }
    return undefined;
  }

  /** Takes a promise back: the run did not claim the sandbox after all. */
  withdraw({ pod }: WaitingSandbox): void {
    this.#promised.delete(pod.metadata.uid);
  }
}
