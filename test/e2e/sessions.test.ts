import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { CodeRun, CodeRunSpecInput } from '../../src/api/coderun.ts';
import {
  API_VERSION,
  CODE_RUNS,
  LABEL_SESSION,
  REPL_SESSIONS,
  SANDBOX_POOLS,
  SYSTEM_NAMESPACE,
} from '../../src/api/group.ts';
import type { Pod } from '../../src/api/object.ts';
import type { ReplSession, ReplSessionSpecInput } from '../../src/api/replsession.ts';
import type { SandboxPool } from '../../src/api/sandboxpool.ts';
import type { SessionReason } from '../../src/api/session-reasons.ts';
import { reasonOf } from '../../src/core/coderun.ts';
import { isEndedSession, sessionReasonOf } from '../../src/core/session-status.ts';
import { isNotFound } from '../../src/kube/error.ts';
import { PODS } from '../../src/kube/resources.ts';
import { createRun, eventually, hasReason, isFinished, kube, newClass, newNamespace, podOf, until } from './support.ts';

const namespace = await newNamespace();

const read = (name: string): Promise<ReplSession> => kube.get<ReplSession>(REPL_SESSIONS, namespace, name);

async function untilSession(name: string, wanted: (session: ReplSession) => boolean, seconds = 60) {
  return eventually(async () => {
    const session = await read(name);
    return wanted(session) && session;
  }, seconds);
}

const is =
  (...reasons: SessionReason[]) =>
  (session: ReplSession): boolean => {
    const reason = sessionReasonOf(session);
    return reason !== undefined && reasons.includes(reason);
  };

/** A session that is ready. */
async function createSession(name: string, spec: Partial<ReplSessionSpecInput> = {}): Promise<ReplSession> {
  await kube.create(REPL_SESSIONS, {
    apiVersion: API_VERSION,
    kind: 'ReplSession',
    metadata: { name, namespace },
    ...{ spec },
  });
  const session = await untilSession(name, (found) => is('Ready')(found) || isEndedSession(found));
  expect(session.status?.conditions).toMatchObject([{ type: 'Ready', status: 'True', reason: 'Ready' }]);
  return session;
}

const terminate = (name: string) =>
  kube.patch(REPL_SESSIONS, namespace, name, { spec: { terminated: true } }, { strategy: 'merge' });

/** Has `code` executed in a session, to its end. */
async function execute(session: string, code: string, spec: Partial<CodeRunSpecInput> = {}): Promise<CodeRun> {
  return until(await createRun(namespace, { code, sessionRef: { name: session }, ...spec }), isFinished);
}

const sandboxOf = ({ status }: ReplSession): Promise<Pod> =>
  kube.get<Pod>(PODS, namespace, status?.sandbox?.podName ?? '');

const untilGone = (session: ReplSession) => eventually(() => sandboxOf(session).then(() => false, isNotFound), 90);

async function killControllers(): Promise<void> {
  const labelSelector = 'app.kubernetes.io/name=controller';
  const { items } = await kube.list<Pod>(PODS, { namespace: SYSTEM_NAMESPACE, labelSelector });
  for (const { metadata } of items) await kube.delete(PODS, SYSTEM_NAMESPACE, metadata.name, { gracePeriodSeconds: 0 });
}

