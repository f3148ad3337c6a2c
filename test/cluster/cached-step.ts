/** Steps whose results are kept, under a hash of everything they are made from: versions, sources, and the steps they build on. */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Context } from './context.ts';
import type { Stage } from './stages.ts';
import { linkTools } from './tools.ts';

export interface CachedStep {
  /** Also the name of its folder and of its log. */
  readonly name: string;
  readonly title: string;
  readonly remedy: string;
  /** Versions, flags: whatever else than files the result depends on. */
  readonly inputs: readonly string[];
  /** Files and folders that the result is made from. */
  readonly files: readonly string[];
  readonly needs: readonly CachedStep[];
  /** Fills the empty folder `target`. */
  make(target: string, tools: StepTools): Promise<void>;
}

export interface StepTools {
  /** The file that commands of this step log to. */
  readonly log: string;
  readonly detail: (text: string) => void;
}

const STAMP = '.inputs';

export const resultOf = (context: Context, step: CachedStep): string => join(context.paths.steps, step.name);

/** The step as a stage: nothing to do where its result is there and made from the same inputs. */
export function asStage(context: Context, step: CachedStep): Stage {
  return {
    title: step.title,
    remedy: step.remedy,
    done: async () => ((await isCurrent(context, step)) ? 'made before, unchanged' : undefined),
    run: (detail) => make(context, step, detail),
  };
}

export async function isCurrent(context: Context, step: CachedStep): Promise<boolean> {
  const stamp = join(resultOf(context, step), STAMP);
  return existsSync(stamp) && (await readFile(stamp, 'utf8')) === (await hashOfStep(step));
}

/** A result appears whole or not at all: it is made beside its place and renamed into it, its stamp within. */
async function make(context: Context, step: CachedStep, detail: (text: string) => void): Promise<void> {
  const target = resultOf(context, step);
  const part = `${target}.part`;
  const old = `${target}.old`;
  const log = join(context.paths.logs, `${step.name}.log`);
  for (const folder of [part, old]) await rm(folder, { recursive: true, force: true });
  await mkdir(part, { recursive: true });
  await writeFile(log, '');
  const hash = await hashOfStep(step);
  await step.make(part, { log, detail });
  await writeFile(join(part, STAMP), hash);
  if (existsSync(target)) await rename(target, old);
  await rename(part, target);
  await rm(old, { recursive: true, force: true });
  linkTools(context.paths);
}

export async function hashOfStep(step: CachedStep): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([step.name, step.inputs]));
  for (const needed of step.needs) hash.update(await hashOfStep(needed));
  for (const file of step.files) hash.update(await hashOfFiles(file));
  return hash.digest('hex');
}

/** The hash of a file's name, mode and content, or of all of these in a folder. */
export async function hashOfFiles(path: string): Promise<string> {
  const hash = createHash('sha256').update(basename(path));
  const stats = await stat(path);
  if (stats.isDirectory()) {
    for (const name of (await readdir(path)).sort()) hash.update(await hashOfFiles(join(path, name)));
  } else {
    hash.update(String(stats.mode & 0o111)).update(await readFile(path));
  }
  return hash.digest('hex');
}
