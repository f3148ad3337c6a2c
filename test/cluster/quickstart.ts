/** From nothing to code that has run in a sandbox: the cluster, the operator in it, the example. */

import { type Context, gatewayUrl } from './context.ts';
import { imageId } from './docker.ts';
import { gatewayStage, helloStage } from './example.ts';
import { OPERATOR_IMAGE, operatorImageStage, SANDBOX_IMAGE, type Situation, sandboxImageStage } from './images.ts';
import { installStages, targetOf } from './install.ts';
import { CLUSTER_NAME } from './kind.ts';
import { loadStage } from './load.ts';
import type { InstalledImages } from './manifests.ts';
import type { Stage } from './stages.ts';
import { up } from './up.ts';

/** The cluster with operator and gateway in it, ready; `last` follows. */
export function installAll(context: Context, nodes?: number, last: readonly Stage[] = []): Promise<Situation> {
  return up(context, {
    nodes,
    images: true,
    after: (situation) => [
      sandboxImageStage(context, situation),
      operatorImageStage(context, situation),
      loadStage(context, () => situation().engine, CLUSTER_NAME, [SANDBOX_IMAGE, OPERATOR_IMAGE]),
      ...installStages(context, targetOf(context), () => ourImages(context, situation())),
      ...last,
    ],
  });
}

export const ourImages = async (context: Context, { engine }: Situation): Promise<InstalledImages> => ({
  operator: OPERATOR_IMAGE,
  sandbox: SANDBOX_IMAGE,
  revision: (await imageId(context, engine, OPERATOR_IMAGE)) ?? '',
});

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