describe('a session', () => {
  test('keeps variables and files from one run to the next', async () => {
    await createSession('state', { files: [{ path: 'in.txt', content: 'from the spec' }] });
    await execute('state', 'x = 41\nopen("out.txt", "w").write("kept")');
    const run = await execute('state', 'print(x + 1, open("in.txt").read(), open("out.txt").read())\nx');
    expect(run.status).toMatchObject({
      conditions: [{ reason: 'Completed' }],
      stdout: '42 from the spec kept\n',
      results: [{ mime: { 'text/plain': '41' } }],
    });
    const session = await read('state');
    expect(run.status?.sandbox?.podUID).toBe(session.status?.sandbox?.podUID);
  });

  test('executes its runs in the order of their coming, with one answer each', async () => {
    await createSession('order');
    await execute('order', 'seen = []');
    const runs: CodeRun[] = [];
    for (const i of [...Array(8).keys()]) {
      runs.push(await createRun(namespace, { code: `seen.append(${i})\nseen`, sessionRef: { name: 'order' } }));
    }
    const ended = await Promise.all(runs.map((run) => until(run, isFinished)));
    expect(ended.map(({ status }) => status?.results?.[0]?.mime['text/plain'])).toEqual(
      ended.map((_, i) => `[${[...Array(i + 1).keys()].join(', ')}]`),
    );
  });

  test('goes on after a run that failed, one that took too long and one that was cancelled', async () => {
    await createSession('failures');
    await execute('failures', 'y = 1');
    expect(reasonOf(await execute('failures', '1/0'))).toBe('NonZeroExit');
    expect(reasonOf(await execute('failures', 'while True: pass', { timeoutSeconds: 1 }))).toBe('Timeout');
    const spec = { code: 'import time\ntime.sleep(60)', sessionRef: { name: 'failures' } };
    const long = await until(await createRun(namespace, spec), hasReason('Running'));
    await sleep(1000);
    await kube.patch(CODE_RUNS, namespace, long.metadata.name, { spec: { cancelled: true } }, { strategy: 'merge' });
    expect(reasonOf(await until(long, isFinished))).toBe('Cancelled');
    expect((await execute('failures', 'print(y)')).status?.stdout).toBe('1\n');
    expect(is('Ready')(await read('failures'))).toBe(true);
  });

  test('has a pod that it owns, with its own deadline', async () => {
    const session = await createSession('owner', { maxLifetimeSeconds: 600 });
    const pod = await eventually(async () => {
      const found = await sandboxOf(session);
      return found.metadata.labels?.[LABEL_SESSION] === session.metadata.uid && found;
    });
    expect(pod.metadata.ownerReferences).toMatchObject([{ kind: 'ReplSession', uid: session.metadata.uid }]);
    expect(pod.spec.activeDeadlineSeconds).toBeLessThan(600 + 300 + 60);
  });

  test('that comes from a pool is ready at once', async () => {
    const className = await newClass({});
    const spec = { className, replicas: 1 };
    await kube.create(SANDBOX_POOLS, {
      apiVersion: API_VERSION,
      kind: 'SandboxPool',
      metadata: { name: 'warm', namespace },
      ...{ spec },
    });
    await eventually(async () => {
      const { status } = await kube.get<SandboxPool>(SANDBOX_POOLS, namespace, 'warm');
      return status?.ready === 1;
    }, 60);
    const before = performance.now();
    const session = await createSession('pooled', { className });
    expect(performance.now() - before).toBeLessThan(1000);
    expect(session.status?.sandbox?.warm).toBe(true);
    expect((await execute('pooled', 'print("warm")')).status?.stdout).toBe('warm\n');
  });
});

