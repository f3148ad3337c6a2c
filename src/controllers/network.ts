/** Sees to it that a namespace denies all traffic of sandboxes before the first of them is created there. */

import { isDeepStrictEqual } from 'node:util';
import type { KubernetesObject } from '../api/object.ts';
import { type NewNetworkPolicy, networkPolicies } from '../core/network.ts';
import { isAlreadyExists } from '../kube/error.ts';
import type { Kube } from '../kube/port.ts';
import { NETWORK_POLICIES } from '../kube/resources.ts';
import { joinKey } from '../runtime/keys.ts';
import type { Store } from '../runtime/store.ts';

export interface NetworkPolicy extends KubernetesObject {
  spec: NewNetworkPolicy['spec'];
}

/** A NetworkPolicy of our name that lets through something else than ours: no sandbox is started beside it. */
export class ForeignPolicyError extends Error {
  override readonly name = 'ForeignPolicyError';
}

/**
 * Creates the NetworkPolicies that `namespace` lacks. Throws ForeignPolicyError where one has another spec, and
 * KubeError where one can't be made.
 */
export async function ensureNetworkPolicies(
  kube: Kube,
  policies: Store<NetworkPolicy>,
  namespace: string,
): Promise<void> {
  for (const wanted of networkPolicies(namespace)) {
    const { name } = wanted.metadata;
    const found = policies.get(joinKey(namespace, name)) ?? (await create(kube, policies, wanted));
    if (!isDeepStrictEqual(found.spec, wanted.spec))
      throw new ForeignPolicyError(
        `NetworkPolicy "${name}" of this namespace was changed; delete it, and it is made again`,
      );
  }
}

async function create(kube: Kube, policies: Store<NetworkPolicy>, wanted: NewNetworkPolicy): Promise<NetworkPolicy> {
  try {
    const created = await kube.create<NetworkPolicy>(NETWORK_POLICIES, wanted);
    policies.upsert(created);
    return created;
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    return kube.get<NetworkPolicy>(NETWORK_POLICIES, wanted.metadata.namespace, wanted.metadata.name);
  }
}
