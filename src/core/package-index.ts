/** How sandboxes find the package index of their class: they have no DNS, so its address is told to them. */

import type { V1HostAlias } from '@kubernetes/client-node';
import { SYSTEM_NAMESPACE } from '../api/group.ts';
import type { KubernetesObject } from '../api/object.ts';
import { indexServiceOf, type SandboxClass } from '../api/sandboxclass.ts';
import type { PodRefusal } from './plan.ts';

/** The part of a Service that matters here. */
export interface Service extends KubernetesObject {
  spec: { clusterIP?: string };
}

export interface PackageIndex {
  hostAliases: V1HostAlias[];
  /** Why no sandbox can be made now: it could not find its index. */
  refusal?: PodRefusal;
}

/** A Service may be made after the class that names it: it is looked for again after this time, in milliseconds. */
const LOOK_AGAIN = 2000;

/** The index of `sandboxClass`; `serviceOf` gives a Service of coderun-system by its name. */
export function packageIndexOf(
  sandboxClass: SandboxClass | undefined,
  serviceOf: (name: string) => Service | undefined,
  now: Date,
): PackageIndex {
  const { network, packageIndexURL = '' } = sandboxClass?.spec ?? {};
  const named = network === 'PackageIndex' ? indexServiceOf(packageIndexURL) : undefined;
  if (!sandboxClass || !named) return { hostAliases: [] };
  const { clusterIP } = serviceOf(named.service)?.spec ?? {};
  if (clusterIP && clusterIP !== 'None') return { hostAliases: [{ ip: clusterIP, hostnames: [named.host] }] };
  const where = `packageIndexURL of SandboxClass "${sandboxClass.metadata.name}"`;
  const message = `${where}: there is no Service "${named.service}" with an address in ${SYSTEM_NAMESPACE}`;
  return {
    hostAliases: [],
    refusal: { kind: 'passing', message, retryAt: new Date(now.getTime() + LOOK_AGAIN) },
  };
}
