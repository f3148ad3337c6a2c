/** Runs in the cluster: creating, finding and cancelling them for a caller. */

import { type CodeRun, type CodeRunSpec, SPEC_LIMIT_BYTES } from '../api/coderun.ts';
import { API_VERSION, CODE_RUNS } from '../api/group.ts';
import { storedBytes } from '../api/schema.ts';
import { isAlreadyExists, isNotFound, KubeError } from '../kube/error.ts';
import type { Kube } from '../kube/port.ts';
import type { GatewayDeps, RandomBytes } from './deps.ts';
import { kubeProblem, tooLarge } from './kube-problem.ts';
import type { Caller } from './plugins/identify.ts';
import { Problem } from './problem.ts';
import { isEnded } from './run-view.ts';

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const NAME_CHARACTERS = 10;
const NAME_ATTEMPTS = 3;

export const randomBase32 = (random: RandomBytes, characters = NAME_CHARACTERS): string =>
  Array.from(random(characters), (byte) => BASE32[byte % BASE32.length]).join('');

/** Creates a run: under `name`, or under a new name that begins with `prefix`. */
export async function createRun(
  { kube, random }: Pick<GatewayDeps, 'kube' | 'random'>,
  caller: Caller,
  spec: CodeRunSpec,
  naming: { name: string } | { prefix: string },
): Promise<CodeRun> {
  if (storedBytes(spec) > SPEC_LIMIT_BYTES) throw tooLarge();
  for (let attempt = 1; ; attempt++) {
    const name = 'name' in naming ? naming.name : `${naming.prefix}-${randomBase32(random)}`;
    const object = { apiVersion: API_VERSION, kind: 'CodeRun', metadata: { name, namespace: caller.namespace }, spec };
    try {
      return await kube.create<CodeRun>(CODE_RUNS, object);
    } catch (error) {
      if (isAlreadyExists(error) && 'prefix' in naming && attempt < NAME_ATTEMPTS) continue;
      // A server that is too busy has not looked at the request; after any other failure it may have stored the run.
      throw error instanceof KubeError ? kubeProblem(error, error.code === 429) : error;
    }
  }
}

/** All of the caller's run of this name: from the watch where that has it, else from the API server. */
export async function findRun(
  { kube, runs }: Pick<GatewayDeps, 'kube' | 'runs'>,
  { namespace }: Caller,
  name: string,
): Promise<CodeRun> {
  const seen = runs.get(namespace, name);
  if (seen && !isEnded(seen)) return seen;
  try {
    return await kube.get<CodeRun>(CODE_RUNS, namespace, name);
  } catch (error) {
    throw notFoundProblem(error);
  }
}

/** All of a run of which the watch has kept a part; undefined where it is gone, or another has its name. */
export async function wholeRun(kube: Kube, { metadata }: CodeRun): Promise<CodeRun | undefined> {
  try {
    const run = await kube.get<CodeRun>(CODE_RUNS, metadata.namespace, metadata.name);
    return run.metadata.uid === metadata.uid ? run : undefined;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Asks for the end of a run; one that has ended stays as it is. */
export async function cancelRun(kube: Kube, run: CodeRun): Promise<CodeRun> {
  if (isEnded(run)) return run;
  const { namespace, name } = run.metadata;
  const patch = { spec: { cancelled: true } };
  try {
    return await kube.patch<CodeRun>(CODE_RUNS, namespace, name, patch, { strategy: 'merge' });
  } catch (error) {
    throw notFoundProblem(error);
  }
}

const notFoundProblem = (error: unknown): unknown =>
  isNotFound(error)
    ? new Problem('RunNotFound', 'There is no run of this name; it may have been deleted after its time to live.')
    : error;
