/** Where everything lies below the cache root, and where the repository keeps what we build from. */

import { join } from 'node:path';

export interface Paths {
  readonly root: string;
  /** Links to the built tools, under the names they are called by. */
  readonly bin: string;
  /** What each cached step has made, a folder a step. */
  readonly steps: string;
  readonly logs: string;
  /** State of the running cluster; gone when it is down. */
  readonly run: string;
  /** The private engine's data. */
  readonly engineData: string;
  readonly engineSocket: string;
  readonly kubeconfig: string;
  readonly repository: string;
  /** `test/cluster` of the repository. */
  readonly sources: string;
}

export function pathsOf(root: string, repository: string): Paths {
  const run = join(root, 'run');
  return {
    root,
    bin: join(root, 'bin'),
    steps: join(root, 'steps'),
    logs: join(root, 'logs'),
    run,
    engineData: join(root, 'engine'),
    engineSocket: join(run, 'docker.sock'),
    kubeconfig: join(run, 'kubeconfig'),
    repository,
    sources: join(repository, 'test/cluster'),
  };
}

/** Linux allows 108 bytes for a unix socket's path; ours are this much longer than the root at most. */
export const LONGEST_ROOT = 107 - '/run/docker.sock'.length;
