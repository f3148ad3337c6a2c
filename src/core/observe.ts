/** What a pod's status tells, in the few words that decisions need. */

import type { V1ContainerStatus } from '@kubernetes/client-node';
import type { Pod } from '../api/object.ts';

export interface Observation {
  state: 'pending' | 'running' | 'ended';
  /** Somebody asked for its deletion. */
  deleting: boolean;
  /** Why it does not run yet: a reason such as ImagePullBackOff or Unschedulable, and a sentence. */
  waiting: { reason: string; message: string } | undefined;
  /** How its container ended; undefined where the kubelet did not say. */
  exitCode: number | undefined;
  /** Its node has fallen silent, so that what is told of its containers is of the past. */
  nodeLost: boolean;
  /** The container was killed for want of memory. */
  outOfMemory: boolean;
  /** Reason and message of the pod itself, such as Evicted or DeadlineExceeded. */
  reason: string;
  message: string;
}

/** How gVisor's shim has reported a sandbox that was killed for want of memory: beside OOMKilled, by these exit codes. */
const KILLED_EXIT_CODES = [128, 137];

export function observe(pod: Pod): Observation {
  const { phase, reason, message, containerStatuses } = pod.status ?? {};
  const container = containerStatuses?.[0];
  const terminated = container?.state?.terminated;
  return {
    state: phase === 'Succeeded' || phase === 'Failed' ? 'ended' : container?.state?.running ? 'running' : 'pending',
    deleting: pod.metadata.deletionTimestamp !== undefined,
    waiting: waitingFor(pod, container),
    nodeLost: container?.ready === true && isUnready(pod),
    exitCode: terminated?.exitCode,
    outOfMemory: terminated?.reason === 'OOMKilled' || KILLED_EXIT_CODES.includes(terminated?.exitCode ?? 0),
    reason: reason ?? terminated?.reason ?? '',
    message: message ?? terminated?.message ?? '',
  };
}

/** Of a node that is lost, the control plane takes back that the pod is ready, and nothing else. */
const isUnready = (pod: Pod): boolean =>
  pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status !== 'True') ?? false;

function waitingFor(pod: Pod, container: V1ContainerStatus | undefined): Observation['waiting'] {
  const waiting = container?.state?.waiting;
  if (waiting?.reason && waiting.reason !== 'ContainerCreating')
    return { reason: waiting.reason, message: waiting.message ?? '' };
  const scheduled = pod.status?.conditions?.find((condition) => condition.type === 'PodScheduled');
  if (scheduled?.status === 'False')
    return { reason: scheduled.reason ?? 'Unschedulable', message: scheduled.message ?? '' };
  return undefined;
}

/** Waiting reasons that no waiting will mend. */
export const HOPELESS_WAITS: readonly string[] = [
  'InvalidImageName',
  'ErrImageNeverPull',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
];
/** Waiting reasons that may pass, and are given up on before the limit for pending pods. */
export const IMAGE_WAITS: readonly string[] = ['ErrImagePull', 'ImagePullBackOff'];
