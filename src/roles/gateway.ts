/** The role `gateway`: the HTTP API, over watch caches of CodeRuns, CodeBatches and ReplSessions. */

import { randomBytes } from 'node:crypto';
import type { CodeBatch } from '../api/codebatch.ts';
import type { CodeRun } from '../api/coderun.ts';
import { CODE_BATCHES, CODE_RUNS, REPL_SESSIONS } from '../api/group.ts';
import type { ReplSession } from '../api/replsession.ts';
import type { Config } from '../config.ts';
import { CONTAINER } from '../core/pod.ts';
import { GATEWAY_LIMITS } from '../gateway/deps.ts';
import { anonymousOnly } from '../gateway/plugins/identify.ts';
import { buildGateway } from '../gateway/server.ts';
import { SessionBridges } from '../gateway/session-bridges.ts';
import { aborted } from '../runtime/abort.ts';
import { systemClock } from '../runtime/clock.ts';
import { bridgeCommand } from '../sandbox/agent.ts';
import { startHealthServer } from '../telemetry/health.ts';
import { createLogger } from '../telemetry/logger.ts';
import { createRegistry, gatewayMetrics } from '../telemetry/metrics.ts';
import { connect, keepCache } from './connect.ts';
import { watchObjects } from './run-watch.ts';
import { cutBatch, cutRun } from './stores.ts';

const INTERNET_CLASS = 'internet';
const PACKAGES_CLASS = 'packages';
/** Each is a connection to the API server, and a process in a sandbox. */
const BRIDGES = 1000;
const EXECUTE_GRACE_SECONDS = 30;

/** Runs until `signal` aborts, then lets requests finish. */
export async function gatewayRole(config: Config, signal: AbortSignal): Promise<void> {
  const log = createLogger('gateway', config.CODERUN_LOG_LEVEL);
  const register = createRegistry();
  const kube = await connect(config, 'gateway');
  const runs = watchObjects<CodeRun>(log, cutRun);
  const batches = watchObjects<CodeBatch>(log, cutBatch);
  const sessions = watchObjects<ReplSession>(log, cutSession);
  const health = await startHealthServer({
    port: config.CODERUN_HEALTH_PORT,
    register,
    isReady: () => [runs, batches, sessions].every(({ store }) => store.isSynced),
  });
  const stop = new AbortController();
  const bridge = bridgeCommand();
  const common = { kube, log, signal: stop.signal };
  const caches = [
    keepCache({ ...common, type: CODE_RUNS, store: runs.store }),
    keepCache({ ...common, type: CODE_BATCHES, store: batches.store }),
    keepCache({ ...common, type: REPL_SESSIONS, store: sessions.store }),
  ];
  // A run may wait for its sandbox as long as the controller lets it.
  const executeOverhead = (config.CODERUN_PENDING_TIMEOUT_SECONDS + EXECUTE_GRACE_SECONDS) * 1000;
  const limits = { ...GATEWAY_LIMITS, executeOverhead };
  const gateway = buildGateway({
    kube,
    runs: runs.watch,
    batches: batches.watch,
    sessions: sessions.watch,
    bridges: new SessionBridges({
      exec: ({ namespace, podName }, until) => kube.exec(namespace, podName, CONTAINER, bridge, until),
      clock: systemClock,
      limit: BRIDGES,
    }),
    clock: systemClock,
    random: randomBytes,
    identify: anonymousOnly(config.CODERUN_ANONYMOUS_NAMESPACE),
    config: {
      sandboxContainer: CONTAINER,
      internetClassName: INTERNET_CLASS,
      packagesClassName: PACKAGES_CLASS,
      allowedOrigins: [],
      limits,
    },
    logger: log,
    metrics: gatewayMetrics(register),
  });
  if (config.CODERUN_ANONYMOUS_NAMESPACE)
    log.warn({ namespace: config.CODERUN_ANONYMOUS_NAMESPACE }, 'Anyone who reaches this gateway may run code');
  try {
    await gateway.listen({ host: config.CODERUN_GATEWAY_HOST, port: config.CODERUN_GATEWAY_PORT });
    await aborted(signal);
  } finally {
    await gateway.close();
    stop.abort();
    await Promise.allSettled(caches);
    health.close();
  }
}

/** What a session is given at its start may be large, and nothing here depends on it. */
function cutSession(session: ReplSession): ReplSession {
  const { files: _files, env: _env, packages: _packages, ...spec } = session.spec;
  const { managedFields: _fields, ...metadata } = session.metadata as ReplSession['metadata'] & {
    managedFields?: unknown;
  };
  return { ...session, metadata, spec };
}
