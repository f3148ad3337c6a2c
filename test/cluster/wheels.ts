/** The Python packages of the sandbox image, brought by pip on this machine: the private engine reaches no index. */

import { join } from 'node:path';
import type { CachedStep, StepTools } from './cached-step.ts';
import type { Context } from './context.ts';
import { installPackages } from './packages.ts';
import * as versions from './versions.ts';

/** In the folder of the step: the wheels of deploy/images/sandbox/requirements.txt. */
export function wheelsStep(context: Context): CachedStep {
  const requirements = join(context.paths.repository, 'deploy/images/sandbox/requirements.txt');
  return {
    name: 'wheels',
    title: "Download the sandbox's Python packages",
    remedy:
      'They come from the Python package index, by pip: check that it is reached, then run the same command again.',
    inputs: [versions.IMAGE_PYTHON, process.arch],
    files: [requirements],
    needs: [],
    make: (target, tools) => downloadWheels(context, requirements, target, tools),
  };
}

async function downloadWheels(context: Context, requirements: string, target: string, tools: StepTools): Promise<void> {
  const pip = (args: string[]) =>
    context.run('python3', ['-m', 'pip', ...args], { log: tools.log, onLine: tools.detail });
  await pip(['--version']).catch(() => installPackages(context, ['python3-pip'], tools.detail));
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const glibc = ['2_28', '2_27', '2_24', '2_17', '2014'].flatMap((version) => [
    '--platform',
    version === '2014' ? `manylinux2014_${machine}` : `manylinux_${version}_${machine}`,
  ]);
  const python = ['--only-binary=:all:', '--implementation', 'cp', '--python-version', versions.IMAGE_PYTHON, ...glibc];
  await pip(['download', '--no-deps', '--require-hashes', ...python, '--dest', target, '--requirement', requirements]);
}
