/** The sandboxes there are: one made for a run or a session, and those that a pool keeps waiting. */

import type { V1HostAlias } from '@kubernetes/client-node';
import type { CodeRun } from '../api/coderun.ts';
import {
  API_VERSION,
  LABEL_AGENT,
  LABEL_CLASS_GENERATION,
  LABEL_POOL,
  LABEL_RUN,
  LABEL_SESSION,
} from '../api/group.ts';
import { labelValue, podName } from '../api/names.ts';
import type { KubernetesObject, NewPod, ObjectMeta, OwnerReference, Pod } from '../api/object.ts';
import { LONGEST_SESSION_SECONDS, type ReplSession } from '../api/replsession.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import type { SandboxPool } from '../api/sandboxpool.ts';
import { sandboxPod } from './pod.ts';
import { amount } from './quantity.ts';
import type { RunRequest } from './request.ts';

/** What the kubelet grants beyond a timeout before it ends the pod by itself, in seconds. */
const DEADLINE_GRACE_SECONDS = 30;

const ownedBy = (kind: string, { name, uid }: ObjectMeta): OwnerReference => ({
  apiVersion: API_VERSION,
  kind,
  name,
  uid,
  controller: true,
});

/** What a sandbox is made with beside its class. */
export interface SandboxParts {
  agentCommand: string[];
  /** Another one for every other command. */
  agentVersion: string;
  /** Of the package index; see package-index.ts. */
  hostAliases: V1HostAlias[];
}

/** The pod of a run that found no sandbox waiting. */
export const runPod = (
  run: CodeRun,
  sandboxClass: SandboxClass,
  request: RunRequest,
  { agentCommand, hostAliases }: SandboxParts,
  pendingTimeoutSeconds: number,
): NewPod =>
  sandboxPod({
    name: podName(run.metadata),
    namespace: run.metadata.namespace ?? '',
    owner: ownedBy('CodeRun', run.metadata),
    labels: { [LABEL_RUN]: run.metadata.uid },
    sandboxClass,
    resources: request,
    hostAliases,
    agentCommand,
    deadlineSeconds: pendingTimeoutSeconds + request.timeoutSeconds + DEADLINE_GRACE_SECONDS,
  });

/** The pod of a session that found no sandbox waiting. */
export const sessionPod = (
  session: ReplSession,
  sandboxClass: SandboxClass,
  resources: { cpu: number; memory: number },
  { agentCommand, hostAliases }: SandboxParts,
  pendingTimeoutSeconds: number,
): NewPod =>
  sandboxPod({
    name: podName(session.metadata),
    namespace: session.metadata.namespace ?? '',
    owner: ownedBy('ReplSession', session.metadata),
    labels: { [LABEL_SESSION]: session.metadata.uid },
    sandboxClass,
    resources,
    hostAliases,
    agentCommand,
    deadlineSeconds: pendingTimeoutSeconds + session.spec.maxLifetimeSeconds + DEADLINE_GRACE_SECONDS,
  });

/**
 * A pod of a pool: as much as a run gets that asks for nothing, and time enough for the longest session at any age,
 * which no run exceeds. A deadline can only be lowered later, and is when the pod is adopted.
 */
export const poolPod = (
  pool: SandboxPool,
  sandboxClass: SandboxClass,
  name: string,
  { agentCommand, agentVersion, hostAliases }: SandboxParts,
): NewPod =>
  sandboxPod({
    name,
    namespace: pool.metadata.namespace ?? '',
    owner: ownedBy('SandboxPool', pool.metadata),
    labels: {
      [LABEL_POOL]: labelValue(pool.metadata.name),
      [LABEL_CLASS_GENERATION]: String(sandboxClass.metadata.generation ?? 0),
      [LABEL_AGENT]: agentVersion,
    },
    sandboxClass,
    resources: {
      cpu: amount(sandboxClass.spec.resources.default.cpu),
      memory: amount(sandboxClass.spec.resources.default.memory),
    },
    preload: sandboxClass.spec.preload,
    hostAliases,
    agentCommand,
    deadlineSeconds: pool.spec.maxAgeSeconds + LONGEST_SESSION_SECONDS + 2 * DEADLINE_GRACE_SECONDS,
  });

/** The patch that makes a claimed pod the run's own, and gives the kubelet the run's deadline. */
export const adoption = (run: CodeRun, pod: Pod, timeoutSeconds: number, now: Date): object =>
  adoptionBy(run, { [LABEL_RUN]: run.metadata.uid }, pod, timeoutSeconds, now);

/** The patch that makes a claimed pod the session's own, which may live for `seconds` from now on. */
export const sessionAdoption = (session: ReplSession, pod: Pod, seconds: number, now: Date): object =>
  adoptionBy(session, { [LABEL_SESSION]: session.metadata.uid }, pod, seconds, now);

function adoptionBy(
  { kind, metadata }: KubernetesObject,
  labels: Record<string, string>,
  pod: Pod,
  seconds: number,
  now: Date,
): object {
  const age = (now.getTime() - Date.parse(pod.metadata.creationTimestamp)) / 1000;
  const deadline = Math.ceil(age + seconds) + DEADLINE_GRACE_SECONDS;
  return {
    metadata: { uid: pod.metadata.uid, labels, ownerReferences: [ownedBy(kind, metadata)] },
    spec: { activeDeadlineSeconds: Math.min(deadline, pod.spec.activeDeadlineSeconds ?? deadline) },
  };
}

export const isOwnedBy = (pod: Pod, { metadata }: { metadata: ObjectMeta }): boolean =>
  pod.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid) ?? false;
