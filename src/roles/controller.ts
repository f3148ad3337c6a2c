/** The role `controller`: watches always, leads when it may, and then reconciles. */

import { randomUUID } from 'node:crypto';
import { CODE_RUNS, LABEL_MANAGED_BY, LABEL_SANDBOX, MANAGER, SANDBOX_CLASSES } from '../api/group.ts';
import type { Config } from '../config.ts';
import { type CodeRunDeps, codeRunReconciler, runKeyOf, type Stores } from '../controllers/coderun.ts';
import { eventRecorder } from '../controllers/events.ts';
import { CONTAINER } from '../core/pod.ts';
import { isConflict, isNotFound } from '../kube/error.ts';
import type { Kube } from '../kube/port.ts';
import { NETWORK_POLICIES, PODS } from '../kube/resources.ts';
import { systemClock } from '../runtime/clock.ts';
import { Controller, changesOf } from '../runtime/controller.ts';
import { keyOf, splitKey } from '../runtime/keys.ts';
import { LeaderElector } from '../runtime/lease.ts';
import { WorkQueue } from '../runtime/workqueue.ts';
import { agentCommand, agentSource } from '../sandbox/agent.ts';
import { Channels } from '../sandbox/channels.ts';
import { startHealthServer } from '../telemetry/health.ts';
import { createLogger, type Logger } from '../telemetry/logger.ts';
import {
  controllerMetrics,
  createRegistry,
  leaderGauge,
  observedGauge,
  runMetrics,
  workQueueGauges,
  workQueueMetrics,
} from '../telemetry/metrics.ts';
import { connect, keepCache } from './connect.ts';
import { leasePort } from './lease-port.ts';
import { createStores } from './stores.ts';

const LEASE = 'coderun-controller';
const MANAGED = `${LABEL_MANAGED_BY}=${MANAGER}`;
const HELLO_TIMEOUT_MILLISECONDS = 30_000;

type Registry = ReturnType<typeof createRegistry>;

interface Role {
  config: Config;
  kube: Kube;
  stores: Stores;
  log: Logger;
  register: Registry;
}

/** Runs until `signal` aborts. Rejects where leadership is lost: the process must then end. */
export async function controllerRole(config: Config, signal: AbortSignal): Promise<void> {
  const log = createLogger('controller', config.CODERUN_LOG_LEVEL);
  const register = createRegistry();
  const kube = await connect(config, 'controller');
  const stores = createStores(log);
  const health = await startHealthServer({
    port: config.CODERUN_HEALTH_PORT,
    register,
    isReady: () => Object.values(stores).every((store) => store.isSynced),
  });
  const stop = new AbortController();
  const common = { kube, log, signal: stop.signal };
  const caches = [
    keepCache({ ...common, type: CODE_RUNS, store: stores.runs }),
    keepCache({ ...common, type: PODS, store: stores.pods, labelSelector: LABEL_SANDBOX }),
    keepCache({ ...common, type: SANDBOX_CLASSES, store: stores.classes }),
    keepCache({ ...common, type: NETWORK_POLICIES, store: stores.policies, labelSelector: MANAGED }),
  ];
  const role = { config, kube, stores, log, register };
  const lead = oncePerLeadership(role);
  try {
    await elector(role).run(lead, signal);
  } finally {
    stop.abort();
    await Promise.allSettled(caches);
    health.close();
  }
}

function elector({ config, kube, log, register }: Role): LeaderElector {
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

/** What a leader does, for as long as it is one. The metrics are registered once, since a process leads once. */
function oncePerLeadership(role: Role) {
  const { config, kube, stores, log, register } = role;
  return async (signal: AbortSignal, epoch: number): Promise<void> => {
    const queue = new WorkQueue({
      clock: systemClock,
      random: Math.random,
      laneOf: (key) => splitKey(key).namespace ?? '',
      metrics: workQueueMetrics(register, 'coderun'),
    });
    workQueueGauges(register, 'coderun', queue);
    const channels = new Channels({
      attach: (namespace, pod, abort) => kube.attach(namespace, pod, CONTAINER, abort),
      now: systemClock.now,
      helloTimeout: () => AbortSignal.timeout(HELLO_TIMEOUT_MILLISECONDS),
    });
    observedGauge(register, 'coderun_sandbox_channels', 'Channels held open to sandboxes.', () => channels.size);
    const deps: CodeRunDeps = {
      kube,
      stores,
      channels,
      clock: systemClock,
      events: eventRecorder(kube, systemClock, log, config.POD_NAME),
      metrics: runMetrics(register),
      log,
      settings: {
        pendingTimeoutSeconds: config.CODERUN_PENDING_TIMEOUT_SECONDS,
        imagePullGraceSeconds: config.CODERUN_IMAGE_PULL_GRACE_SECONDS,
        timeoutGraceSeconds: config.CODERUN_TIMEOUT_GRACE_SECONDS,
      },
      agentCommand: agentCommand(agentSource()),
      epoch,
      wake: (key) => queue.add(key),
    };
    const controller = new Controller({
      name: 'coderun',
      queue,
      sources: [
        changesOf(stores.runs, ({ object }) => [keyOf(object)]),
        changesOf(stores.pods, ({ object }) => [runKeyOf(object) ?? []].flat()),
      ],
      caches: [stores.classes, stores.policies],
      reconcile: codeRunReconciler(deps),
      isConflict: (error) => isConflict(error) || isNotFound(error),
      workers: config.CODERUN_WORKERS,
      clock: systemClock,
      logger: log,
      metrics: controllerMetrics(register, 'coderun'),
    });
    try {
      await controller.run(signal);
    } finally {
      channels.closeAll();
    }
  };
}
