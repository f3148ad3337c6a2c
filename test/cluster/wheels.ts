/** The Python packages of our images, brought by pip on this machine: the private engine reaches no index. */

import { join } from 'node:path';
import type { CachedStep, StepTools } from './cached-step.ts';
import type { Context } from './context.ts';
import { installPackages } from './packages.ts';
import * as versions from './versions.ts';

/** In the folder of each of these steps: the wheels that the files in the image's folder name. */
export const sandboxWheelsStep = (context: Context): CachedStep =>
  wheelsStep(context, 'wheels', 'sandbox', ['requirements.txt']);

export const packageIndexWheelsStep = (context: Context): CachedStep =>
  wheelsStep(context, 'package-index-wheels', 'package-index', ['server.txt', 'packages.txt']);

function wheelsStep(context: Context, name: string, image: string, names: readonly string[]): CachedStep {
  const requirements = names.map((file) => join(context.paths.repository, 'deploy/images', image, file));
  return {
    name,
    title: `Download the Python packages of the image ${image}`,
    remedy:
      'They come from the Python package index, by pip: check that it is reached, then run the same command again.',
    inputs: [versions.IMAGE_PYTHON, process.arch],
    files: requirements,
    needs: [],
    make: (target, tools) => downloadWheels(context, requirements, target, tools),
  };
}

async function downloadWheels(
  context: Context,
  requirements: readonly string[],
  target: string,
  tools: StepTools,
): Promise<void> {
  const pip = (args: string[]) =>
    context.run('python3', ['-m', 'pip', ...args], { log: tools.log, onLine: tools.detail });
  await pip(['--version']).catch(() => installPackages(context, ['python3-pip'], tools.detail));
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const glibc = ['2_28', '2_27', '2_24', '2_17', '2014'].flatMap((version) => [
    '--platform',
    version === '2014' ? `manylinux2014_${machine}` : `manylinux_${version}_${machine}`,
  ]);
  const python = ['--only-binary=:all:', '--implementation', 'cp', '--python-version', versions.IMAGE_PYTHON, ...glibc];
  const what = requirements.flatMap((file) => ['--requirement', file]);
  await pip(['download', '--no-deps', '--require-hashes', ...python, '--dest', target, ...what]);
}
