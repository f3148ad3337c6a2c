/** The Lease of a leader election, at the API server. */

import { isNotFound } from '../kube/error.ts';
import type { Kube } from '../kube/port.ts';
import { LEASES } from '../kube/resources.ts';
import type { LeasePort } from '../runtime/lease.ts';
import type { Lease } from '../runtime/lease-record.ts';

export const leasePort = (kube: Kube, namespace: string, name: string): LeasePort => ({
  async get() {
    try {
      return await kube.get<Lease>(LEASES, namespace, name);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  },
  create(spec) {
    const lease = { apiVersion: LEASES.apiVersion, kind: LEASES.kind, metadata: { name, namespace }, spec };
    return kube.create<Lease>(LEASES, lease);
  },
  replace: (lease) => kube.replace<Lease>(LEASES, lease),
});
