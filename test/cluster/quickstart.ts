/** From nothing to code that has run in a sandbox: the cluster, the operator in it, the example. */

import { type Context, gatewayUrl } from './context.ts';
import { imageId } from './docker.ts';
import { gatewayStage, helloStage } from './example.ts';
import { IMAGES, imageStages, OPERATOR_IMAGE, PACKAGE_INDEX_IMAGE, SANDBOX_IMAGE, type Situation } from './images.ts';
import { installStages, targetOf } from './install.ts';
import { CLUSTER_NAME } from './kind.ts';
import { loadStage } from './load.ts';
import type { InstalledImage, InstalledImages } from './manifests.ts';
import type { Stage } from './stages.ts';
import { up } from './up.ts';

/** The cluster with operator and gateway in it, ready; `last` follows. */
export function installAll(context: Context, nodes?: number, last: readonly Stage[] = []): Promise<Situation> {
  return up(context, {
    nodes,
    images: true,
    after: (situation) => [
      ...imageStages(context, situation),
      loadStage(context, () => situation().engine, CLUSTER_NAME, IMAGES),
      ...installStages(context, targetOf(context), () => ourImages(context, situation())),
      ...last,
    ],
  });
}

export async function ourImages(context: Context, { engine }: Situation): Promise<InstalledImages> {
  const installed = async (reference: string): Promise<InstalledImage> => ({
    reference,
    revision: (await imageId(context, engine, reference)) ?? '',
  });
  return {
    operator: await installed(OPERATOR_IMAGE),
    sandbox: await installed(SANDBOX_IMAGE),
    packageIndex: await installed(PACKAGE_INDEX_IMAGE),
  };
}

/** Resolves with what to show in the end. */
export async function quickstart(context: Context): Promise<string> {
  const shown: string[] = [];
  const target = targetOf(context);
  await installAll(context, undefined, [
    helloStage(context, target, shown),
    gatewayStage(context, target, (use) => use(gatewayUrl(context)), shown),
  ]);
  return ['', ...shown, '', ...WHAT_NEXT].join('\n');
}

const WHAT_NEXT = [
  'It works. What to try next:',
  '  eval "$(npm run -s cluster -- env)"       # kubectl for this cluster, and $CODERUN_URL',
  '  kubectl apply -f examples/plot.yaml       # a plot comes back as a PNG',
  '  curl -s $CODERUN_URL/execute -H \'content-type: application/json\' -d \'{"code": "print(6*7)"}\'',
  '  npm run cluster -- status                 # what is up; `down` takes all of it away',
];
