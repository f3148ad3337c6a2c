/** What a leader does, for as long as it is one: a controller for each kind of object, and the channels that they share. */

import type { Pod } from '../api/object.ts';
import { SESSION_REASONS, type SessionState } from '../api/session-reasons.ts';
import type { Config } from '../config.ts';
import { Admission, sessionAt } from '../controllers/admission.ts';
import { batchKeyOf, batchReconciler, concernsBatch } from '../controllers/batch.ts';
import { type CodeRunDeps, codeRunReconciler } from '../controllers/coderun.ts';
import { eventRecorder } from '../controllers/events.ts';
import { classOf } from '../controllers/gather.ts';
import { poolReconciler } from '../controllers/pool.ts';
import { type SessionDeps, sessionReconciler } from '../controllers/session.ts';
import type { Stores } from '../controllers/stores.ts';
import { type Claimant, poolKeyOf, WaitingSandboxes } from '../controllers/waiting.ts';
import { runsByPod, runsByRun, runsBySession, sessionsByPod } from '../controllers/wakes.ts';
import { CONTAINER } from '../core/pod.ts';
import { sessionReasonOf } from '../core/session-status.ts';
import { isConflict, isNotFound } from '../kube/error.ts';
import type { Kube } from '../kube/port.ts';
import { systemClock } from '../runtime/clock.ts';
import { Controller, type ControllerMetrics, changesOf, type Reconciler, type Source } from '../runtime/controller.ts';
import { joinKey, keyOf, splitKey } from '../runtime/keys.ts';
import { WorkQueue } from '../runtime/workqueue.ts';
import { agentCommand, agentSource, agentVersion } from '../sandbox/agent.ts';
import { Channels } from '../sandbox/channels.ts';
import { controllerMetrics } from '../telemetry/controller-metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type createRegistry, observedGauge, runMetrics, sessionMetrics } from '../telemetry/metrics.ts';
import { workQueueMetrics } from '../telemetry/workqueue-metrics.ts';

export interface ControllerRole {
  config: Config;
  kube: Kube;
  stores: Stores;
  log: Logger;
  register: ReturnType<typeof createRegistry>;
}

const HELLO_TIMEOUT_MILLISECONDS = 30_000;
const SESSION_WORKERS = 8;
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
  const sessions = queueOf('replsession');
  const queues = { CodeRun: runs, ReplSession: sessions };
  const pools = queueOf('sandboxpool');
  const channels = new Channels({
    attach: (namespace, pod, abort) => kube.attach(namespace, pod, CONTAINER, abort),
    now: systemClock.now,
    helloTimeout: () => AbortSignal.timeout(HELLO_TIMEOUT_MILLISECONDS),
  });
  observedGauge(register, 'coderun_sandbox_channels', 'Channels held open to sandboxes.', () => channels.size);
  const command = agentCommand(agentSource());
  const version = agentVersion(command);
  const waiting = new WaitingSandboxes(stores, channels, systemClock, version);
  const admission = new Admission({
    maxStarting: config.CODERUN_MAX_STARTING,
    runs: () => stores.runs.list(),
    sessions: () => stores.sessions.list(),
    defaultClass: () => classOf(stores.classes.list(), undefined)?.metadata.name,
    wake: (place) => {
      const session = sessionAt(place);
      if (session === undefined) runs.add(place);
      else sessions.add(session);
    },
  });
  const queuedHelp = 'CodeRuns and ReplSessions that wait for a sandbox.';
  observedGauge(register, 'coderun_runs_queued', queuedHelp, () => admission.queued);
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
    agentCommand: command,
    agentVersion: version,
    epoch,
    wake: (key) => runs.add(key),
    wakePod: (pod) => wakePod(pod),
  };
  const sessionDeps: SessionDeps = {
    ...deps,
    metrics: sessionMetrics(register, () => countSessions(stores)),
    wake: (key) => sessions.add(key),
  };
  /** Whoever has a sandbox, by a claim or by what it was made for, looks at it again; its pool counts it. */
  const wakePod = (pod: Pod): void => {
    const promised = waiting.promisedTo(pod.metadata.uid);
    if (promised) queues[promised.kind].add(promised.key);
    for (const key of runsByPod(stores, pod)) runs.add(key);
    for (const key of sessionsByPod(stores, pod)) sessions.add(key);
    const pool = poolKeyOf(pod);
    if (pool !== undefined) pools.add(pool);
  };
  /** Whoever waits for the pod to be made another size. */
  const promisedTo = (kind: Claimant['kind'], pod: Pod): string[] => {
    const promised = waiting.promisedTo(pod.metadata.uid);
    return promised?.kind === kind ? [promised.key] : [];
  };
  const poolDeps = {
    ...deps,
    maxStarting: config.CODERUN_POOL_STARTING,
    pendingTimeoutSeconds,
    sandboxReady: (namespace: string, count: number) => admission.wakeFor(namespace, count),
  };
  /** The pool whose sandbox a run or a session has or had. */
  const poolsOf = ({ metadata, status }: Claimant): string[] => {
    const pod = stores.pods.get(joinKey(metadata.namespace, status?.sandbox?.podName ?? ''));
    return [(pod && poolKeyOf(pod)) ?? []].flat();
  };
  const metrics = controllerMetrics(register);
  const controllers = [
    controllerOf(role, metrics('coderun'), {
      name: 'coderun',
      queue: runs,
      reconcile: codeRunReconciler(deps),
      workers: config.CODERUN_WORKERS,
      sources: [
        changesOf(stores.runs, (change) => runsByRun(stores, change)),
        changesOf(stores.pods, ({ object }) => [...promisedTo('CodeRun', object), ...runsByPod(stores, object)]),
        changesOf(stores.sessions, ({ object }) => runsBySession(stores, object)),
      ],
    }),
    controllerOf(role, metrics('replsession'), {
      name: 'replsession',
      queue: sessions,
      reconcile: sessionReconciler(sessionDeps),
      workers: SESSION_WORKERS,
      sources: [
        changesOf(stores.sessions, ({ object }) => [keyOf(object)]),
        changesOf(stores.pods, ({ object }) => [
          ...promisedTo('ReplSession', object),
          ...sessionsByPod(stores, object),
        ]),
      ],
    }),
    controllerOf(role, metrics('sandboxpool'), {
      name: 'sandboxpool',
      queue: pools,
      reconcile: poolReconciler(poolDeps),
      workers: POOL_WORKERS,
      sources: [
        changesOf(stores.pools, ({ object }) => [keyOf(object)]),
        changesOf(stores.pods, ({ object }) => [poolKeyOf(object) ?? []].flat()),
        changesOf(stores.runs, ({ type, object }) => (type === 'DELETED' ? poolsOf(object) : [])),
        changesOf(stores.sessions, ({ type, object }) => (type === 'DELETED' ? poolsOf(object) : [])),
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

function countSessions({ sessions }: Stores): Record<SessionState, number> {
  const counts = { starting: 0, ready: 0, ended: 0 };
  for (const session of sessions.list()) counts[SESSION_REASONS[sessionReasonOf(session) ?? 'Queued'].state]++;
  return counts;
}

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
