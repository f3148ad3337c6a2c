/** The role `gateway`: the HTTP API, over watch caches of CodeRuns, CodeBatches and ReplSessions. */

import { randomBytes } from 'node:crypto';
import { CODE_BATCHES, CODE_RUNS, REPL_SESSIONS } from '../api/group.ts';
import type { ReplSession } from '../api/replsession.ts';
import type { Config } from '../config.ts';
import { CONTAINER } from '../core/pod.ts';
import { Admission } from '../gateway/admission.ts';
import { bearerIdentity } from '../gateway/auth/bearer.ts';
import { KeyStore } from '../gateway/auth/key-store.ts';
import { Reviews } from '../gateway/auth/reviews.ts';
import { GATEWAY_LIMITS, type GatewayDeps, type GatewayLimits } from '../gateway/deps.ts';
import { openAiModel } from '../gateway/llm/openai-model.ts';
import type { Identify } from '../gateway/plugins/identify.ts';
import { buildGateway, renewCertificate } from '../gateway/server.ts';
import { SessionBridges } from '../gateway/session-bridges.ts';
import type { Kube } from '../kube/port.ts';
import { aborted } from '../runtime/abort.ts';
import { systemClock } from '../runtime/clock.ts';
import { bridgeCommand } from '../sandbox/agent.ts';
import { startHealthServer } from '../telemetry/health.ts';
import { createLogger, type Logger } from '../telemetry/logger.ts';
import { createRegistry, gatewayMetrics } from '../telemetry/metrics.ts';
import { BATCH_CENSUS, censusOf, RUN_CENSUS, SESSION_CENSUS } from './census.ts';
import { connect, keepCache } from './connect.ts';
import { watchLag } from './lag.ts';
import { watchObjects } from './run-watch.ts';
import { cutBatch, cutRun } from './stores.ts';
import { certificateFiles, readCertificate, watchCertificate } from './tls.ts';

const INTERNET_CLASS = 'internet';
const PACKAGES_CLASS = 'packages';
/** Each is a connection to the API server, and a process in a sandbox. */
const BRIDGES = 1000;
const EXECUTE_GRACE_SECONDS = 30;

/** Runs until `signal` aborts, then lets requests finish. */
export async function gatewayRole(config: Config, signal: AbortSignal): Promise<void> {
  const log = createLogger('gateway', config.CODERUN_LOG_LEVEL);
  const register = createRegistry();
  const files = certificateFiles(config);
  const certificate = files && (await readCertificate(files));
  const kube = await connect(config, 'gateway');
  const runs = watchObjects(log, cutRun, RUN_CENSUS);
  const batches = watchObjects(log, cutBatch, BATCH_CENSUS);
  const sessions = watchObjects(log, cutSession, SESSION_CENSUS);
  const health = await startHealthServer({
    port: config.CODERUN_HEALTH_PORT,
    register,
    isReady: () => [runs, batches, sessions].every(({ store }) => store.isSynced),
  });
  const stop = new AbortController();
  const bridge = bridgeCommand();
  const common = { kube, log, signal: stop.signal };
  const background = [
    keepCache({ ...common, type: CODE_RUNS, store: runs.store }),
    keepCache({ ...common, type: CODE_BATCHES, store: batches.store }),
    keepCache({ ...common, type: REPL_SESSIONS, store: sessions.store }),
  ];
  using lag = watchLag(systemClock);
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
    identify: identity(config, kube, log),
    admission: new Admission({
      census: censusOf({ runs: runs.store, batches: batches.store, sessions: sessions.store }),
      clock: systemClock,
      queuedRuns: config.CODERUN_QUEUED_RUNS,
    }),
    config: {
      sandboxContainer: CONTAINER,
      internetClassName: INTERNET_CLASS,
      packagesClassName: PACKAGES_CLASS,
      allowedOrigins: [],
      limits: limitsOf(config),
    },
    certificate,
    lag: lag.milliseconds,
    logger: log,
    ...languageModel(config),
    metrics: gatewayMetrics(register),
  });
  if (files && certificate) {
    const renew = watchCertificate(files, (next) => renewCertificate(gateway, next), {
      current: certificate,
      clock: systemClock,
      log,
      signal: stop.signal,
    });
    background.push(renew);
  }
  warn(config, log);
  try {
    await gateway.listen({ host: config.CODERUN_GATEWAY_HOST, port: config.CODERUN_GATEWAY_PORT });
    await aborted(signal);
  } finally {
    await gateway.close();
    stop.abort();
    await Promise.allSettled(background);
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

function limitsOf(config: Config): GatewayLimits {
  return {
    ...GATEWAY_LIMITS,
    // A run may wait for its sandbox as long as the controller lets it.
    executeOverhead: (config.CODERUN_PENDING_TIMEOUT_SECONDS + EXECUTE_GRACE_SECONDS) * 1000,
    requestsPerMinute: config.CODERUN_REQUESTS_PER_MINUTE,
    namespaceRequestsPerMinute: config.CODERUN_NAMESPACE_REQUESTS_PER_MINUTE,
  };
}

const identity = (config: Config, kube: Kube, logger: Logger): Identify =>
  bearerIdentity({
    keys: new KeyStore({ kube, clock: systemClock, logger }),
    reviews: new Reviews({ kube, clock: systemClock, audience: config.CODERUN_TOKEN_AUDIENCE }),
    clock: systemClock,
    anonymousNamespace: config.CODERUN_ANONYMOUS_NAMESPACE,
  });

function warn(config: Config, log: Logger): void {
  const { CODERUN_ANONYMOUS_NAMESPACE: namespace, CODERUN_TLS_CERT_FILE: certificate } = config;
  if (namespace) log.warn({ namespace }, 'ANYONE who reaches this gateway may run code, without credentials');
  if (!certificate) log.warn('The gateway speaks plain HTTP: API keys and tokens are readable on the way to it');
}

function languageModel(config: Config): Pick<GatewayDeps, 'languageModel'> {
  const { CODERUN_LLM_BASE_URL: baseUrl, CODERUN_LLM_MODEL: names, CODERUN_LLM_API_KEY_FILE: apiKeyFile } = config;
  if (baseUrl === undefined) return {};
  const [first, ...others] = (names ?? '').split(',').map((name) => name.trim());
  if (!first) throw new Error('CODERUN_LLM_MODEL: name the model that CODERUN_LLM_BASE_URL serves');
  const timeoutMilliseconds = config.CODERUN_LLM_TIMEOUT_SECONDS * 1000;
  return { languageModel: openAiModel({ baseUrl, apiKeyFile, models: [first, ...others], timeoutMilliseconds }) };
}
