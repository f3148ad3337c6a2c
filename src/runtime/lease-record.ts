/** The record of leader election: who holds the Lease, since when, and how often it was acquired. */

import type { KubernetesObject } from '../api/object.ts';

/** Times are RFC 3339 with exactly six decimals, as Kubernetes' MicroTime wants them. */
export interface LeaseSpec {
  /** Empty or absent: nobody. */
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
}

export interface Lease extends KubernetesObject {
  spec?: LeaseSpec;
}

/** One Lease object. */
export interface LeasePort {
  /** Undefined where there is none; rejects where that isn't known. */
  get(): Promise<Lease | undefined>;
  /** Rejects where there is one. */
  create(spec: LeaseSpec): Promise<Lease>;
  /** Rejects where `lease` isn't the newest version. */
  replace(lease: Lease): Promise<Lease>;
}

const microTime = (now: Date): string => now.toISOString().replace('Z', '000Z');

export function acquiredSpec(identity: string, epoch: number, leaseMilliseconds: number, now: Date): LeaseSpec {
  return {
    holderIdentity: identity,
    leaseDurationSeconds: Math.ceil(leaseMilliseconds / 1000),
    acquireTime: microTime(now),
    renewTime: microTime(now),
    leaseTransitions: epoch,
  };
}

export const renewedSpec = (spec: LeaseSpec, now: Date): LeaseSpec => ({ ...spec, renewTime: microTime(now) });

/** Of a lease that its holder gives back: free at once, and the count goes on from here. */
export const releasedSpec = (spec: LeaseSpec, now: Date): LeaseSpec => ({
  ...renewedSpec(spec, now),
  holderIdentity: '',
  leaseDurationSeconds: 1,
});

/** Whether `spec` is what this holder wrote in its term `epoch`. */
export const isTermOf = (spec: LeaseSpec | undefined, identity: string, epoch: number): boolean =>
  spec?.holderIdentity === identity && spec.leaseTransitions === epoch;
