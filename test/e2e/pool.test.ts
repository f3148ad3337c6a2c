import { beforeAll, describe, expect, test } from 'vitest';
import { API_VERSION, CODE_RUNS, LABEL_POOL, LABEL_RUN, SANDBOX_CLASSES, SANDBOX_POOLS } from '../../src/api/group.ts';
import type { Pod } from '../../src/api/object.ts';
import type { SandboxClass } from '../../src/api/sandboxclass.ts';
import type { SandboxPool } from '../../src/api/sandboxpool.ts';
import { PODS } from '../../src/kube/resources.ts';
import {
  createRun,
  eventually,
  hasReason,
  isFinished,
  journalOf,
  kube,
  newClass,
  newNamespace,
  podOf,
  runToEnd,
  until,
} from './support.ts';

const namespace = await newNamespace();
const className = await newClass({});
const REPLICAS = 2;

const pool = (): Promise<SandboxPool> => kube.get<SandboxPool>(SANDBOX_POOLS, namespace, 'warm');

const usualResources = async () => (await kube.get<SandboxClass>(SANDBOX_CLASSES, undefined, className)).spec.resources;

/** Pods that no run was given yet, by what their agents have said: labels and status tell it a second later. */
const waitingPods = async (): Promise<Pod[]> => {
  const { items } = await kube.list<Pod>(PODS, { namespace, labelSelector: `${LABEL_POOL}=warm,!${LABEL_RUN}` });
  const said = await Promise.all(items.map((pod) => journalOf(pod)));
  return items.filter(
    ({ metadata }, i) => !metadata.deletionTimestamp && said[i]?.includes('"hello"') && !said[i]?.includes('"started"'),
  );
};

/** As many sandboxes wait as are asked for, and no more. */
const untilFull = (replicas = REPLICAS): Promise<SandboxPool> =>
  eventually(async () => {
    const { metadata, status } = await pool();
    const isCurrent = status?.observedGeneration === metadata.generation && status?.ready === replicas;
    return isCurrent && (await waitingPods()).length === replicas && (await pool());
  }, 60);

beforeAll(async () => {
  const spec = { className, replicas: REPLICAS };
  await kube.create(SANDBOX_POOLS, {
    apiVersion: API_VERSION,
    kind: 'SandboxPool',
    metadata: { name: 'warm', namespace },
    ...{ spec },
  });
  await untilFull();
});

