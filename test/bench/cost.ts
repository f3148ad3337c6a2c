/** What runs cost beside time: writes to the API server, and the controller's processor time and memory. */

import { SYSTEM_NAMESPACE } from '../../src/api/group.ts';
import type { Pod } from '../../src/api/object.ts';
import { PODS } from '../../src/kube/resources.ts';
import { getRaw, kube } from './cluster.ts';

export interface Cost {
  /** Writes of whoever makes, claims, ends and replaces runs and sandboxes; not the kubelet's and the scheduler's. */
  apiWrites: number;
  processorSeconds: number;
  residentBytes: number;
}

/** What was spent until now. */
export async function spent(): Promise<Cost> {
  const [server, controller] = await Promise.all([getRaw('/metrics'), controllerMetrics()]);
  return {
    apiWrites: sumOf(server, isOurWrite),
    processorSeconds: sumOf(controller, (line) => line.startsWith('process_cpu_seconds_total')),
    residentBytes: sumOf(controller, (line) => line.startsWith('process_resident_memory_bytes')),
  };
}

async function controllerMetrics(): Promise<string> {
  const labelSelector = 'app.kubernetes.io/name=controller';
  const { items } = await kube.list<Pod>(PODS, { namespace: SYSTEM_NAMESPACE, labelSelector });
  const name = items.find(({ status }) => status?.phase === 'Running')?.metadata.name;
  return getRaw(`/api/v1/namespaces/${SYSTEM_NAMESPACE}/pods/${name}:8081/proxy/metrics`);
}

const isOurWrite = (line: string): boolean =>
  line.startsWith('apiserver_request_total{') &&
  /verb="(POST|PUT|PATCH|APPLY|DELETE)"/.test(line) &&
  (line.includes('group="coderun.dev"') || (line.includes('resource="pods"') && line.includes('subresource=""')));

const sumOf = (metrics: string, isWanted: (line: string) => boolean): number =>
  metrics
    .split('\n')
    .filter(isWanted)
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
