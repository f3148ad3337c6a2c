/** The operator bundled, with the agent's Python beside it: what its image holds. */

import { cp, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

/** Modules of the CommonJS kind call `require`, which a module of the ES kind has to make for them. */
const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

/** Makes the folder `dist` of the repository anew, and resolves with its path. */
export async function makeBundle(repository: string): Promise<string> {
  const dist = join(repository, 'dist');
  const part = join(repository, '.cache/dist');
  await rm(part, { recursive: true, force: true });
  await mkdir(part, { recursive: true });
  await build({
    absWorkingDir: repository,
    entryPoints: ['src/main.ts'],
    outdir: part,
    bundle: true,
    // What a role does not use is not even loaded: client-node alone takes 20 MB.
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    banner: { js: REQUIRE },
    logLevel: 'warning',
  });
  await writeFile(join(part, 'package.json'), '{"type":"module"}\n');
  await cp(join(repository, 'src/sandbox/agent'), join(part, 'agent'), {
    recursive: true,
    filter: (path) => !path.endsWith('__pycache__'),
  });
  await rm(dist, { recursive: true, force: true });
  await rename(part, dist);
  return dist;
}
