/** The role `gateway`: the HTTP API, over watch caches of CodeRuns and CodeBatches. */

import { randomBytes } from 'node:crypto';
import type { CodeBatch } from '../api/codebatch.ts';
import type { CodeRun } from '../api/coderun.ts';
import { CODE_BATCHES, CODE_RUNS } from '../api/group.ts';
import type { Config } from '../config.ts';
import { CONTAINER } from '../core/pod.ts';
import { GATEWAY_LIMITS, type GatewayDeps } from '../gateway/deps.ts';
import { openAiModel } from '../gateway/llm/openai-model.ts';
import { anonymousOnly } from '../gateway/plugins/identify.ts';
import { buildGateway } from '../gateway/server.ts';
import { aborted } from '../runtime/abort.ts';
import { systemClock } from '../runtime/clock.ts';
import { startHealthServer } from '../telemetry/health.ts';
import { createLogger } from '../telemetry/logger.ts';
import { createRegistry, gatewayMetrics } from '../telemetry/metrics.ts';
import { connect, keepCache } from './connect.ts';
import { watchObjects } from './run-watch.ts';
import { cutBatch, cutRun } from './stores.ts';

const INTERNET_CLASS = 'internet';
const EXECUTE_GRACE_SECONDS = 30;

/** Runs until `signal` aborts, then lets requests finish. */
export async function gatewayRole(config: Config, signal: AbortSignal): Promise<void> {
  const log = createLogger('gateway', config.CODERUN_LOG_LEVEL);
  const register = createRegistry();
  const kube = await connect(config, 'gateway');
  const runs = watchObjects<CodeRun>(log, cutRun);
  const batches = watchObjects<CodeBatch>(log, cutBatch);
  const health = await startHealthServer({
    port: config.CODERUN_HEALTH_PORT,
    register,
    isReady: () => runs.store.isSynced && batches.store.isSynced,
  });
  const stop = new AbortController();
  const common = { kube, log, signal: stop.signal };
  const caches = [
    keepCache({ ...common, type: CODE_RUNS, store: runs.store }),
    keepCache({ ...common, type: CODE_BATCHES, store: batches.store }),
  ];
  // A run may wait for its sandbox as long as the controller lets it.
  const executeOverhead = (config.CODERUN_PENDING_TIMEOUT_SECONDS + EXECUTE_GRACE_SECONDS) * 1000;
  const limits = { ...GATEWAY_LIMITS, executeOverhead };
  const gateway = buildGateway({
    kube,
    runs: runs.watch,
    batches: batches.watch,
    clock: systemClock,
    random: randomBytes,
    identify: anonymousOnly(config.CODERUN_ANONYMOUS_NAMESPACE),
    config: {
      sandboxContainer: CONTAINER,
      internetClassName: INTERNET_CLASS,
      allowedOrigins: [],
      limits,
    },
    logger: log,
    ...languageModel(config),
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

function languageModel(config: Config): Pick<GatewayDeps, 'languageModel'> {
  const { CODERUN_LLM_BASE_URL: baseUrl, CODERUN_LLM_MODEL: names, CODERUN_LLM_API_KEY_FILE: apiKeyFile } = config;
  if (baseUrl === undefined) return {};
  const [first, ...others] = (names ?? '').split(',').map((name) => name.trim());
  if (!first) throw new Error('CODERUN_LLM_MODEL: name the model that CODERUN_LLM_BASE_URL serves');
  const timeoutMilliseconds = config.CODERUN_LLM_TIMEOUT_SECONDS * 1000;
  return { languageModel: openAiModel({ baseUrl, apiKeyFile, models: [first, ...others], timeoutMilliseconds }) };
}
