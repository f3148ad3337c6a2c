/** What our two images are built on where no registry answers: small Debians made here. */

import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CachedStep, resultOf } from './cached-step.ts';
import type { Context } from './context.ts';
import { debianStep, ROOT_TAR } from './debian.ts';
import * as versions from './versions.ts';

export const pythonBaseStep = (context: Context): CachedStep =>
  debianStep(context, 'python-base', versions.IMAGE_SUITE, ['python3', 'ca-certificates'], 'with Python');

/** Debian's base with the very Node that runs this. */
export function nodeBaseStep(context: Context): CachedStep {
  const debian = debianStep(
    context,
    'slim-base',
    versions.IMAGE_SUITE,
    ['ca-certificates', 'libstdc++6'],
    'for Node.js',
  );
  return {
    name: 'nodejs-base',
    title: `Add Node.js ${process.version} to it`,
    remedy: 'See the log; where the disk is full, make room and run the same command again.',
    inputs: [process.version],
    files: [],
    needs: [debian],
    async make(target, tools) {
      const tar = join(target, ROOT_TAR);
      await copyFile(join(resultOf(context, debian), ROOT_TAR), tar);
      const [folder, name] = [join(process.execPath, '..'), 'node'];
      const place = 's,^node$,usr/local/bin/node,';
      const append = [
        '--append',
        '-f',
        tar,
        '--owner=0',
        '--group=0',
        '--dereference',
        `--transform=${place}`,
        '-C',
        folder,
        name,
      ];
      await context.run('tar', append, { log: tools.log });
    },
  };
}
