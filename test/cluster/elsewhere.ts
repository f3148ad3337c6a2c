/** Quickstart into a cluster of the user's: named by a context of their kubeconfig, whose current context stays as it is. */

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { asStage } from './cached-step.ts';
import type { Context } from './context.ts';
import { canPull } from './docker.ts';
import { findEngine } from './engine.ts';
import { ClusterError } from './errors.ts';
import { gatewayStage, helloStage } from './example.ts';
import { goStep } from './go-build.ts';
import { KIND } from './go-modules.ts';
import { IMAGES, imageStages, imageSteps, type Situation } from './images.ts';
import { installStages, SYSTEM_NAMESPACE, targetOf } from './install.ts';
import { clusterFlags, type Kubectl } from './kubectl.ts';
import { loadStage } from './load.ts';
import type { InstalledImages } from './manifests.ts';
import { ensurePrograms, find } from './packages.ts';
import { ourImages } from './quickstart.ts';
import { runStages, type Stage } from './stages.ts';
import { PUBLISHED_PYTHON } from './versions.ts';

export interface ElsewhereOptions {
  readonly contextName: string;
  /** Images that the cluster can pull; without them, ours are built and loaded into a kind cluster of this machine. */
  readonly operatorImage?: string | undefined;
  readonly sandboxImage?: string | undefined;
  readonly packageIndexImage?: string | undefined;
}

/** Resolves with what to show in the end. */
export async function quickstartElsewhere(context: Context, options: ElsewhereOptions): Promise<string> {
  const { contextName } = options;
  if (find(context, 'kubectl') === undefined) {
    throw new ClusterError(
      'kubectl is not on PATH.',
      'Install kubectl, or run `npm run cluster -- up`, which builds one.',
    );
  }
  const target = targetOf(context, contextName);
  const shown: string[] = [];
  context.progress.expect(1);
  await runStages(context, [reachStage(contextName, target.kubectl)]);
  const { stages, images } = givenImages(options) ?? (await localImages(context, contextName));
  const all = [
    ...stages,
    ...installStages(context, target, images),
    helloStage(context, target, shown),
    gatewayStage(context, target, (use) => forwarded(context, contextName, use), shown),
  ];
  context.progress.expect(all.length);
  await runStages(context, all);
  const next = `kubectl --context ${contextName} -n ${SYSTEM_NAMESPACE} port-forward service/gateway 8080:80`;
  return ['', ...shown, '', 'It works. The gateway is inside the cluster; to call it from here:', `  ${next}`].join(
    '\n',
  );
}

const reachStage = (contextName: string, kubectl: Kubectl): Stage => ({
  title: `Reach the cluster of the context ${contextName}`,
  remedy: '`kubectl config get-contexts` lists the contexts there are.',
  run: async () => {
    await kubectl(['get', '--raw', '/version', '--request-timeout=20s']);
  },
});

interface ImagePlan {
  readonly stages: readonly Stage[];
  images(): Promise<InstalledImages>;
}

const IMAGE_OPTIONS = '--operator-image REF --sandbox-image REF --package-index-image REF';

function givenImages({ operatorImage, sandboxImage, packageIndexImage }: ElsewhereOptions): ImagePlan | undefined {
  const given = [operatorImage, sandboxImage, packageIndexImage].filter((image) => image !== undefined);
  if (given.length === 0) return undefined;
  if (operatorImage === undefined || sandboxImage === undefined || packageIndexImage === undefined) {
    throw new ClusterError(`Only ${given.length} of the three images are named.`, `Give all: ${IMAGE_OPTIONS}`);
  }
  const installed = (reference: string) => ({ reference, revision: reference });
  return {
    stages: [],
    images: async () => ({
      operator: installed(operatorImage),
      sandbox: installed(sandboxImage),
      packageIndex: installed(packageIndexImage),
    }),
  };
}

/** Builds our images and loads them into the user's kind cluster. */
async function localImages(context: Context, contextName: string): Promise<ImagePlan> {
  const engine = await findEngine(context);
  const cluster = /^kind-(.+)$/.exec(contextName)?.[1];
  if (engine === undefined || cluster === undefined) {
    throw new ClusterError(
      `Images can be loaded only into a kind cluster of this machine's Docker, and ${contextName} is none.`,
      `Build and push the images of deploy/images, then add: ${IMAGE_OPTIONS}`,
    );
  }
  const published = await canPull(context, engine, PUBLISHED_PYTHON, join(context.paths.logs, 'pull.log'));
  const situation = (): Situation => ({ engine, published });
  const kind = find(context, 'kind') === undefined ? [goStep(context, KIND)] : [];
  const bases = published ? [] : imageSteps(context);
  const programs = [...kind.map(() => 'go'), ...(published ? [] : ['mmdebstrap', 'unshare'])];
  const stages: Stage[] = [
    {
      title: 'Look for the programs that this needs',
      remedy: 'Check that `apt-get update` works, then run the same command again.',
      run: (detail) => ensurePrograms(context, programs, detail),
    },
    ...[...kind, ...bases].map((step) => asStage(context, step)),
    ...imageStages(context, situation),
    loadStage(context, () => engine, cluster, IMAGES),
  ];
  return { stages, images: () => ourImages(context, situation()) };
}

/** Forwards a free port of 127.0.0.1 to the gateway's Service while `use` runs. */
async function forwarded(context: Context, contextName: string, use: (url: string) => Promise<void>): Promise<void> {
  const flags = [...clusterFlags(context, contextName), '-n', SYSTEM_NAMESPACE];
  const args = [...flags, 'port-forward', 'service/gateway', ':80', '--address=127.0.0.1'];
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
