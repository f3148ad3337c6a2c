/**
 * `npm run bench`: how long things take in the cluster of `npm run cluster -- env`, beside the floors that Kubernetes and
 * gVisor set, measured in the same minutes. Prints a table, and the same as JSON on the last line. Bounded: a few hundred
 * pods, at most twenty at a time.
 */

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CodeRun } from '../../src/api/coderun.ts';
import { API_VERSION, CODE_RUNS, SANDBOX_CLASSES, SANDBOX_NAMESPACE, SANDBOX_POOLS } from '../../src/api/group.ts';
import type { Pod } from '../../src/api/object.ts';
import { isFinalReason } from '../../src/api/reasons.ts';
import type { SandboxClass } from '../../src/api/sandboxclass.ts';
import type { SandboxPool } from '../../src/api/sandboxpool.ts';
import { reasonOf } from '../../src/core/coderun.ts';
import { createKube } from '../../src/kube/client.ts';
import { kubeconfigCredentials } from '../../src/kube/config.ts';
import { isAlreadyExists } from '../../src/kube/error.ts';
import { PODS } from '../../src/kube/resources.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { figuresOf, measure, type Row } from './measure.ts';
import { Watcher } from './watcher.ts';

const COLD_CLASS = 'bench-cold';
/** A pool writes its counts at most this often, in milliseconds. */
const STATUS_INTERVAL = 6000;
const kube = createKube(await kubeconfigCredentials({}, systemClock), { userAgent: 'coderun-bench' });
const runs = await Watcher.open<CodeRun>(kube, CODE_RUNS, SANDBOX_NAMESPACE);
const pods = await Watcher.open<Pod>(kube, PODS, 'default');

const freshName = (): string => `bench-${randomBytes(4).toString('hex')}`;

const isFinished = (run: CodeRun): boolean => {
  const reason = reasonOf(run);
  return reason !== undefined && isFinalReason(reason);
};

/** From the creation of a CodeRun until a watch shows its result. Fails where it did not run as it was meant to. */
async function timeOfRun(isWarm: boolean): Promise<number> {
  const name = freshName();
  const finished = runs.until(name, isFinished);
  const spec = { code: 'print(1)', ttlSecondsAfterFinished: 30, ...(!isWarm && { className: COLD_CLASS }) };
  const started = performance.now();
  await kube.create(CODE_RUNS, {
    apiVersion: API_VERSION,
    kind: 'CodeRun',
    metadata: { name, namespace: SANDBOX_NAMESPACE },
    ...{ spec },
  });
  const { status } = await finished;
  const milliseconds = performance.now() - started;
  if (status?.stdout !== '1\n' || status.sandbox?.warm !== isWarm)
    throw new Error(`unexpected: ${JSON.stringify(status)}`);
  return milliseconds;
}

/** The least that a pod can be: the image of the sandbox, asleep under gVisor. */
async function timeOfBarePod(image: string): Promise<number> {
  const name = freshName();
  const running = pods.until(name, ({ status }) => status?.phase === 'Running');
  const container = { name: 'bare', image, command: ['sleep', '60'] };
  const spec = {
    runtimeClassName: 'gvisor',
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 0,
    containers: [container],
  };
  const started = performance.now();
  await kube.create(PODS, { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default' }, ...{ spec } });
  try {
    await running;
    return performance.now() - started;
  } finally {
    await kube.delete(PODS, 'default', name, { gracePeriodSeconds: 0 });
  }
}

async function timeOverHttp(): Promise<number> {
  const url = process.env['CODERUN_URL'] ?? 'http://127.0.0.1:8080';
  const body = JSON.stringify({ code: 'print(1)' });
  const started = performance.now();
  const response = await fetch(`${url}/execute`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  const answer = (await response.json()) as { stdout?: string };
  if (answer.stdout !== '1\n') throw new Error(`POST /execute answered ${response.status}`);
  return performance.now() - started;
}

/** A write as small as the claim of a run. */
async function timeOfStatusWrite(): Promise<number> {
  const started = performance.now();
  await kube.patch(
    SANDBOX_POOLS,
    SANDBOX_NAMESPACE,
    'default',
    { metadata: { annotations: { 'coderun.dev/bench': freshName() } } },
    { strategy: 'merge' },
  );
  return performance.now() - started;
}

/** Resolves once `count` sandboxes wait in the default pool, by a status that is newer than what went before. */
async function untilWaiting(count: number): Promise<void> {
  await sleep(STATUS_INTERVAL);
  for (;;) {
    const { status } = await kube.get<SandboxPool>(SANDBOX_POOLS, SANDBOX_NAMESPACE, 'default');
    if ((status?.ready ?? 0) >= count) return;
    await sleep(100);
  }
}

const scaleTo = (replicas: number) =>
  kube.patch(SANDBOX_POOLS, SANDBOX_NAMESPACE, 'default', { spec: { replicas } }, { strategy: 'merge' });

/** A burst of as many runs as sandboxes wait: how long until all are done. */
async function timeOfBurst(size: number): Promise<number> {
  const started = performance.now();
  await Promise.all(Array.from({ length: size }, () => timeOfRun(true)));
  return performance.now() - started;
}

async function main(): Promise<Row[]> {
  const { spec } = await kube.get<SandboxClass>(SANDBOX_CLASSES, undefined, 'default');
  const cold = { apiVersion: API_VERSION, kind: 'SandboxClass', metadata: { name: COLD_CLASS }, ...{ spec } };
  await kube.create(SANDBOX_CLASSES, cold).catch((error: unknown) => {
    if (!isAlreadyExists(error)) throw error;
  });
  // The kubelet looks at its pods once a second: samples must not fall into step with it.
  const apart = () => sleep(500 + Math.random() * 1000);
  // The sandbox before is down, and another waits in its place.
  const alone = () => sleep(2000 + Math.random() * 1000);
  const rows: Row[] = [];
  const add = (row: Row) => {
    rows.push(row);
    process.stderr.write(`${row.what}: p50 ${row.p50} ms\n`);
  };
  add(await measure('status-sized write', 50, timeOfStatusWrite, () => sleep(20)));
  add(await measure('bare gVisor pod, create → Running seen', 15, () => timeOfBarePod(spec.image), apart));
  add(await measure('cold CodeRun, create → result seen', 15, () => timeOfRun(false), apart));
  add(await measure('warm CodeRun, create → result seen', 30, () => timeOfRun(true), alone));
  add(await measure('POST /execute, warm', 30, timeOverHttp, alone));
  const burst = 20;
  await scaleTo(burst);
  const bursts: number[] = [];
  for (let i = 0; i < 5; i++) {
    await untilWaiting(burst);
    await sleep(2000);
    bursts.push(await timeOfBurst(burst));
  }
  add(figuresOf(`burst of ${burst} on a pool of ${burst}, until all are done`, bursts));
  await scaleTo(4);
  await kube.delete(SANDBOX_CLASSES, undefined, COLD_CLASS);
  return rows;
}

try {
  const rows = await main();
  console.table(rows);
  process.stdout.write(`${JSON.stringify(rows)}\n`);
} finally {
  runs.close();
  pods.close();
  await kube.close();
}
