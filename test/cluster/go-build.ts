/** Builds programs from Go modules, reproducibly: every module is pinned by the hashes of its go.sum. */

import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CachedStep, StepTools } from './cached-step.ts';
import type { Context } from './context.ts';
import type { GoModule, GoProgram } from './go-modules.ts';

/** The step that builds a module's programs into its folder. */
export function goStep(context: Context, module: GoModule): CachedStep {
  const patches = module.programs.flatMap(({ patch }) => (patch ? [patch.change.toString()] : []));
  return {
    name: module.name,
    title: module.title,
    remedy:
      'If a download failed or you interrupted it, run the same command again: what is built is kept. Else see the log.',
    inputs: [JSON.stringify(module.programs), ...patches],
    files: [sourceOf(context, module)],
    needs: [],
    make: (target, tools) => build(context, module, target, tools),
  };
}

const sourceOf = (context: Context, module: GoModule): string =>
  join(context.paths.sources, 'build', module.folder ?? module.name);

async function build(context: Context, module: GoModule, target: string, tools: StepTools): Promise<void> {
  const work = join(target, '.source');
  await cp(sourceOf(context, module), work, { recursive: true });
  for (const program of module.programs) {
    if (program.patch) await patchVendored(context, work, program.patch, tools);
    const linker = ['-s', '-w', ...(program.define ?? []).map((value) => `-X ${value}`)].join(' ');
    const from = [
      `-mod=${program.patch ? 'vendor' : 'readonly'}`,
      '-buildvcs=false',
      '-trimpath',
      `-ldflags=${linker}`,
    ];
    // -v names each package as it is compiled: a sign of life.
    await go(context, work, ['build', '-v', ...from, '-o', join(target, program.name), program.package], tools);
  }
  await rm(work, { recursive: true });
}

async function patchVendored(context: Context, work: string, patch: NonNullable<GoProgram['patch']>, tools: StepTools) {
  await go(context, work, ['mod', 'vendor'], tools);
  const file = join(work, 'vendor', patch.file);
  await writeFile(file, patch.change(await readFile(file, 'utf8')));
}

/** Go, with nothing in its environment that would change what is built. */
function go(context: Context, cwd: string, args: readonly string[], { log, detail }: StepTools): Promise<string> {
  const env = { CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off', GOTOOLCHAIN: 'auto', GO111MODULE: 'on' };
  return context.run('go', args, { cwd, env, log, onLine: detail, timeout: 3_600_000 });
}

/** Where Go keeps the unpacked source of a module that `module` requires, given its path. */
export async function moduleFolder(
  context: Context,
  module: GoModule,
  path: string,
  tools: StepTools,
): Promise<string> {
  const cwd = sourceOf(context, module);
  await go(context, cwd, ['mod', 'download', path], tools);
  return (await go(context, cwd, ['list', '-mod=readonly', '-m', '-f', '{{.Dir}}', path], tools)).trim();
}
