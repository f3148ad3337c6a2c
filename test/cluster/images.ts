/** Our own images: built only when what they are made from has changed. */

import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeBundle } from './bundle.ts';
import { type CachedStep, hashOfFiles, hashOfStep, resultOf } from './cached-step.ts';
import type { Context } from './context.ts';
import { nodejsBaseStep, pythonBaseStep } from './debian.ts';
import { importRoot } from './docker.ts';
import type { Engine } from './engine.ts';
import type { CommandOptions } from './run-command.ts';
import type { Stage } from './stages.ts';
import * as versions from './versions.ts';
import { packageIndexWheelsStep, sandboxWheelsStep } from './wheels.ts';

export const SANDBOX_IMAGE = 'coderun/sandbox:dev';
export const OPERATOR_IMAGE = 'coderun/operator:dev';
export const PACKAGE_INDEX_IMAGE = 'coderun/package-index:dev';
export const IMAGES = [SANDBOX_IMAGE, OPERATOR_IMAGE, PACKAGE_INDEX_IMAGE];

/** On our images: the hash of what they were made from. */
const LABEL = 'coderun.dev/made-from';

export interface Situation {
  readonly engine: Engine;
  /** Are published images used, as a registry answers? */
  readonly published: boolean;
}

/** Builds what has changed. */
export const imageStages = (context: Context, situation: () => Situation): Stage[] => [
  sandboxImageStage(context, situation),
  operatorImageStage(context, situation),
  packageIndexImageStage(context, situation),
];

/** The steps that have to be made before the images, where no registry answers. */
export const imageSteps = (context: Context): CachedStep[] => [
  sandboxWheelsStep(context),
  packageIndexWheelsStep(context),
  pythonBaseStep(context),
  nodejsBaseStep(context),
];

const sandboxImageStage = (context: Context, situation: () => Situation): Stage =>
  pythonImageStage(context, situation, SANDBOX_IMAGE, sandboxWheelsStep(context));

const packageIndexImageStage = (context: Context, situation: () => Situation): Stage =>
  pythonImageStage(context, situation, PACKAGE_INDEX_IMAGE, packageIndexWheelsStep(context));

/** An image of Python packages: those of `wheels`, or of the public index where a registry answers. */
function pythonImageStage(context: Context, situation: () => Situation, reference: string, wheels: CachedStep): Stage {
  const recipe = join(context.paths.repository, 'deploy/images', nameOf(reference));
  const parts = async () => {
    if (situation().published) return [versions.PUBLISHED_PYTHON];
    return [await hashOfStep(pythonBaseStep(context)), await hashOfStep(wheels)];
  };
  return imageStage(context, situation, reference, {
    inputs: async () => [await hashOfFiles(recipe), ...(await parts())],
    base: async (log) =>
      situation().published
        ? versions.PUBLISHED_PYTHON
        : importRoot(context, situation().engine, pythonBaseStep(context), log),
    async fill(folder) {
      await cp(recipe, folder, { recursive: true });
      if (situation().published) return;
      const made = resultOf(context, wheels);
      for (const name of await readdir(made)) {
        if (name.endsWith('.whl')) await cp(join(made, name), join(folder, 'wheels', name));
      }
    },
  });
}

function operatorImageStage(context: Context, situation: () => Situation): Stage {
  const { repository } = context.paths;
  const recipe = join(repository, 'deploy/images/operator/Dockerfile');
  return imageStage(context, situation, OPERATOR_IMAGE, {
    inputs: async () => [
      await hashOfFiles(await makeBundle(repository)),
      await hashOfFiles(recipe),
      situation().published ? versions.PUBLISHED_NODE : await hashOfStep(nodejsBaseStep(context)),
    ],
    base: async (log) =>
      situation().published
        ? versions.PUBLISHED_NODE
        : importRoot(context, situation().engine, nodejsBaseStep(context), log),
    async fill(folder) {
      await cp(join(repository, 'dist'), folder, { recursive: true });
      await cp(recipe, join(folder, 'Dockerfile'));
    },
  });
}

const nameOf = (reference: string): string => reference.replace(/^.*\/|:.*$/g, '');

interface ImageRecipe {
  inputs(): Promise<string[]>;
  base(log: string): Promise<string>;
  /** Fills the build context. */
  fill(folder: string): Promise<void>;
}

function imageStage(context: Context, situation: () => Situation, reference: string, recipe: ImageRecipe): Stage {
  const name = nameOf(reference);
  let hash: Promise<string> | undefined;
  const madeFrom = (): Promise<string> => {
    hash ??= recipe.inputs().then((inputs) => createHash('sha256').update(JSON.stringify(inputs)).digest('hex'));
    return hash;
  };
  return {
    title: `Build the image ${reference}`,
    remedy: 'See the log: it holds what `docker build` said.',
    async done() {
      const there = await labelOf(context, situation().engine, reference);
      return there === (await madeFrom()) ? 'made before, unchanged' : undefined;
    },
    async run(detail) {
      const { engine } = situation();
      const log = join(context.paths.logs, `${name}-image.log`);
      const folder = join(context.paths.run, `${name}-context`);
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true });
      await recipe.fill(folder);
      const settings = [`--build-arg=BASE=${await recipe.base(log)}`, `--label=${LABEL}=${await madeFrom()}`];
      await dockerBuild(context, engine, [...settings, `--tag=${reference}`, folder], { log, onLine: detail });
      await rm(folder, { recursive: true });
    },
  };
}

/** The private engine has no network and only the classic builder; the Dockerfiles ask for no more. */
async function dockerBuild(context: Context, engine: Engine, args: readonly string[], options: CommandOptions) {
  const isPrivate = engine.kind === 'private';
  const env = { ...engine.environment, ...(isPrivate ? { DOCKER_BUILDKIT: '0' } : {}) };
  const network = isPrivate ? ['--network=none'] : [];
  await context.run('docker', ['build', ...network, ...args], { ...options, env, timeout: 1_800_000 });
  // What the new image replaces, and the builder's leavings. In an engine of the user's there may be others' too.
  if (isPrivate) await context.run('docker', ['image', 'prune', '--force'], { ...options, env });
}

async function labelOf(context: Context, engine: Engine, reference: string): Promise<string | undefined> {
  const format = `{{index .Config.Labels "${LABEL}"}}`;
  const args = ['image', 'inspect', '--format', format, reference];
  try {
    return (await context.run('docker', args, { env: engine.environment, timeout: 30_000 })).trim();
  } catch {
    return undefined;
  }
}
