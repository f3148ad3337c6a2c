/** What Kubernetes and gVisor themselves take, measured in the same minutes as what is built on them. */

import { SANDBOX_NAMESPACE, SANDBOX_POOLS } from '../../src/api/group.ts';
import { PODS } from '../../src/kube/resources.ts';
import { defaultClass, freshName, kube, pods } from './cluster.ts';

/** A write as small as the claim of a run, in milliseconds. */
export async function timeOfStatusWrite(): Promise<number> {
  const started = performance.now();
  const patch = { metadata: { annotations: { 'coderun.dev/bench': freshName() } } };
  await kube.patch(SANDBOX_POOLS, SANDBOX_NAMESPACE, 'default', patch, { strategy: 'merge' });
  return performance.now() - started;
}

/** The least that a pod can be: the image of the sandbox, asleep under gVisor. In milliseconds until a watch shows it running. */
export async function timeOfBarePod(): Promise<number> {
  const name = freshName();
  const running = pods.until(name, ({ status }) => status?.phase === 'Running');
  const container = { name: 'bare', image: (await defaultClass()).spec.image, command: ['sleep', '60'] };
  const spec = {
    runtimeClassName: 'gvisor',
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 0,
    containers: [container],
  };
  const started = performance.now();
  await kube.create(PODS, { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default' }, ...{ spec } });
  try {
    await running;
    return performance.now() - started;
  } finally {
    await kube.delete(PODS, 'default', name, { gracePeriodSeconds: 0 });
  }
}

/** `count` bare pods, `atOnce` of them starting at a time, in milliseconds until the last has run. */
export async function timeOfBarePods(count: number, atOnce: number): Promise<number> {
  const started = performance.now();
  let left = count;
  const one = async () => {
    while (left-- > 0) await timeOfBarePod();
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  return performance.now() - started;
}
