/** Installs the operator and the gateway, as pods, and waits until they are ready. */

import { join } from 'node:path';
import type { Context } from './context.ts';
import type { Kubectl } from './kubectl.ts';
import { type InstalledImages, withImages } from './manifests.ts';
import type { Stage } from './stages.ts';

export const SYSTEM_NAMESPACE = 'coderun-system';
export const DEPLOYMENTS = ['controller', 'gateway'];

export function installStages(
  context: Context,
  kubectl: Kubectl,
  images: () => Promise<InstalledImages>,
  logsOf: (name: string) => string,
): Stage[] {
  const log = join(context.paths.logs, 'install.log');
  const apply: Stage = {
    title: 'Install the operator and the gateway',
    remedy: `The manifests are in deploy/overlays/kind; the log holds what the API server said to them.`,
    async run() {
      await applyManifests(context, kubectl, await images(), log);
    },
  };
  return [apply, ...DEPLOYMENTS.map((name) => rolloutStage(kubectl, name, log, logsOf(name)))];
}

/** The API server must know the CRDs before it takes objects of theirs. */
async function applyManifests(context: Context, kubectl: Kubectl, images: InstalledImages, log: string): Promise<void> {
  const { repository } = context.paths;
  const apply = ['apply', '--server-side', '--force-conflicts', '--field-manager=coderun-install'];
  await kubectl([...apply, '-k', join(repository, 'crds')], { log });
  await kubectl(['wait', '--for=condition=Established', '--timeout=60s', 'customresourcedefinitions', '--all'], { log });
  const rendered = await kubectl(['kustomize', join(repository, 'deploy/overlays/kind')]);
  await kubectl([...apply, '-f', '-'], { input: withImages(rendered, images), log });
}

function rolloutStage(kubectl: Kubectl, name: string, log: string, logsCommand: string): Stage {
  const namespace = ['--namespace', SYSTEM_NAMESPACE];
  return {
    title: `Wait until the ${name} is ready`,
    remedy: `\`${logsCommand}\` shows what it says.`,
    async run() {
      try {
        await kubectl([...namespace, 'rollout', 'status', `deployment/${name}`, '--timeout=180s'], {
          log,
          timeout: 200_000,
        });
      } catch (error) {
        // For the log: the pods and their events tell why.
        await kubectl([...namespace, 'describe', 'pods', '--selector', `app.kubernetes.io/name=${name}`], {
          log,
        }).catch(() => {});
        throw error;
      }
    },
  };
}
