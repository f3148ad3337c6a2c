/** Small Debian root file systems, made on this machine: the bases of images where no registry answers. */

import { join } from 'node:path';
import type { CachedStep } from './cached-step.ts';
import type { Context } from './context.ts';

/** In the folder of a Debian step: its root file system. */
export const ROOT_TAR = 'root.tar';

export function debianStep(
  context: Context,
  name: string,
  suite: string,
  packages: readonly string[],
  purpose: string,
): CachedStep {
  return {
    name,
    title: `Make a Debian ${suite} ${purpose}`,
    remedy:
      'The packages come from a Debian mirror: check that `apt-get update` works, then run the same command again.',
    inputs: [suite, ...packages],
    files: [],
    needs: [],
    async make(target, tools) {
      const args = ['--variant=minbase', `--include=${packages.join(',')}`, ...EXCLUDE, suite, join(target, ROOT_TAR)];
      await context.run('mmdebstrap', args, { log: tools.log, onLine: tools.detail, timeout: 1_800_000 });
    },
  };
}

const EXCLUDE = ['doc', 'man', 'locale']
  .map((folder) => `--dpkgopt=path-exclude=/usr/share/${folder}/*`)
  .concat('--dpkgopt=path-include=/usr/share/doc/*/copyright');
