/** Sees to it that a namespace denies all traffic of sandboxes before the first of them is created there. */

import { networkPolicies } from '../core/network.ts';
import { isAlreadyExists } from '../kube/error.ts';
import type { Kube } from '../kube/port.ts';
import { NETWORK_POLICIES } from '../kube/resources.ts';

export interface NetworkPolicyGuard {
  /** Resolves once every NetworkPolicy of the namespace is there; rejects where one can't be made. */
  ensure(namespace: string): Promise<void>;
}

/** Asks the API server once a namespace; the answer is remembered for as long as the namespace is looked after. */
export function networkPolicyGuard(kube: Kube): NetworkPolicyGuard {
  const done = new Map<string, Promise<void>>();
  return {
    ensure(namespace) {
      const pending = done.get(namespace) ?? create(kube, namespace);
      done.set(namespace, pending);
      pending.catch(() => done.delete(namespace));
      return pending;
    },
  };
}

async function create(kube: Kube, namespace: string): Promise<void> {
  for (const policy of networkPolicies(namespace))
    await kube.create(NETWORK_POLICIES, policy).catch((error: unknown) => {
      if (!isAlreadyExists(error)) throw error;
    });
}
