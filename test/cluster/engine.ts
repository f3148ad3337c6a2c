/** The container engine: the user's Docker where it answers, else a private one in namespaces that no packet leaves. */

import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from './context.ts';
import { ClusterError, CommandError } from './errors.ts';
import {
  identify,
  isAlive,
  type ProcessIdentity,
  rememberedProcesses,
  runningProcess,
  startProcess,
  stopProcess,
} from './processes.ts';

export interface Engine {
  /** `user`: the Docker engine that was there; `private`: ours, which reaches no registry. */
  readonly kind: 'user' | 'private';
  /** What `docker` and `kind` need in their environment to talk to it. */
  readonly environment: Readonly<NodeJS.ProcessEnv>;
}

const UNSHARE = 'engine';
const CAP_SYS_RESOURCE = 24n;

const userEngine: Engine = { kind: 'user', environment: {} };
const privateEngine = (context: Context): Engine => ({
  kind: 'private',
  environment: { DOCKER_HOST: `unix://${context.paths.engineSocket}`, DOCKER_CONTEXT: undefined },
});

/** The engine that runs now: ours if we have started one, else the user's if it answers. */
export async function findEngine(context: Context): Promise<Engine | undefined> {
  if (runningProcess(context.paths.run, UNSHARE)) return privateEngine(context);
  return (await answers(context, userEngine)) ? userEngine : undefined;
}

async function answers(context: Context, engine: Engine): Promise<boolean> {
  try {
    const format = '{{.Server.Version}}';
    await context.run('docker', ['version', '--format', format], { env: engine.environment, timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}

export function requireRoot(context: Context): void {
  if (context.superuser) return;
  throw new ClusterError(
    'No Docker engine answers, and only root can start a private one.',
    'Start Docker (and see that `docker version` works for this user), or run the same command as root.',
  );
}

const relayOf = (port: number): string => `relay-${port}`;

/** Does our engine run, and the relays that lead to it? */
export const isPrivateEngineUp = (context: Context): boolean =>
  [UNSHARE, ...portsOf(context).map(relayOf)].every((name) => runningProcess(context.paths.run, name) !== undefined);

/** Starts what of it doesn't run: the engine, the relays. */
export async function startPrivateEngine(context: Context): Promise<Engine> {
  const { run, engineData, sources, logs } = context.paths;
  const log = join(logs, 'engine.log');
  const start = (name: string, command: string, args: string[]) =>
    startProcess(run, name, command, args, log, context.environment);
  if (!runningProcess(run, UNSHARE)) {
    for (const name of rememberedProcesses(run)) await stopProcess(run, name, 0); // Left by an engine that has ended.
    await requireFreePorts(context);
    const mode = hasCapability(CAP_SYS_RESOURCE) ? [] : ['compat'];
    const namespaces = ['--net', '--mount', '--pid', '--fork', '--mount-proc', '--kill-child'];
    const first = [join(sources, 'engine.sh'), run, engineData, portsOf(context).join(' '), ...mode];
    start(UNSHARE, 'unshare', [...namespaces, ...first]);
  }
  for (const port of portsOf(context)) {
    if (runningProcess(run, relayOf(port))) continue;
    const listen = `TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork,nodelay`;
    start(relayOf(port), 'socat', [listen, `UNIX-CONNECT:${run}/${port}.sock`]);
  }
  const engine = privateEngine(context);
  await waitForAnswer(context, engine, log);
  return engine;
}

/** Ends what `startPrivateEngine` started. dockerd, first in its process namespace, takes everything in there along. */
export async function stopPrivateEngine(context: Context): Promise<void> {
  const { run } = context.paths;
  for (const name of rememberedProcesses(run)) {
    if (name === UNSHARE) continue;
    await stopProcess(run, name, 1_000);
  }
  await stopProcess(run, UNSHARE, 20_000, firstChild(runningProcess(run, UNSHARE)));
}

async function waitForAnswer(context: Context, engine: Engine, log: string): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    if (await answers(context, engine)) return;
    if (tries > 5 && !runningProcess(context.paths.run, UNSHARE)) break;
    await sleep(200, undefined, { signal: context.signal });
  }
  const tail = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-15);
  throw new CommandError('dockerd', 'did not come to answer', tail, log);
}

/** dockerd's own process, as seen from here: unshare itself doesn't pass signals on. */
function firstChild(parent: ProcessIdentity | undefined): ProcessIdentity | undefined {
  if (parent === undefined || !isAlive(parent)) return undefined;
  const children = readFileSync(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8').trim().split(' ');
  return identify(Number(children[0])) ?? parent;
}

function hasCapability(bit: bigint): boolean {
  const effective = /^CapEff:\s+([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> bit) & 1n) === 1n;
}

const portsOf = ({ ports }: Context): number[] => [ports.apiServer, ports.gateway];

export async function requireFreePorts({ ports }: Context): Promise<void> {
  const variables = { CODERUN_API_PORT: ports.apiServer, CODERUN_GATEWAY_PORT: ports.gateway };
  for (const [variable, port] of Object.entries(variables)) {
    if (await isFree(port)) continue;
    throw new ClusterError(
      `Port ${port} on 127.0.0.1 is taken by another program.`,
      `See which (\`ss -ltnp 'sport = :${port}'\`) and end it, or set ${variable} to a free port; then run this again.`,
    );
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
