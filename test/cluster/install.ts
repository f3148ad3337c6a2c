/** Installs the operator, the gateway and the package index, as pods, and waits until they are ready. */

import { join } from 'node:path';
import type { Context } from './context.ts';
import { type Kubectl, kubectlOf } from './kubectl.ts';
import { type InstalledImages, withImages } from './manifests.ts';
import type { Stage } from './stages.ts';

export const SYSTEM_NAMESPACE = 'coderun-system';
export const DEPLOYMENTS = ['controller', 'gateway', 'package-index'];

/** The cluster that is installed into. */
export interface Target {
  readonly kubectl: Kubectl;
  /** The command that shows the log of a deployment. */
  logsOf(deployment: string): string;
}

/** Our own cluster, or with a name that of this context of the user's kubeconfig. */
export const targetOf = (context: Context, contextName?: string): Target => ({
  kubectl: kubectlOf(context, contextName),
  logsOf: (deployment) =>
    contextName === undefined
      ? `npm run cluster -- logs ${deployment}`
      : `kubectl --context ${contextName} -n ${SYSTEM_NAMESPACE} logs deployment/${deployment}`,
});

export function installStages(context: Context, target: Target, images: () => Promise<InstalledImages>): Stage[] {
  const log = join(context.paths.logs, 'install.log');
  const apply: Stage = {
    title: 'Install the operator, the gateway and the package index',
    remedy: 'The manifests are in deploy/overlays/kind; the log holds what the API server said to them.',
    run: async () => applyManifests(context, target.kubectl, await images(), log),
  };
  return [apply, ...DEPLOYMENTS.map((name) => rolloutStage(target, name, log))];
}

/** The API server must know the CRDs before it takes objects of theirs. */
async function applyManifests(context: Context, kubectl: Kubectl, images: InstalledImages, log: string): Promise<void> {
  const { repository } = context.paths;
  const apply = ['apply', '--server-side', '--force-conflicts', '--field-manager=coderun-install'];
  await kubectl([...apply, '-k', join(repository, 'crds')], { log });
  await kubectl(['wait', '--for=condition=Established', '--timeout=60s', 'customresourcedefinitions', '--all'], {
    log,
  });
  const rendered = await kubectl(['kustomize', join(repository, 'deploy/overlays/kind')]);
  await kubectl([...apply, '-f', '-'], { input: withImages(rendered, images), log });
}

function rolloutStage({ kubectl, logsOf }: Target, name: string, log: string): Stage {
  const namespace = ['--namespace', SYSTEM_NAMESPACE];
  return {
    title: `Wait until the ${name} is ready`,
    remedy: `\`${logsOf(name)}\` shows what it says.`,
    async run() {
      const status = [...namespace, 'rollout', 'status', `deployment/${name}`, '--timeout=180s'];
      try {
        await kubectl(status, { log, timeout: 200_000 });
      } catch (error) {
        // For the log: the pods and their events tell why.
        const describe = [...namespace, 'describe', 'pods', '--selector', `app.kubernetes.io/name=${name}`];
        await kubectl(describe, { log }).catch(() => {});
        throw error;
      }
    },
  };
}
