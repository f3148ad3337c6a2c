/**
 * `npm run bench`: how long things take on the cluster of `npm run cluster -- env`, beside the floor that Kubernetes and
 * gVisor set. Prints a table, and the same as JSON on the last line. Bounded: some fifty pods, one after the other.
 */

import { randomBytes } from 'node:crypto';
import type { CodeRun } from '../../src/api/coderun.ts';
import type { ResourceType } from '../../src/api/group.ts';
import { API_VERSION, CODE_RUNS, SANDBOX_CLASSES, SANDBOX_NAMESPACE } from '../../src/api/group.ts';
import type { KubernetesObject, Pod } from '../../src/api/object.ts';
import { isFinalReason } from '../../src/api/reasons.ts';
import type { SandboxClass } from '../../src/api/sandboxclass.ts';
import { reasonOf } from '../../src/core/coderun.ts';
import { createKube } from '../../src/kube/client.ts';
import { kubeconfigCredentials } from '../../src/kube/config.ts';
import { PODS } from '../../src/kube/resources.ts';
import { systemClock } from '../../src/runtime/clock.ts';

const RUNS = 25;
const kube = createKube(await kubeconfigCredentials({}, systemClock), { userAgent: 'coderun-bench' });

/** Milliseconds from the creation of `object` until a watch shows it as `done`. */
async function timeUntil<T extends KubernetesObject>(
  type: ResourceType,
  object: object,
  namespace: string,
  done: (seen: T) => boolean,
) {
  const abort = new AbortController();
  const started = performance.now();
  const created = await kube.create<T>(type, { ...object } as Parameters<typeof kube.create>[1]);
  const { name, resourceVersion } = created.metadata;
  const options = {
    namespace,
    fieldSelector: `metadata.name=${name}`,
    resourceVersion,
    timeoutSeconds: 60,
    signal: abort.signal,
  };
  for await (const event of kube.watch<T>(type, options)) {
    if (event.type === 'BOOKMARK' || !done(event.object)) continue;
    const milliseconds = performance.now() - started;
    abort.abort();
    return { object: event.object, milliseconds };
  }
  throw new Error(`the watch of ${type.plural} ended before ${name} was done`);
}

const isFinished = (run: CodeRun): boolean => {
  const reason = reasonOf(run);
  return reason !== undefined && isFinalReason(reason);
};

async function coldRun(): Promise<number> {
  const metadata = { name: `bench-${randomBytes(4).toString('hex')}`, namespace: SANDBOX_NAMESPACE };
  const object = {
    apiVersion: API_VERSION,
    kind: 'CodeRun',
    metadata,
    spec: { code: 'print(1)', ttlSecondsAfterFinished: 0 },
  };
  const { milliseconds } = await timeUntil<CodeRun>(CODE_RUNS, object, SANDBOX_NAMESPACE, isFinished);
  return milliseconds;
}

/** The least that a pod can be: the image of the sandbox, asleep under gVisor. */
async function barePod(): Promise<number> {
  const { spec } = await kube.get<SandboxClass>(SANDBOX_CLASSES, undefined, 'default');
  const name = `bench-${randomBytes(4).toString('hex')}`;
  const container = { name: 'bare', image: spec.image, command: ['sleep', '60'] };
  const object = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: {
      runtimeClassName: 'gvisor',
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 0,
      containers: [container],
    },
  };
  const isRunning = (pod: Pod) => pod.status?.phase === 'Running';
  try {
    return (await timeUntil<Pod>(PODS, object, 'default', isRunning)).milliseconds;
  } finally {
    await kube.delete(PODS, 'default', name, { gracePeriodSeconds: 0 });
  }
}

async function overHttp(): Promise<number> {
  const url = process.env['CODERUN_URL'] ?? 'http://127.0.0.1:8080';
  const started = performance.now();
  const body = JSON.stringify({ code: 'print(1)' });
  const response = await fetch(`${url}/execute`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  const answer = (await response.json()) as { stdout?: string };
  if (answer.stdout !== '1\n') throw new Error(`POST /execute answered ${response.status}`);
  return performance.now() - started;
}

async function measure(what: string, once: () => Promise<number>) {
  await once();
  const all: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    all.push(await once());
    // The kubelet looks at its pods once a second: samples must not fall into step with it.
    await systemClock.sleep(Math.random() * 1000);
  }
  all.sort((a, b) => a - b);
  const at = (share: number) => Math.round(all[Math.min(all.length - 1, Math.floor(share * all.length))] ?? Number.NaN);
  return { what, n: all.length, min: at(0), p50: at(0.5), p95: at(0.95), max: at(1) };
}

const rows = [
  await measure('bare gVisor pod, create → Running seen', barePod),
  await measure('cold CodeRun, create → Succeeded seen', coldRun),
  await measure('POST /execute, cold', overHttp),
];
console.table(rows);
process.stdout.write(`${JSON.stringify(rows)}\n`);
await kube.close();
