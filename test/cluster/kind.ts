/** The kind cluster: made, looked at, deleted. Its kubeconfig is a file of its own; the user's is never touched. */

import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from './context.ts';
import { type Engine, requireFreePorts } from './engine.ts';
import { kindConfig } from './kind-config.ts';
import { type Kubectl, kubectlOf } from './kubectl.ts';
import type { Stage } from './stages.ts';

export const CLUSTER_NAME = 'coderun';

/** The cluster's node containers, none where there is no cluster. */
export async function nodesOf(context: Context, engine: Engine): Promise<string[]> {
  const filter = `label=io.x-k8s.kind.cluster=${CLUSTER_NAME}`;
  const args = ['ps', '--all', '--filter', filter, '--format', '{{.Names}}'];
  const names = await context.run('docker', args, { env: engine.environment, timeout: 30_000 });
  return names
    .split('\n')
    .filter((name) => name !== '')
    .sort();
}

/** Does the API server answer? A cluster that has just been restarted gets `tries` half seconds. */
export async function apiServerAnswers(kubectl: Kubectl, tries: number): Promise<boolean> {
  for (let left = tries; left > 0; left -= 1) {
    try {
      await kubectl(['get', '--raw', '/readyz', '--request-timeout=2s'], { timeout: 10_000 });
      return true;
    } catch {
      if (left > 1) await sleep(500);
    }
  }
  return false;
}

/** `nodes`: at least so many are wanted; undefined takes a running cluster as it is. */
export function clusterStage(
  context: Context,
  engine: () => Engine,
  nodeImage: () => string,
  nodes: number | undefined,
): Stage {
  const kubectl = kubectlOf(context);
  return {
    title: `Start the cluster${nodes === undefined ? '' : ` with ${nodes} node${nodes === 1 ? '' : 's'}`}`,
    remedy:
      'The log ends with what the node said. `npm run cluster -- down` clears up; then run the same command again.',
    async done() {
      const present = await nodesOf(context, engine());
      if (present.length === 0 || present.length < (nodes ?? 1) || existsSync(unfinished(context))) return undefined;
      await ensureKubeconfig(context, engine());
      return (await apiServerAnswers(kubectl, 20)) ? `already running, ${present.length} node(s)` : undefined;
    },
    async run(detail) {
      const present = await nodesOf(context, engine());
      if (present.length > 0) {
        context.progress.say(
          `A cluster of ${present.length} node(s) is there and doesn't do: making a new one in its place.`,
        );
        await deleteCluster(context, engine());
      }
      if (engine().kind === 'user') await requireFreePorts(context);
      await createCluster(context, engine(), nodeImage(), nodes ?? 1, detail);
    },
  };
}

async function createCluster(
  context: Context,
  engine: Engine,
  nodeImage: string,
  nodes: number,
  detail: (text: string) => void,
): Promise<void> {
  const { repository, run, kubeconfig, logs } = context.paths;
  const log = join(logs, 'cluster.log');
  const config = join(run, 'kind-config.yaml');
  const given = await readFile(join(repository, 'kind-config.yaml'), 'utf8');
  await writeFile(config, kindConfig(given, nodes, context.ports));
  await writeFile(log, '');
  await writeFile(unfinished(context), '');
  const options = { env: engine.environment, log, onLine: detail };
  const where = ['--name', CLUSTER_NAME, '--kubeconfig', kubeconfig];
  const what = ['--config', config, '--image', nodeImage, '--retain'];
  try {
    await context.run('kind', ['create', 'cluster', ...where, ...what], options);
  } catch (error) {
    const journal = ['journalctl', '--no-pager', '--lines=100', '--unit=kubelet'];
    const ask = ['exec', `${CLUSTER_NAME}-control-plane`, ...journal];
    await context.run('docker', ask, { ...options, timeout: 30_000 }).catch(() => {});
    throw error;
  }
  await finishCluster(context, log, detail);
  await rm(unfinished(context));
}

/** Is there while a cluster is being made: one that an interrupt left is not taken for whole. */
const unfinished = (context: Context): string => join(context.paths.run, 'cluster.unfinished');

async function finishCluster(context: Context, log: string, detail: (text: string) => void): Promise<void> {
  const kubectl = kubectlOf(context);
  detail('waiting for the nodes');
  await kubectl(['wait', '--for=condition=Ready', 'node', '--all', '--timeout=180s'], { log, timeout: 190_000 });
  detail('waiting for the network');
  const system = ['--namespace', 'kube-system'];
  const workloads = await kubectl([...system, 'get', 'daemonsets,deployments', '-o', 'name'], { log });
  for (const name of workloads.trim().split('\n')) {
    await kubectl([...system, 'rollout', 'status', name, '--timeout=120s'], { log, timeout: 130_000 });
  }
  // With workers, kind keeps pods off the control plane: here it takes them too, so that one node may be lost.
  await kubectl(['taint', 'node', '--all', 'node-role.kubernetes.io/control-plane-'], { log }).catch(() => {});
  await kubectl(['apply', '-f', join(context.paths.repository, 'deploy/base/runtime-classes.yaml')], { log });
}

/** A cluster that kind made by hand has its kubeconfig elsewhere. */
async function ensureKubeconfig(context: Context, engine: Engine): Promise<void> {
  if (existsSync(context.paths.kubeconfig)) return;
  const args = ['export', 'kubeconfig', '--name', CLUSTER_NAME, '--kubeconfig', context.paths.kubeconfig];
  await context.run('kind', args, { env: engine.environment, timeout: 60_000 });
}

/** What `kind delete cluster` does, also where kind isn't there. */
export async function deleteCluster(context: Context, engine: Engine): Promise<void> {
  const nodes = await nodesOf(context, engine);
  const options = { env: engine.environment, log: join(context.paths.logs, 'cluster.log'), timeout: 180_000 };
  if (nodes.length > 0) await context.run('docker', ['rm', '--force', '--volumes', ...nodes], options);
  await rm(context.paths.kubeconfig, { force: true });
}
