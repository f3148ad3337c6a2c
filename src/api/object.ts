/** The part of Kubernetes' object model that this project reads and writes. */

import type { V1PodSpec, V1PodStatus } from '@kubernetes/client-node';

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid: string;
  resourceVersion: string;
  generation?: number;
  creationTimestamp: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
}

export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

/** A pod as JSON carries it: times are texts. */
export interface Pod extends KubernetesObject {
  spec: V1PodSpec;
  status?: V1PodStatus;
}

/** A pod as it is sent for creation. */
export interface NewPod {
  apiVersion: string;
  kind: string;
  metadata: Required<Pick<ObjectMeta, 'name' | 'labels' | 'ownerReferences'>> & { namespace: string };
  spec: V1PodSpec;
}
