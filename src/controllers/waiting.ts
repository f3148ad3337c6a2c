/** The sandboxes of pools that wait for a run or a session, and who has been promised which. */

import type { CodeRun } from '../api/coderun.ts';
import { LABEL_POOL, LABEL_RUN, LABEL_SESSION } from '../api/group.ts';
import { labelValue } from '../api/names.ts';
import type { Pod } from '../api/object.ts';
import type { ReplSession } from '../api/replsession.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import type { WaitingSandbox } from '../core/plan.ts';
import { isCurrent, isWaiting } from '../core/pool.ts';
import { fitsPool } from '../core/request.ts';
import { joinKey, keyOf } from '../runtime/keys.ts';
import type { Channels } from '../sandbox/channels.ts';
import type { Stores } from './stores.ts';

/** The index of the pods' store that finds the pods of a pool, claimed or not. */
export const PODS_BY_POOL = 'pool';
/** The index of the pods' store that finds pods of pools that nobody has adopted, by namespace and class. */
export const POOLED_PODS_BY_CLASS = 'pooled';
/** The index of the runs' store that finds the run that has claimed a pod, or is executed in it. */
export const RUNS_BY_POD = 'pod';
/** The index of the sessions' store that finds the session that has claimed a pod. */
export const SESSIONS_BY_POD = 'pod';

export const poolKeyOf = ({ metadata }: Pod): string | undefined => {
  const pool = metadata.labels?.[LABEL_POOL];
  return pool === undefined ? undefined : joinKey(metadata.namespace, pool);
};

export const isAdopted = ({ metadata }: Pod): boolean =>
  metadata.labels?.[LABEL_RUN] !== undefined || metadata.labels?.[LABEL_SESSION] !== undefined;

/** Who may be given a sandbox. */
export type Claimant = CodeRun | ReplSession;

interface Promised {
  kind: Claimant['kind'];
  key: string;
  uid: string;
}

export class WaitingSandboxes {
  readonly #stores: Stores;
  readonly #channels: Channels;
  /** Pod UID → whom it was promised to, from the offer until the pod is gone. */
  readonly #promised = new Map<string, Promised>();

  /** Pool key → when a sandbox of it was promised last, in milliseconds of the monotonic clock. */
  readonly #lastPromise = new Map<string, number>();
  readonly #monotonic: () => number;
  readonly #agentVersion: string;

  constructor(stores: Stores, channels: Channels, monotonic: () => number, agentVersion: string) {
    this.#agentVersion = agentVersion;
    this.#monotonic = monotonic;
    this.#stores = stores;
    this.#channels = channels;
    stores.pods.onChange(({ type, object }) => type === 'DELETED' && this.#promised.delete(object.metadata.uid));
  }

  /** Whether somebody has the pod, or will have it as soon as the claim is written. */
  isClaimed(pod: Pod): boolean {
    const { uid } = pod.metadata;
    const { runs, sessions } = this.#stores;
    return (
      isAdopted(pod) ||
      this.#isPromised(uid) ||
      runs.by(RUNS_BY_POD, uid).length > 0 ||
      sessions.by(SESSIONS_BY_POD, uid).length > 0
    );
  }

  /** Whom the pod was promised to: a CodeRun or a ReplSession, by its key. */
  promisedTo(podUID: string): Pick<Promised, 'kind' | 'key'> | undefined {
    return this.#promised.get(podUID);
  }

  /** When a sandbox of the pool was promised last. */
  lastPromise(poolKey: string): number | undefined {
    return this.#lastPromise.get(poolKey);
  }

  /** A sandbox for `claimant`, promised to nobody else from now on; undefined where none waits that fits it. */
  offer(claimant: Claimant, sandboxClass: SandboxClass | undefined): WaitingSandbox | undefined {
    if (!sandboxClass || !fitsPool(claimant.spec, sandboxClass)) return undefined;
    const { kind, metadata } = claimant;
    const place = joinKey(metadata.namespace, labelValue(sandboxClass.metadata.name));
    for (const pod of this.#stores.pods.by(POOLED_PODS_BY_CLASS, place)) {
      const channel = this.#channels.view(pod.metadata.uid);
      const isUsable = isCurrent(pod, sandboxClass, this.#agentVersion) && isWaiting({ pod, channel });
      if (!channel || !isUsable || this.isClaimed(pod)) continue;
      this.#promised.set(pod.metadata.uid, { kind, key: keyOf(claimant), uid: metadata.uid });
      this.#lastPromise.set(poolKeyOf(pod) ?? '', this.#monotonic());
      return { pod, channel };
    }
    return undefined;
  }

  /** Takes a promise back: the sandbox was not claimed after all. */
  withdraw({ pod }: WaitingSandbox): void {
    this.#promised.delete(pod.metadata.uid);
  }

  /** A promise to an object that is gone holds nobody off. */
  #isPromised(podUID: string): boolean {
    const promised = this.#promised.get(podUID);
    if (!promised) return false;
    const { runs, sessions } = this.#stores;
    const object = promised.kind === 'CodeRun' ? runs.get(promised.key) : sessions.get(promised.key);
    return object?.metadata.uid === promised.uid;
  }
}
