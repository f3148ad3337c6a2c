/** What is asked of the container engine about images. */

import { join } from 'node:path';
import { type CachedStep, hashOfStep, resultOf } from './cached-step.ts';
import type { Context } from './context.ts';
import { ROOT_TAR } from './debian.ts';
import type { Engine } from './engine.ts';

/** Makes an image out of a step's root file system, if the engine doesn't have it already; resolves with its name. */
export async function importRoot(
  context: Context,
  engine: Engine,
  step: CachedStep,
  log: string,
  changes: string[] = [],
): Promise<string> {
  const repository = `coderun/${step.name}`;
  const reference = `${repository}:${(await hashOfStep(step)).slice(0, 12)}`;
  if (await hasImage(context, engine, reference)) return reference;
  const options = { env: engine.environment, log };
  const old = await context.run('docker', ['images', '--quiet', repository], options);
  const change = changes.flatMap((line) => ['--change', line]);
  await context.run('docker', ['import', ...change, join(resultOf(context, step), ROOT_TAR), reference], options);
  for (const image of new Set(old.split('\n'))) {
    // One that is still in use stays.
    if (image !== '') await context.run('docker', ['rmi', image], options).catch(() => {});
  }
  return reference;
}

export async function hasImage(context: Context, engine: Engine, reference: string): Promise<boolean> {
  return (await imageId(context, engine, reference)) !== undefined;
}

export async function imageId(context: Context, engine: Engine, reference: string): Promise<string | undefined> {
  const args = ['image', 'inspect', '--format', '{{.Id}}', reference];
  try {
    return (await context.run('docker', args, { env: engine.environment, timeout: 30_000 })).trim();
  } catch {
    return undefined;
  }
}

/** Is the image here, or can the engine bring it? */
export async function canPull(context: Context, engine: Engine, reference: string, log: string): Promise<boolean> {
  if (engine.kind === 'private') return false;
  if (await hasImage(context, engine, reference)) return true;
  try {
    await context.run('docker', ['pull', reference], { env: engine.environment, log, timeout: 1_200_000 });
    return true;
  } catch {
    return false;
  }
}
