/** A gateway of this process's own, for `--kube`: every command works without one in the cluster, with the caller's rights. */

import { timingSafeEqual } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { FastifyBaseLogger } from 'fastify';
import type { CodeBatch } from '../api/codebatch.ts';
import type { CodeRun } from '../api/coderun.ts';
import { CODE_BATCHES, CODE_RUNS, REPL_SESSIONS, SANDBOX_NAMESPACE } from '../api/group.ts';
import type { ReplSession } from '../api/replsession.ts';
import { Coderun } from '../client/index.ts';
import { Admission } from '../gateway/admission.ts';
import { GATEWAY_LIMITS, type GatewayDeps } from '../gateway/deps.ts';
import type { Identify } from '../gateway/plugins/identify.ts';
import { Problem } from '../gateway/problem.ts';
import { buildGateway } from '../gateway/server.ts';
import { SessionBridges } from '../gateway/session-bridges.ts';
import { createKube } from '../kube/client.ts';
import { kubeconfigCredentials } from '../kube/config.ts';
import { isNotFound } from '../kube/error.ts';
import type { Kube } from '../kube/port.ts';
import { bridgeCommand } from '../sandbox/agent.ts';
import type { Connection } from './connection.ts';
import { CliError } from './errors.ts';
import { EXIT } from './exit-codes.ts';
import type { Io } from './io.ts';
import { followObjects } from './object-follower.ts';
import type { Target } from './target.ts';

const INTERNET_CLASS = 'internet';
const PACKAGES_CLASS = 'packages';
const SANDBOX_CONTAINER = 'sandbox';
const BRIDGES = 16;
const NOBODY_ELSE = { waiting: () => 0, unfinished: () => 0 };

/** Throws a `CliError` or `KubeError` where the cluster can't be reached, or has no CodeRuns. */
export async function connectToCluster(
  { kubeconfig, context, namespace }: Extract<Target, { kind: 'kube' }>,
  io: Io,
): Promise<Connection> {
  const source = { ...(kubeconfig !== undefined && { path: kubeconfig }), ...(context !== undefined && { context }) };
  const credentials = await kubeconfigCredentials(source, io.clock).catch((error: unknown) => {
    const text = error instanceof Error ? error.message : String(error);
    throw new CliError(EXIT.usage.code, `the kubeconfig can't be used: ${text}; name another with --kubeconfig`, error);
  });
  const kube = createKube(credentials, { userAgent: 'coderun-cli', fieldManager: 'coderun-cli' });
  const connection = await serve(kube, namespace ?? credentials.namespace ?? SANDBOX_NAMESPACE, io);
  return {
    ...connection,
    [Symbol.asyncDispose]: async () => {
      await connection[Symbol.asyncDispose]();
      await kube.close();
    },
  };
}

/** Serves `kube` on a port of this machine, of which `opened` is told, to whoever holds a token that nobody else knows. */
export async function serve(
  kube: Kube,
  namespace: string,
  io: Io,
  opened: (url: string) => void = () => undefined,
): Promise<Connection> {
  await checkCluster(kube, namespace);
  const token = Buffer.from(io.random(32)).toString('base64url');
  const app = buildGateway(localGatewayDeps(kube, onlyHolder(token, namespace), io));
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const baseUrl = `http://127.0.0.1:${port}`;
  opened(baseUrl);
  return {
    client: new Coderun({ baseUrl, apiKey: token }),
    cluster: { kube, namespace },
    [Symbol.asyncDispose]: async () => {
      app.server.closeAllConnections();
      await app.close();
    },
  };
}

/** The gateway's own words for what the cluster refuses hide its insides; here they are the caller's to know. */
async function checkCluster(kube: Kube, namespace: string): Promise<void> {
  try {
    await kube.list(CODE_RUNS, { namespace, limit: 1 });
  } catch (error) {
    if (!isNotFound(error)) throw error;
    throw new CliError(
      EXIT.unavailable.code,
      'this cluster has no CodeRuns; install coderun, or name another --context',
    );
  }
}

/** A gateway's, of `kube` as it is spoken to from here. */
export function localGatewayDeps(
  kube: Kube,
  identify: Identify,
  { clock, random }: Pick<Io, 'clock' | 'random'>,
): GatewayDeps {
  const bridge = bridgeCommand();
  return {
    kube,
    runs: followObjects<CodeRun>(kube, CODE_RUNS, clock),
    batches: followObjects<CodeBatch>(kube, CODE_BATCHES, clock),
    sessions: followObjects<ReplSession>(kube, REPL_SESSIONS, clock),
    bridges: new SessionBridges({
      exec: ({ namespace, podName }, until) => kube.exec(namespace, podName, SANDBOX_CONTAINER, bridge, until),
      clock,
      limit: BRIDGES,
    }),
    clock,
    random,
    identify,
    // The cluster's own quotas are limit enough for one person.
    admission: new Admission({ census: NOBODY_ELSE, clock, queuedRuns: Number.POSITIVE_INFINITY }),
    config: {
      sandboxContainer: SANDBOX_CONTAINER,
      internetClassName: INTERNET_CLASS,
      packagesClassName: PACKAGES_CLASS,
      allowedOrigins: [],
      limits: { ...GATEWAY_LIMITS, drainTimeout: 0 },
    },
    logger: SILENT,
  };
}

function onlyHolder(token: string, namespace: string): Identify {
  const expected = Buffer.from(`Bearer ${token}`);
  return ({ headers }) => {
    const shown = Buffer.from(headers.authorization ?? '');
    if (shown.length === expected.length && timingSafeEqual(shown, expected)) return { name: 'cli', namespace };
    throw new Problem('Unauthenticated', 'This gateway belongs to a command that runs on this machine.');
  };
}

const ignore = (): void => undefined;
const SILENT: FastifyBaseLogger = {
  level: 'silent',
  fatal: ignore,
  error: ignore,
  warn: ignore,
  info: ignore,
  debug: ignore,
  trace: ignore,
  silent: ignore,
  child: () => SILENT,
} as unknown as FastifyBaseLogger;
