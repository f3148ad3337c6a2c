/** The resources of Kubernetes itself that this program uses. */

import type { ResourceType } from '../api/group.ts';

const namespaced = (apiVersion: string, kind: string, plural: string): ResourceType => ({
  apiVersion,
  kind,
  plural,
  namespaced: true,
});

const reviewed = (apiVersion: string, kind: string, plural: string): ResourceType => ({
  apiVersion,
  kind,
  plural,
  namespaced: false,
});

export const PODS = namespaced('v1', 'Pod', 'pods');
export const CONFIG_MAPS = namespaced('v1', 'ConfigMap', 'configmaps');
export const SECRETS = namespaced('v1', 'Secret', 'secrets');
export const EVENTS = namespaced('events.k8s.io/v1', 'Event', 'events');
export const LEASES = namespaced('coordination.k8s.io/v1', 'Lease', 'leases');
export const NETWORK_POLICIES = namespaced('networking.k8s.io/v1', 'NetworkPolicy', 'networkpolicies');
/** Questions rather than objects: the answer to creating one is all that there is of it. */
export const TOKEN_REVIEWS = reviewed('authentication.k8s.io/v1', 'TokenReview', 'tokenreviews');
export const SUBJECT_ACCESS_REVIEWS = reviewed(
  'authorization.k8s.io/v1',
  'SubjectAccessReview',
  'subjectaccessreviews',
);
