/** Brings images from the engine, or from an archive, into the cluster's nodes, which pull from no registry. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from './context.ts';
import type { Engine } from './engine.ts';
import type { Stage } from './stages.ts';

/**
 * Each of `images` is a name, or the path of an archive that `docker save` wrote. One at a time, since kind packs all
 * that it is given as soon as a node lacks one of them.
 */
export async function loadImages(
  context: Context,
  engine: Engine,
  cluster: string,
  images: readonly string[],
  detail: (text: string) => void = () => {},
): Promise<void> {
  const options = { env: engine.environment, log: join(context.paths.logs, 'load.log'), onLine: detail };
  for (const image of images) {
    const kind = existsSync(image) ? 'image-archive' : 'docker-image';
    await context.run('kind', ['load', kind, image, '--name', cluster], options);
  }
}

export function loadStage(context: Context, engine: () => Engine, cluster: string, images: readonly string[]): Stage {
  return {
    title: `Load ${images.join(' and ')} into the nodes`,
    remedy: 'See the log. Where a node is out of disk, `npm run cluster -- down` and the same command again.',
    run: (detail) => loadImages(context, engine(), cluster, images, detail),
  };
}
