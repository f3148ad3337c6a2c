/** What a leader does, for as long as it is one: the controllers of CodeRuns, CodeBatches and SandboxPools, and their channels. */

import type { CodeRun } from '../api/coderun.ts';
import type { Pod } from '../api/object.ts';
import type { Config } from '../config.ts';
import { Admission } from '../controllers/admission.ts';
import { batchKeyOf, batchReconciler, concernsBatch } from '../controllers/batch.ts';
import { type CodeRunDeps, codeRunReconciler, runKeyOf } from '../controllers/coderun.ts';
import { eventRecorder } from '../controllers/events.ts';
import { poolReconciler } from '../controllers/pool.ts';
import type { Stores } from '../controllers/stores.ts';
import { poolKeyOf, RUNS_BY_POD, WaitingSandboxes } from '../controllers/waiting.ts';
import { CONTAINER } from '../core/pod.ts';
import { isConflict, isNotFound } from '../kube/error.ts';
import type { Kube } from '../kube/port.ts';
import { systemClock } from '../runtime/clock.ts';
import { Controller, type ControllerMetrics, changesOf, type Reconciler, type Source } from '../runtime/controller.ts';
import { joinKey, keyOf, splitKey } from '../runtime/keys.ts';
import { WorkQueue } from '../runtime/workqueue.ts';
import { agentCommand, agentSource } from '../sandbox/agent.ts';
import { Channels } from '../sandbox/channels.ts';
import { controllerMetrics } from '../telemetry/controller-metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type createRegistry, observedGauge, runMetrics } from '../telemetry/metrics.ts';
import { workQueueMetrics } from '../telemetry/workqueue-metrics.ts';

export interface ControllerRole {
  config: Config;
  kube: Kube;
  stores: Stores;
  log: Logger;
  register: ReturnType<typeof createRegistry>;
}

const HELLO_TIMEOUT_MILLISECONDS = 30_000;
const POOL_WORKERS = 4;
const BATCH_WORKERS = 2;

