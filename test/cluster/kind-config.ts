/** The cluster's configuration: kind-config.yaml as it stands, with more nodes or other ports where they are asked for. */

import { dump, load } from 'js-yaml';
import type { Ports } from './context.ts';

interface KindNode {
  role: string;
  extraMounts?: unknown[];
  extraPortMappings?: { hostPort: number }[];
}

interface KindCluster {
  networking?: object;
  nodes: KindNode[];
}

/** `nodes` counts all nodes. Workers get the mounts of the first node, and none of its ports. */
export function kindConfig(config: string, nodes: number, ports: Ports): string {
  const cluster = load(config) as KindCluster;
  const [given] = cluster.nodes;
  if (given === undefined) throw new Error('kind-config.yaml names no node');
  const mappings = (given.extraPortMappings ?? []).map((mapping) => ({ ...mapping, hostPort: ports.gateway }));
  const worker: KindNode = { role: 'worker', ...(given.extraMounts ? { extraMounts: given.extraMounts } : {}) };
  return dump(
    {
      ...cluster,
      networking: { ...cluster.networking, apiServerPort: ports.apiServer },
      nodes: [{ ...given, extraPortMappings: mappings }, ...Array.from({ length: nodes - 1 }, () => worker)],
    },
    { noRefs: true },
  );
}
