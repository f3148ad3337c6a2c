/** Brings images from the engine, or from an archive, into the cluster's nodes, which pull from no registry. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from './context.ts';
import type { Engine } from './engine.ts';
import type { CommandOptions } from './run-command.ts';
import type { Stage } from './stages.ts';

/** kind itself passes by what a node has already. `images` are names, or paths of archives that `docker save` wrote. */
export async function loadImages(
  context: Context,
  engine: Engine,
  cluster: string,
  images: readonly string[],
  detail?: (text: string) => void,
) {
  const options: CommandOptions = {
    env: engine.environment,
    log: join(context.paths.logs, 'load.log'),
    ...(detail ? { onLine: detail } : {}),
  };
  const archives = images.filter((image) => existsSync(image));
  const names = images.filter((image) => !archives.includes(image));
  if (names.length > 0) await context.run('kind', ['load', 'docker-image', ...names, '--name', cluster], options);
  for (const archive of archives)
    await context.run('kind', ['load', 'image-archive', archive, '--name', cluster], options);
}

export function loadStage(context: Context, engine: () => Engine, cluster: string, images: readonly string[]): Stage {
  return {
    title: `Load ${images.join(' and ')} into the nodes`,
    remedy: 'See the log. Where a node is out of disk, `npm run cluster -- down` and the same command again.',
    run: (detail) => loadImages(context, engine(), cluster, images, detail),
  };
}