/** To be called once a process: the metrics are registered by it. Resolves when `signal` has aborted and all is drained. */
export const leadership = (role: ControllerRole) => async (signal: AbortSignal, epoch: number) => {
  const { config, kube, stores, log, register } = role;
  const queueMetrics = workQueueMetrics(register);
  const queueOf = (name: string): WorkQueue => {
    const laneOf = (key: string) => splitKey(key).namespace ?? '';
    const queue = new WorkQueue({ clock: systemClock, random: Math.random, laneOf, metrics: queueMetrics.of(name) });
    queueMetrics.watch(name, queue);
    return queue;
  };
  const runs = queueOf('coderun');
  const pools = queueOf('sandboxpool');
  const channels = new Channels({
    attach: (namespace, pod, abort) => kube.attach(namespace, pod, CONTAINER, abort),
    now: systemClock.now,
    helloTimeout: () => AbortSignal.timeout(HELLO_TIMEOUT_MILLISECONDS),
  });
  observedGauge(register, 'coderun_sandbox_channels', 'Channels held open to sandboxes.', () => channels.size);
  const waiting = new WaitingSandboxes(stores, channels, systemClock.monotonic);
  const admission = new Admission({
    maxStarting: config.CODERUN_MAX_STARTING,
    runs: () => stores.runs.list(),
    wake: (key) => runs.add(key),
  });
  observedGauge(register, 'coderun_runs_queued', 'CodeRuns that wait for a sandbox.', () => admission.queued);
  const pendingTimeoutSeconds = config.CODERUN_PENDING_TIMEOUT_SECONDS;
  const deps: CodeRunDeps = {
    kube,
    stores,
    channels,
    waiting,
    admission,
    clock: systemClock,
    events: eventRecorder(kube, systemClock, log, config.POD_NAME),
    metrics: runMetrics(register),
    log,
    settings: {
      pendingTimeoutSeconds,
      imagePullGraceSeconds: config.CODERUN_IMAGE_PULL_GRACE_SECONDS,
      timeoutGraceSeconds: config.CODERUN_TIMEOUT_GRACE_SECONDS,
    },
    agentCommand: agentCommand(agentSource()),
    epoch,
    wake: (key) => runs.add(key),
    wakePod: (pod) => wakePod(pod),
  };
  /** Whoever has a sandbox, by its claim or by what it was made for, looks at it again; its pool counts it. */
  const wakePod = (pod: Pod): void => {
    const { uid } = pod.metadata;
    const claimants = [waiting.promisedTo(uid), runKeyOf(pod), ...stores.runs.by(RUNS_BY_POD, uid).map(keyOf)];
    for (const key of new Set(claimants)) if (key !== undefined) runs.add(key);
    const pool = poolKeyOf(pod);
    if (pool !== undefined) pools.add(pool);
  };
  const poolDeps = {
    ...deps,
    maxStarting: config.CODERUN_POOL_STARTING,
    pendingTimeoutSeconds,
    sandboxReady: (namespace: string, count: number) => admission.wakeFor(namespace, count),
  };
  /** The pool whose sandbox a run has or had. */
  const poolsOf = ({ metadata, status }: CodeRun): string[] => {
    const pod = stores.pods.get(joinKey(metadata.namespace, status?.sandbox?.podName ?? ''));
    return [(pod && poolKeyOf(pod)) ?? []].flat();
  };
  const podChanges = (keysOf: (pod: Pod) => (string | undefined)[]): Source =>
    changesOf(stores.pods, ({ object }) => keysOf(object).filter((key) => key !== undefined));
  const metrics = controllerMetrics(register);
  const controllers = [
    controllerOf(role, metrics('coderun'), {
      name: 'coderun',
      queue: runs,
      reconcile: codeRunReconciler(deps),
      workers: config.CODERUN_WORKERS,
      sources: [
        changesOf(stores.runs, ({ object }) => [keyOf(object)]),
        podChanges((pod) => [runKeyOf(pod), ...stores.runs.by(RUNS_BY_POD, pod.metadata.uid).map(keyOf)]),
      ],
    }),
    controllerOf(role, metrics('sandboxpool'), {
      name: 'sandboxpool',
      queue: pools,
      reconcile: poolReconciler(poolDeps),
      workers: POOL_WORKERS,
      sources: [
        changesOf(stores.pools, ({ object }) => [keyOf(object)]),
        podChanges((pod) => [poolKeyOf(pod)]),
        changesOf(stores.runs, ({ type, object }) => (type === 'DELETED' ? poolsOf(object) : [])),
        changesOf(stores.classes, () => stores.pools.list().map(keyOf)),
        changesOf(stores.services, () => stores.pools.list().map(keyOf)),
      ],
    }),
    controllerOf(role, metrics('codebatch'), {
      name: 'codebatch',
      queue: queueOf('codebatch'),
      reconcile: batchReconciler(deps),
      workers: BATCH_WORKERS,
      sources: [
        changesOf(stores.batches, ({ object }) => [keyOf(object)]),
        changesOf(stores.runs, (change) => (concernsBatch(change) ? [batchKeyOf(change.object) ?? []].flat() : [])),
      ],
    }),
  ];
  try {
    await Promise.all(controllers.map((controller) => controller.run(signal)));
  } finally {
    channels.closeAll();
  }
};

interface ControllerParts {
  name: string;
  queue: WorkQueue;
  reconcile: Reconciler;
  workers: number;
  sources: Source[];
}

function controllerOf({ stores, log }: ControllerRole, metrics: ControllerMetrics, parts: ControllerParts): Controller {
  return new Controller({
    ...parts,
    caches: Object.values(stores),
    // What was deleted meanwhile is as stale as what was changed.
    isConflict: (error) => isConflict(error) || isNotFound(error),
    clock: systemClock,
    logger: log,
    metrics,
  });
}
