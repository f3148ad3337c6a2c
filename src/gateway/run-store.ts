/** Runs in the cluster: creating, finding and cancelling them for a caller. */

import type { CodeRun, CodeRunSpec } from '../api/coderun.ts';
import { CODE_RUNS } from '../api/group.ts';
import type { Kube } from '../kube/port.ts';
import type { GatewayDeps } from './deps.ts';
import type { Naming } from './idempotency.ts';
import { admitObject, cancelObject, findObject, type Kind } from './objects.ts';
import type { Caller } from './plugins/identify.ts';

const RUN: Kind = { type: CODE_RUNS, word: 'run', notFound: 'RunNotFound' };

/** Creates a run, where there is room for another: under `name`, or under a new name that begins with `prefix`. */
export const createRun = (
  deps: Pick<GatewayDeps, 'kube' | 'random' | 'admission' | 'runs'>,
  caller: Caller,
  spec: CodeRunSpec,
  naming: Naming,
): Promise<CodeRun> => admitObject<CodeRun>(RUN, deps, caller, { spec, naming, wanted: { runs: 1 }, watch: deps.runs });

/** All of the caller's run of this name: from the watch where that has it, else from the API server. */
export const findRun = (
  { kube, runs }: Pick<GatewayDeps, 'kube' | 'runs'>,
  caller: Caller,
  name: string,
): Promise<CodeRun> => findObject(RUN, kube, runs, caller, name);

/** Asks for the end of a run; one that has ended stays as it is. */
export const cancelRun = (kube: Kube, run: CodeRun): Promise<CodeRun> => cancelObject(RUN, kube, run);
