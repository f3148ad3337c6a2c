/** The role `controller`: watches always, leads when it may, and then reconciles. */

import { randomUUID } from 'node:crypto';
import {
  CODE_BATCHES,
  CODE_RUNS,
  LABEL_MANAGED_BY,
  LABEL_SANDBOX,
  MANAGER,
  REPL_SESSIONS,
  SANDBOX_CLASSES,
  SANDBOX_POOLS,
  SYSTEM_NAMESPACE,
} from '../api/group.ts';
import type { Config } from '../config.ts';
import type { Stores } from '../controllers/stores.ts';
import { NETWORK_POLICIES, PODS, SERVICES } from '../kube/resources.ts';
import { systemClock } from '../runtime/clock.ts';
import { LeaderElector } from '../runtime/lease.ts';
import { startHealthServer } from '../telemetry/health.ts';
import { createLogger } from '../telemetry/logger.ts';
import { createRegistry, leaderGauge } from '../telemetry/metrics.ts';
import { connect, keepCache } from './connect.ts';
import { type ControllerRole, leadership } from './leadership.ts';
import { leasePort } from './lease-port.ts';
import { createStores } from './stores.ts';

const LEASE = 'coderun-controller';
const MANAGED = `${LABEL_MANAGED_BY}=${MANAGER}`;

/** Runs until `signal` aborts. Rejects where leadership is lost: the process must then end. */
export async function controllerRole(config: Config, signal: AbortSignal): Promise<void> {
  const log = createLogger('controller', config.CODERUN_LOG_LEVEL);
  const register = createRegistry();
  const kube = await connect(config, 'controller');
  const stores = createStores(log);
  const health = await startHealthServer({
    port: config.CODERUN_HEALTH_PORT,
    register,
    isReady: () => Object.values(stores).every(({ isSynced }) => isSynced),
  });
  const stop = new AbortController();
  const caches = keepCaches({ kube, log, signal: stop.signal }, stores);
  const role = { config, kube, stores, log, register };
  try {
    await elector(role).run(leadership(role), signal);
  } finally {
    stop.abort();
    await Promise.allSettled(caches);
    health.close();
  }
}

/** Keeps every store until `signal` aborts. */
export const keepCaches = (common: Omit<Parameters<typeof keepCache>[0], 'type' | 'store'>, stores: Stores) => [
  keepCache({ ...common, type: CODE_RUNS, store: stores.runs }),
  keepCache({ ...common, type: CODE_BATCHES, store: stores.batches }),
  keepCache({ ...common, type: REPL_SESSIONS, store: stores.sessions }),
  keepCache({ ...common, type: PODS, store: stores.pods, labelSelector: LABEL_SANDBOX }),
  keepCache({ ...common, type: SANDBOX_CLASSES, store: stores.classes }),
  keepCache({ ...common, type: SANDBOX_POOLS, store: stores.pools }),
  keepCache({ ...common, type: NETWORK_POLICIES, store: stores.policies, labelSelector: MANAGED }),
  keepCache({ ...common, type: SERVICES, store: stores.services, namespace: SYSTEM_NAMESPACE }),
];

function elector({ config, kube, log, register }: ControllerRole): LeaderElector {
  return new LeaderElector({
    port: leasePort(kube, config.POD_NAMESPACE, LEASE),
    identity: `${config.POD_NAME}_${randomUUID()}`,
    clock: systemClock,
    random: Math.random,
    logger: log,
    masterStatus: leaderGauge(register, LEASE),
    leaseMilliseconds: config.CODERUN_LEASE_SECONDS * 1000,
    renewDeadlineMilliseconds: config.CODERUN_LEASE_RENEW_SECONDS * 1000,
    retryMilliseconds: config.CODERUN_LEASE_RETRY_SECONDS * 1000,
  });
}
