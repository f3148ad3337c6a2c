/** Quickstart into a cluster of the user's: named by a context of their kubeconfig, whose current context stays as it is. */

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { asStage } from './cached-step.ts';
import type { Context } from './context.ts';
import { canPull } from './docker.ts';
import { findEngine } from './engine.ts';
import { ClusterError } from './errors.ts';
import { goStep, KIND } from './go-modules.ts';
import {
  imageSteps,
  OPERATOR_IMAGE,
  operatorImageStage,
  SANDBOX_IMAGE,
  type Situation,
  sandboxImageStage,
} from './images.ts';
import { installStages, SYSTEM_NAMESPACE } from './install.ts';
import { kubectlOf, targetOf } from './kubectl.ts';
import { loadStage } from './load.ts';
import type { InstalledImages } from './manifests.ts';
import { ensurePrograms, find } from './packages.ts';
import { gatewayStage, helloStage, ourImages } from './quickstart.ts';
import { runStages, type Stage } from './stages.ts';
import { linkTools } from './tools.ts';
import { PUBLISHED_PYTHON } from './versions.ts';

export interface ElsewhereOptions {
  readonly contextName: string;
  /** Images that the cluster can pull; without them, ours are built and loaded into a kind cluster of this machine. */
  readonly operatorImage?: string | undefined;
  readonly sandboxImage?: string | undefined;
}

export async function quickstartElsewhere(context: Context, options: ElsewhereOptions): Promise<string> {
  const { contextName, operatorImage, sandboxImage } = options;
  if (find(context, 'kubectl') === undefined) {
    throw new ClusterError(
      'kubectl is not on PATH.',
      'Install kubectl, or run `npm run cluster -- up`, which builds one.',
    );
  }
  const kubectl = kubectlOf(context, contextName);
  const shown: string[] = [];
  const given =
    operatorImage && sandboxImage
      ? { operator: operatorImage, sandbox: sandboxImage, revision: operatorImage }
      : undefined;
  const prepared = given ? { stages: [], images: async () => given } : await localImages(context, contextName);
  const stages: Stage[] = [
    {
      title: `Reach the cluster of the context ${contextName}`,
      remedy: '`kubectl config get-contexts` lists the contexts there are.',
      run: async () => {
        await kubectl(['get', '--raw', '/version']);
      },
    },
    ...prepared.stages,
    ...installStages(
      context,
      kubectl,
      prepared.images,
      `kubectl --context ${contextName} -n ${SYSTEM_NAMESPACE} logs deployment/`,
    ),
    helloStage(context, kubectl, shown),
    gatewayStage(context, (use) => forwarded(context, contextName, use), shown),
  ];
  context.progress.expect(stages.length);
  await runStages(context, stages);
  const next = `kubectl --context ${contextName} -n ${SYSTEM_NAMESPACE} port-forward service/gateway 8080:80`;
  return [...shown, '', 'It works. The gateway is inside the cluster; to call it from here:', `  ${next}`].join('\n');
}

/** The stages that build our images and load them into the user's kind cluster. */
async function localImages(
  context: Context,
  contextName: string,
): Promise<{ stages: Stage[]; images: () => Promise<InstalledImages> }> {
  const engine = await findEngine(context);
  const cluster = /^kind-(.+)$/.exec(contextName)?.[1];
  if (engine === undefined || cluster === undefined) {
    throw new ClusterError(
      `Images can be loaded only into a kind cluster of this machine's Docker, and ${contextName} is none.`,
      `Build and push them (deploy/images), then: npm run quickstart -- --context ${contextName} --operator-image REF --sandbox-image REF`,
    );
  }
  const published = await canPull(context, engine, PUBLISHED_PYTHON, join(context.paths.logs, 'pull.log'));
  const situation = (): Situation => ({ engine, published });
  const kind = find(context, 'kind') === undefined ? [asStage(context, goStep(context, KIND))] : [];
  const bases = published ? [] : imageSteps(context).map((step) => asStage(context, step));
  await ensurePrograms(context, [...(kind.length > 0 ? ['go'] : []), ...(published ? [] : ['mmdebstrap'])], () => {});
  const link: Stage = { title: 'Link the tools', remedy: '', run: async () => linkTools(context) };
  const images = [sandboxImageStage(context, situation), operatorImageStage(context, situation)];
  const load = loadStage(context, () => engine, cluster, [SANDBOX_IMAGE, OPERATOR_IMAGE]);
  return {
    stages: [...kind, ...(kind.length > 0 ? [link] : []), ...bases, ...images, load],
    images: () => ourImages(context, situation()),
  };
}

/** Forwards a free port of 127.0.0.1 to the gateway's Service while `use` runs. */
async function forwarded(context: Context, contextName: string, use: (url: string) => Promise<void>): Promise<void> {
  const args = [...targetOf(context, contextName), '-n', SYSTEM_NAMESPACE, 'port-forward', 'service/gateway', ':80'];
  const forward = spawn('kubectl', args, { env: context.environment, stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    for await (const line of createInterface({ input: forward.stdout })) {
      const port = /^Forwarding from 127\.0\.0\.1:(\d+)/.exec(line)?.[1];
      if (port !== undefined) return await use(`http://127.0.0.1:${port}`);
    }
    throw new Error('kubectl port-forward ended at once');
  } finally {
    forward.kill();
  }
}
