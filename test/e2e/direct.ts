/** Programs in pods that a test made itself: the pod of a sandbox, without an agent, but for what the test changed. */

import { randomBytes } from 'node:crypto';
import type { V1Container } from '@kubernetes/client-node';
import { SANDBOX_CLASSES } from '../../src/api/group.ts';
import type { NewPod, Pod } from '../../src/api/object.ts';
import type { SandboxClass } from '../../src/api/sandboxclass.ts';
import { type Observation, observe } from '../../src/core/observe.ts';
import { CONTAINER, sandboxPod } from '../../src/core/pod.ts';
import { PODS } from '../../src/kube/resources.ts';
import { eventually, kube } from './support.ts';

/** Takes something away from a pod. */
export type Change = (pod: NewPod) => void;

export const containerOf = (pod: NewPod): V1Container => {
  const [container] = pod.spec.containers;
  if (!container) throw new Error('a pod has a container');
  return container;
};

/** The pod of the class `default`, without the labels that policies select by, running `python3 -c code`. */
export async function directPod(namespace: string, code: string, env: Record<string, string> = {}): Promise<NewPod> {
  const sandboxClass = await kube.get<SandboxClass>(SANDBOX_CLASSES, undefined, 'default');
  const name = `direct-${randomBytes(4).toString('hex')}`;
  const pod = sandboxPod({
    name,
    namespace,
    owner: { apiVersion: '', kind: '', name, uid: '' },
    labels: {},
    sandboxClass,
    resources: { cpu: 1, memory: 512 * 2 ** 20 },
    hostAliases: [],
    agentCommand: ['python3', '-I', '-c', code],
    deadlineSeconds: 120,
  });
  pod.metadata = { ...pod.metadata, labels: {}, ownerReferences: [] };
  containerOf(pod).env = Object.entries(env).map(([key, value]) => ({ name: key, value }));
  return pod;
}

/** What a pod printed by its end, and how it ended. The pod is deleted. */
export async function runPod(pod: NewPod, { readLog = true } = {}): Promise<{ output: string; end: Observation }> {
  const { namespace, name } = pod.metadata;
  await kube.create<Pod>(PODS, pod);
  try {
    const end = await eventually(async () => {
      const seen = observe(await kube.get<Pod>(PODS, namespace, name));
      return seen.state === 'ended' && seen;
    }, 90);
    if (!readLog) return { output: '', end };
    const log = kube.readLog(namespace, name, { container: CONTAINER });
    return { output: Buffer.concat(await Array.fromAsync(log)).toString(), end };
  } finally {
    await kube.delete(PODS, namespace, name, { gracePeriodSeconds: 0 });
  }
}