describe('a session ends', () => {
  test('when it was not used, exact to two seconds, and not before', async () => {
    await createSession('idle', { idleTimeoutSeconds: 10 });
    await sleep(6000);
    const used = await execute('idle', 'import time; time.sleep(12); 1', { timeoutSeconds: 60 });
    expect(reasonOf(used)).toBe('Completed');
    const session = await untilSession('idle', isEndedSession);
    expect(sessionReasonOf(session)).toBe('IdleTimeout');
    const idle = Date.parse(session.status?.completionTime ?? '') - Date.parse(used.status?.completionTime ?? '');
    expect(Math.abs(idle - 10_000)).toBeLessThan(2000);
    await untilGone(session);
  });

  test('when it has lived for long enough, though it is busy', async () => {
    await createSession('life', { maxLifetimeSeconds: 10 });
    const spec = { code: 'print("a", flush=True)\nimport time; time.sleep(60)', timeoutSeconds: 60 };
    const run = await createRun(namespace, { ...spec, sessionRef: { name: 'life' } });
    const { status } = await untilSession('life', is('LifetimeExceeded'));
    const lived = Date.parse(status?.completionTime ?? '') - Date.parse(status?.startTime ?? '');
    expect(Math.abs(lived - 10_000)).toBeLessThan(2000);
    expect((await until(run, isFinished)).status).toMatchObject({
      conditions: [{ reason: 'SandboxLost', message: expect.stringContaining('LifetimeExceeded') }],
      retrySafe: false,
    });
  });

  test('when it is terminated, and takes no more runs', async () => {
    const session = await createSession('told');
    await terminate('told');
    await untilSession('told', is('Terminated'), 5);
    const run = await execute('told', '1');
    expect(run.status).toMatchObject({ conditions: [{ reason: 'SessionEnded' }], retrySafe: true });
    await untilGone(session);
  });

  test('as soon as its pod is deleted', async () => {
    const session = await createSession('lost');
    await kube.delete(PODS, namespace, session.status?.sandbox?.podName ?? '', { gracePeriodSeconds: 0 });
    await untilSession('lost', is('SandboxLost'), 10);
  });

  test('as soon as its sandbox is out of memory', async () => {
    await createSession('memory', { resources: { memory: '256Mi' } });
    // Each process may have as much as the interpreter; all of them together are more than the sandbox.
    const code = [
      'import os, time',
      'for _ in range(12):',
      '    if os.fork() == 0:',
      '        hog = bytearray(os.urandom(1)) * (200 * 2**20)',
      '        time.sleep(30)',
      '        os._exit(0)',
      'time.sleep(30)',
    ].join('\n');
    const run = await createRun(namespace, { code, sessionRef: { name: 'memory' }, timeoutSeconds: 60 });
    await untilSession('memory', is('OutOfMemory'), 45);
    expect(reasonOf(await until(run, isFinished))).toBe('OutOfMemory');
  });

  test('with its object, pod and all', async () => {
    const session = await createSession('deleted');
    await kube.delete(REPL_SESSIONS, namespace, 'deleted', { propagationPolicy: 'Background' });
    await untilGone(session);
  });

  test('and is deleted after its time to live', async () => {
    await createSession('brief', { ttlSecondsAfterFinished: 1 });
    await terminate('brief');
    await eventually(() => read('brief').then(() => false, isNotFound), 20);
  });
});

describe('a controller that dies', () => {
  test('leaves a session its state, and a run in it its result', async () => {
    await createSession('survivor', { idleTimeoutSeconds: 120 });
    await execute('survivor', 'z = "kept"');
    const code = 'print("the program began", flush=True)\nimport time; time.sleep(8)\nprint(z)';
    const spec = { code, sessionRef: { name: 'survivor' }, timeoutSeconds: 60 };
    const run = await until(await createRun(namespace, spec), hasReason('Running'));
    await killControllers();
    const ended = await until(run, isFinished, 90);
    expect(ended.status).toMatchObject({ conditions: [{ reason: 'Completed' }], stdout: 'the program began\nkept\n' });
    const log = kube.readLog(namespace, (await podOf(ended)).metadata.name, { container: 'sandbox' });
    const text = Buffer.concat(await Array.fromAsync(log)).toString();
    expect(text.split('\n').filter((line) => line.includes('the program began'))).toHaveLength(1);
    expect((await execute('survivor', 'print(z)')).status?.stdout).toBe('kept\n');
  });

  test('does not keep a session from ending in time', async () => {
    const { status } = await createSession('in-time', { idleTimeoutSeconds: 30 });
    await killControllers();
    const session = await untilSession('in-time', isEndedSession, 90);
    expect(sessionReasonOf(session)).toBe('IdleTimeout');
    const lived = Date.parse(session.status?.completionTime ?? '') - Date.parse(status?.startTime ?? '');
    // The next leader may come later than the end: it is told then, and no earlier.
    expect(lived).toBeGreaterThan(28_000);
  });
});
