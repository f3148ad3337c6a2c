/** The cluster for tests: brought up where it isn't, and told where everything is. */

import { asStage } from './cached-step.ts';
import { type Context, createContext, gatewayUrl } from './context.ts';
import { findEngine } from './engine.ts';
import { ClusterError } from './errors.ts';
import { goStep } from './go-build.ts';
import { ETCD, KUBERNETES } from './go-modules.ts';
import { nodesOf } from './kind.ts';
import { withLock } from './lock.ts';
import { ensurePrograms } from './packages.ts';
import { installAll } from './quickstart.ts';
import { runStages } from './stages.ts';

export interface Cluster {
  /** A file of the cluster's own. */
  readonly kubeconfig: string;
  /** The folder with kubectl, to go first on PATH. */
  readonly binDir: string;
  /** Where the gateway answers. */
  readonly url: string;
}

export interface Nodes {
  /** They are containers of the cluster's engine. */
  readonly names: readonly string[];
  /** Runs `docker` in that engine, to stop or restart a node; resolves with its stdout. */
  docker(args: readonly string[]): Promise<string>;
}

/** The nodes of the cluster as it is. Rejects where no engine is there. */
export async function findNodes(context: Context = createContext()): Promise<Nodes> {
  const engine = await findEngine(context);
  if (!engine) throw new ClusterError('There is no cluster.', 'Bring it up: npm run cluster -- up --nodes 2');
  return {
    names: await nodesOf(context, engine),
    docker: (args) => context.run('docker', args, { env: engine.environment, timeout: 60_000 }),
  };
}

/** Brings up the cluster with at least `nodes` nodes, the operator and the gateway in it. Quick where all that is done. */
export function ensureCluster(
  options: { nodes?: number | undefined } = {},
  context: Context = createContext(),
): Promise<Cluster> {
  return withLock(context, async () => {
    await installAll(context, options.nodes);
    return {
      kubeconfig: context.paths.kubeconfig,
      binDir: context.paths.bin,
      url: gatewayUrl(context),
    };
  });
}

/** Builds, where they are missing, the programs of a control plane without nodes; resolves with the folder of kube, etcd and kubectl. */
export function binaries(context: Context = createContext()): Promise<string> {
  return withLock(context, async () => {
    const stages = [KUBERNETES, ETCD].map((module) => asStage(context, goStep(context, module)));
    const missing = (await Promise.all(stages.map((stage) => stage.done?.()))).includes(undefined);
    if (missing) {
      await ensurePrograms(context, ['go'], () => {});
      context.progress.expect(stages.length);
      await runStages(context, stages);
    }
    return context.paths.bin;
  });
}
