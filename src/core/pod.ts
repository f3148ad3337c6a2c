/** The sandbox pod. One literal holds every field, so that reading it once tells what the sandbox may do. */

import type { V1HostAlias, V1Toleration } from '@kubernetes/client-node';
import { LABEL_CLASS, LABEL_MANAGED_BY, LABEL_NETWORK, LABEL_SANDBOX, MANAGER } from '../api/group.ts';
import { labelValue } from '../api/names.ts';
import type { NewPod, OwnerReference } from '../api/object.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import { amount, bytes, cores } from './quantity.ts';

export const CONTAINER = 'sandbox';
const WORKSPACE = '/workspace';

/** `nobody` of every distribution. */
const UNPRIVILEGED = 65_534;

/** How long a sandbox outlives the readiness of its node, in seconds. */
const NODE_LOSS_SECONDS = 30;

export interface SandboxPodOptions {
  name: string;
  namespace: string;
  owner: OwnerReference;
  /** Beside those that every sandbox has. */
  labels: Record<string, string>;
  sandboxClass: SandboxClass;
  /** Cores, and bytes that the program may use. */
  resources: { cpu: number; memory: number };
  /** Modules that the waiting runner imports; a program that is waited for had rather begin. */
  preload?: readonly string[] | undefined;
  /** What the sandbox can name although it has no DNS. */
  hostAliases: V1HostAlias[];
  /** The command line that starts the agent; see src/sandbox/agent.ts. */
  agentCommand: string[];
  /** When the kubelet ends the pod by itself, whatever anyone else does, in seconds from its start. */
  deadlineSeconds: number;
}

/** What programs may use, and what the sandbox needs beside them. */
export function podLimits({ spec }: SandboxClass, { cpu, memory }: { cpu: number; memory: number }) {
  const { overhead, workspace } = spec.resources;
  return {
    cpu: cores(cpu + amount(overhead.cpu ?? 0)),
    memory: bytes(memory + amount(overhead.memory ?? 0) + amount(workspace)),
  };
}

/** The pod of a sandbox: no token, no service links, no privileges, nothing writable but a bounded tmpfs. */
export function sandboxPod({
  name,
  namespace,
  owner,
  labels,
  sandboxClass,
  resources,
  preload = [],
  hostAliases,
  agentCommand,
  deadlineSeconds,
}: SandboxPodOptions): NewPod {
  const { spec } = sandboxClass;
  const { requests, workspace } = spec.resources;
  const limits = { ...podLimits(sandboxClass, resources), 'ephemeral-storage': '64Mi' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      labels: {
        [LABEL_MANAGED_BY]: MANAGER,
        [LABEL_SANDBOX]: 'true',
        [LABEL_NETWORK]: spec.network,
        [LABEL_CLASS]: labelValue(sandboxClass.metadata.name),
        ...labels,
      },
      ownerReferences: [owner],
    },
    spec: {
      runtimeClassName: spec.runtimeClassName,
      restartPolicy: 'Never',
      activeDeadlineSeconds: deadlineSeconds,
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      hostname: CONTAINER,
      ...(spec.network === 'Internet'
        ? { dnsPolicy: 'ClusterFirst' }
        : { dnsPolicy: 'None', dnsConfig: { nameservers: ['127.0.0.1'] } }),
      hostAliases,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: UNPRIVILEGED,
        runAsGroup: UNPRIVILEGED,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      containers: [
        {
          name: CONTAINER,
          image: spec.image,
          command: agentCommand,
          workingDir: WORKSPACE,
          stdin: true,
          env: [
            { name: 'CODERUN_WORKSPACE', value: WORKSPACE },
            { name: 'CODERUN_PRELOAD', value: preload.join(',') },
          ],
          resources: {
            limits,
            requests: {
              cpu: cores(Math.min(amount(limits.cpu), amount(requests.cpu ?? limits.cpu))),
              memory: bytes(Math.min(amount(limits.memory), amount(requests.memory ?? limits.memory))),
              'ephemeral-storage': limits['ephemeral-storage'],
            },
          },
          securityContext: {
            allowPrivilegeEscalation: false,
            privileged: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
          volumeMounts: [{ name: 'workspace', mountPath: WORKSPACE }],
        },
      ],
      volumes: [{ name: 'workspace', emptyDir: { medium: 'Memory', sizeLimit: bytes(amount(workspace)) } }],
      nodeSelector: spec.nodeSelector ?? {},
      tolerations: [
        ...['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'].map((key) => ({
          key,
          operator: 'Exists',
          effect: 'NoExecute',
          tolerationSeconds: NODE_LOSS_SECONDS,
        })),
        ...((spec.tolerations ?? []) as V1Toleration[]),
      ],
    },
  };
}
