/** The sandboxes of pools that wait for a run or a session, and who has been promised which. */

import type { CodeRun } from '../api/coderun.ts';
import { LABEL_CLASS, LABEL_POOL, LABEL_RUN, LABEL_SESSION } from '../api/group.ts';
import { labelValue } from '../api/names.ts';
import type { Pod } from '../api/object.ts';
import type { ReplSession } from '../api/replsession.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import type { WaitingSandbox } from '../core/plan.ts';
import { isCurrent, isWaiting } from '../core/pool.ts';
import { otherThanPooled } from '../core/request.ts';
import { isUsualSize, limitsFor } from '../core/resize.ts';
import type { Clock } from '../runtime/clock.ts';
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
  /** When the API server was asked to make it another size. */
  resizeAskedAt?: Date;
}

export class WaitingSandboxes {
  readonly #stores: Stores;
  readonly #channels: Channels;
  /** Pod UID → whom it was promised to, from the offer until the pod is gone. */
  readonly #promised = new Map<string, Promised>();

  /** Pool key → when a sandbox of it was promised last, in milliseconds of the monotonic clock. */
  readonly #lastPromise = new Map<string, number>();
  readonly #agentVersion: string;
  readonly #clock: Pick<Clock, 'now' | 'monotonic'>;
  /** Classes, by the label of their pods, whose sandboxes keep the size that they were made in. */
  readonly #unresizable = new Set<string>();

  constructor(stores: Stores, channels: Channels, clock: Pick<Clock, 'now' | 'monotonic'>, agentVersion: string) {
    this.#agentVersion = agentVersion;
    this.#clock = clock;
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

  /**
   * A sandbox for `claimant`, promised to nobody else from now on; one of another size may be made to fit. Undefined where
   * none waits. A claimant that was promised one already is offered the same.
   */
  offer(claimant: Claimant, sandboxClass: SandboxClass | undefined): WaitingSandbox | undefined {
    if (!sandboxClass) return undefined;
    const other = otherThanPooled(claimant.spec, sandboxClass);
    if (other && this.#unresizable.has(labelValue(sandboxClass.metadata.name))) return undefined;
    const found = this.#find(claimant, sandboxClass);
    if (!found) return undefined;
    const { kind, metadata } = claimant;
    const { uid } = found.pod.metadata;
    const known = this.#promised.get(uid);
    const promised: Promised = known?.uid === metadata.uid ? known : { kind, key: keyOf(claimant), uid: metadata.uid };
    this.#promised.set(uid, promised);
    this.#lastPromise.set(poolKeyOf(found.pod) ?? '', this.#clock.monotonic());
    if (!other) return found;
    return { ...found, resize: { limits: limitsFor(sandboxClass, other), askedAt: promised.resizeAskedAt } };
  }

  /** The sandbox that was promised before, or else one that nobody has. */
  #find({ metadata }: Claimant, sandboxClass: SandboxClass): WaitingSandbox | undefined {
    const place = joinKey(metadata.namespace, labelValue(sandboxClass.metadata.name));
    const pods = this.#stores.pods.by(POOLED_PODS_BY_CLASS, place);
    const own = pods.find(({ metadata: { uid } }) => this.#promised.get(uid)?.uid === metadata.uid);
    for (const pod of own ? [own] : pods) {
      const channel = this.#channels.view(pod.metadata.uid);
      const isUsable = isCurrent(pod, sandboxClass, this.#agentVersion) && isWaiting({ pod, channel });
      if (!channel || !isUsable) continue;
      if (own || (!this.isClaimed(pod) && isUsualSize(pod, sandboxClass))) return { pod, channel };
    }
    return undefined;
  }

  /** The API server is asked to give the sandbox the size that its claimant wants. */
  resizeAsked({ pod }: WaitingSandbox): void {
    const promised = this.#promised.get(pod.metadata.uid);
    if (promised) promised.resizeAskedAt = this.#clock.now();
  }

  /** The sandbox can't be made another size: those of its class are not tried again by this leader. */
  forgoResize({ pod }: WaitingSandbox): void {
    this.#unresizable.add(pod.metadata.labels?.[LABEL_CLASS] ?? '');
    this.#promised.delete(pod.metadata.uid);
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
