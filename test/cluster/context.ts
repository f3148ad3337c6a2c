/** What every part of the cluster's tooling works with: the machine, the places, the voice, and a way to run commands. */

import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { ClusterError } from './errors.ts';
import { LONGEST_ROOT, type Paths, pathsOf } from './paths.ts';
import { createProgress, type Output, type Progress } from './progress.ts';
import { type CommandOptions, runCommand } from './run-command.ts';
import { linkTools } from './tools.ts';

/** Ports on 127.0.0.1 of this machine. */
export interface Ports {
  readonly apiServer: number;
  readonly gateway: number;
}

export interface Context {
  readonly paths: Paths;
  readonly ports: Ports;
  readonly progress: Progress;
  /** The user's environment, with our tools first on PATH. */
  readonly environment: Readonly<NodeJS.ProcessEnv>;
  readonly superuser: boolean;
  readonly signal: AbortSignal;
  /** Runs a command with this environment; what `options.env` sets comes on top. */
  run(command: string, args: readonly string[], options?: CommandOptions): Promise<string>;
}

export interface ContextOptions {
  environment?: NodeJS.ProcessEnv;
  output?: Output;
  signal?: AbortSignal;
}

export function createContext(options: ContextOptions = {}): Context {
  const given = options.environment ?? process.env;
  const paths = pathsOf(cacheRoot(given), resolve(import.meta.dirname, '../..'));
  if (process.platform !== 'linux') {
    throw new ClusterError(`This runs on Linux, not on ${process.platform}.`, 'Use a Linux machine or a virtual one.');
  }
  if (Buffer.byteLength(paths.root) > LONGEST_ROOT) {
    throw new ClusterError(
      `The path ${paths.root} is too long for a unix socket below it.`,
      `Set CODERUN_CLUSTER_HOME to a path of at most ${LONGEST_ROOT} bytes.`,
    );
  }
  makeFolders(paths);
  linkTools(paths);
  const signal = options.signal ?? new AbortController().signal;
  const systemFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin'];
  const environment = { ...given, PATH: [paths.bin, given['PATH'] ?? '', ...systemFolders].join(delimiter) };
  return {
    paths,
    ports: {
      apiServer: portOf(given, 'CODERUN_API_PORT', 6443),
      gateway: portOf(given, 'CODERUN_GATEWAY_PORT', 8080),
    },
    progress: createProgress(options.output ?? process.stderr, () => performance.now()),
    environment,
    superuser: process.getuid?.() === 0,
    signal,
    run: (command, args, more = {}) =>
      runCommand(command, args, { signal, ...more, env: { ...environment, ...more.env } }),
  };
}

function makeFolders(paths: Paths): void {
  try {
    for (const folder of [paths.bin, paths.steps, paths.logs, paths.run]) mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw new ClusterError(
      `${paths.root} can't be written to`,
      'Set CODERUN_CLUSTER_HOME to a folder that can.',
      error,
    );
  }
}

export function cacheRoot(environment: Readonly<NodeJS.ProcessEnv>): string {
  const chosen = environment['CODERUN_CLUSTER_HOME'];
  if (chosen) return resolve(chosen);
  return join(environment['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'coderun-cluster');
}

export const gatewayUrl = (context: Context): string => `http://127.0.0.1:${context.ports.gateway}`;

function portOf(environment: Readonly<NodeJS.ProcessEnv>, variable: string, usual: number): number {
  const port = Number(environment[variable] || usual);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new ClusterError(
    `${variable} is ${environment[variable]}, which is no port.`,
    `Set it to a number from 1 to 65535, or unset it.`,
  );
}