describe('a pool', () => {
  test('is ready when its sandboxes wait', async () => {
    expect((await untilFull()).status?.conditions).toMatchObject([{ type: 'Ready', status: 'True', reason: 'Ready' }]);
  });

  test('gives a run a sandbox that waits, and each run another', async () => {
    await untilFull();
    const [one, two] = await Promise.all([1, 2].map((i) => runToEnd(namespace, { code: `print(${i})`, className })));
    expect([one?.status?.stdout, two?.status?.stdout]).toEqual(['1\n', '2\n']);
    expect([one?.status?.sandbox?.warm, two?.status?.sandbox?.warm]).toEqual([true, true]);
    expect(one?.status?.sandbox?.podUID).not.toBe(two?.status?.sandbox?.podUID);
  });

  test("gives the pod away with the sandbox: it is the run's own, with its deadline", async () => {
    await untilFull();
    const run = await until(
      await createRun(namespace, { code: 'import time; time.sleep(30)', className, timeoutSeconds: 60 }),
      hasReason('Running'),
    );
    const pod = await eventually(async () => {
      const found = await podOf(run);
      return found.metadata.labels?.[LABEL_RUN] === run.metadata.uid && found;
    });
    expect(pod.metadata.ownerReferences).toMatchObject([{ kind: 'CodeRun', uid: run.metadata.uid, controller: true }]);
    expect(pod.spec.activeDeadlineSeconds).toBeLessThan(200);
    await kube.delete(CODE_RUNS, namespace, run.metadata.name);
  });

  test('is filled again after a run', async () => {
    await runToEnd(namespace, { code: '1', className });
    await untilFull();
  });

  test('makes a sandbox larger for a run that asks for more, and that holds', async () => {
    await untilFull();
    const code = 'held = bytearray(800 << 20); held[::4096] = b"1" * len(held[::4096]); print(len(held) >> 20)';
    const run = await runToEnd(namespace, { code, className, resources: { memory: '1Gi' } });
    expect(run.status).toMatchObject({ stdout: '800\n', sandbox: { warm: true } });
    const small = await runToEnd(namespace, { code, className });
    expect(small.status?.conditions).toMatchObject([{ reason: 'OutOfMemory' }]);
  });

  test('starts a run cold that its sandboxes can not be resized for', async () => {
    // What is guaranteed to a pod can't be made burstable.
    const small = { default: { cpu: '100m', memory: '128Mi' }, requests: {} };
    const own = await newClass({ resources: { ...(await usualResources()), ...small } });
    const metadata = { name: 'guaranteed', namespace };
    const object = { apiVersion: API_VERSION, kind: 'SandboxPool', metadata, spec: { className: own, replicas: 1 } };
    await kube.create(SANDBOX_POOLS, object);
    await eventually(
      async () => (await kube.get<SandboxPool>(SANDBOX_POOLS, namespace, 'guaranteed')).status?.ready === 1,
    );
    const run = await runToEnd(namespace, { code: 'print(1)', className: own, resources: { memory: '1Gi' } });
    expect(run.status).toMatchObject({ stdout: '1\n', sandbox: { warm: false } });
    await kube.delete(SANDBOX_POOLS, namespace, 'guaranteed');
  });

  test('replaces a sandbox that somebody deleted', async () => {
    await untilFull();
    const [pod] = await waitingPods();
    await kube.delete(PODS, namespace, pod?.metadata.name ?? '', { gracePeriodSeconds: 0 });
    await eventually(async () => (await waitingPods()).every(({ metadata }) => metadata.uid !== pod?.metadata.uid));
    await untilFull();
  });

  test('is scaled up and down', async () => {
    await kube.patch(SANDBOX_POOLS, namespace, 'warm', { spec: { replicas: 3 } }, { strategy: 'merge' });
    await untilFull(3);
    await kube.patch(SANDBOX_POOLS, namespace, 'warm', { spec: { replicas: REPLICAS } }, { strategy: 'merge' });
    await untilFull();
  });

  test('replaces all of its sandboxes when their class changes', async () => {
    const before = (await untilFull()) && (await waitingPods()).map(({ metadata }) => metadata.uid);
    await kube.patch<SandboxClass>(
      SANDBOX_CLASSES,
      undefined,
      className,
      { spec: { preload: ['json'] } },
      { strategy: 'merge' },
    );
    await eventually(async () => (await waitingPods()).every(({ metadata }) => !before.includes(metadata.uid)), 60);
    await untilFull();
  });

  test('runs many at once, warm while there are sandboxes and cold after that', async () => {
    await untilFull();
    const runs = await Promise.all(
      Array.from({ length: 6 }, (_, i) => runToEnd(namespace, { code: `print(${i})`, className }, 120)),
    );
    expect(runs.map(({ status }) => status?.stdout)).toEqual(runs.map((_, i) => `${i}\n`));
    const pods = new Set(runs.map(({ status }) => status?.sandbox?.podUID));
    expect(pods.size).toBe(runs.length);
    await untilFull();
  });

  test('says why it is not ready where its class is gone', async () => {
    const spec = { className: 'no-such-class', replicas: 1 };
    await kube.create(SANDBOX_POOLS, {
      apiVersion: API_VERSION,
      kind: 'SandboxPool',
      metadata: { name: 'lost', namespace },
      ...{ spec },
    });
    const lost = await eventually(async () => {
      const found = await kube.get<SandboxPool>(SANDBOX_POOLS, namespace, 'lost');
      return found.status && found;
    });
    expect(lost.status?.conditions).toMatchObject([{ status: 'False', reason: 'ClassNotFound' }]);
  });
});

test('a run that is cancelled in a sandbox of a pool ends, and its sandbox is not used again', async () => {
  await untilFull();
  const run = await until(
    await createRun(namespace, { code: 'print("a", flush=True); import time; time.sleep(60)', className }),
    hasReason('Running'),
  );
  await kube.patch(CODE_RUNS, namespace, run.metadata.name, { spec: { cancelled: true } }, { strategy: 'merge' });
  const ended = await until(run, isFinished);
  expect(ended.status?.conditions?.[0]?.reason).toBe('Cancelled');
  const next = await runToEnd(namespace, { code: 'print(2)', className });
  expect(next.status?.sandbox?.podUID).not.toBe(run.status?.sandbox?.podUID);
});
