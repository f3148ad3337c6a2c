import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CODE_RUNS, REPL_SESSIONS } from '../../../src/api/group.ts';
import type { Pod } from '../../../src/api/object.ts';
import { KubeError } from '../../../src/kube/error.ts';
import { PODS } from '../../../src/kube/resources.ts';
import { aClass } from '../../support/builders.ts';
import { aSessionCluster } from '../../support/session-world.ts';

/** A cluster with a leader, and a session in a sandbox that waited for it. */
async function aReadySession(spec: Parameters<Awaited<ReturnType<typeof aSessionCluster>>['createSession']>[0] = {}) {
  const cluster = await aSessionCluster();
  const leader = await cluster.lead();
  await cluster.addWarm('warm-1');
  await cluster.createSession(spec);
  return { ...cluster, leader, start: cluster.clock.monotonic() };
}

const seconds = (cluster: { clock: { monotonic: () => number }; start: number }) =>
  (cluster.clock.monotonic() - cluster.start) / 1000;

describe('a session', () => {
  test('is ready at once in a sandbox that waits, and makes that its own', async () => {
    const cluster = await aReadySession();
    expect(cluster.reason()).toBe('Ready');
    expect(seconds(cluster)).toBe(0);
    expect(cluster.session()?.status).toMatchObject({
      sandbox: { podName: 'warm-1', warm: true, kernel: '4.19.0-gvisor' },
      executions: 0,
      startTime: '2026-01-01T00:00:00.000Z',
      expiresAt: '2026-01-01T00:05:00.000Z',
      observedGeneration: 1,
    });
    await cluster.pass(2);
    expect(cluster.pod()?.metadata).toMatchObject({
      labels: { 'coderun.dev/session-uid': cluster.session()?.metadata.uid },
      ownerReferences: [{ kind: 'ReplSession', name: 'notebook' }],
    });
    expect((cluster.pod() as Pod).spec.activeDeadlineSeconds).toBeLessThan(3600 + 60);
  });

  test('has a sandbox started for it where none waits', async () => {
    const cluster = await aSessionCluster();
    await cluster.lead();
    await cluster.createSession();
    expect(cluster.reason()).toBe('Starting');
    await cluster.startPods();
    expect(cluster.reason()).toBe('Ready');
    expect(cluster.session()?.status?.sandbox?.warm).toBe(false);
  });

  test('has a sandbox started where those that wait can not be made the size that it wants', async () => {
    const cluster = await aSessionCluster();
    await cluster.lead();
    await cluster.addWarm('warm-1');
    await cluster.createSession({ resources: { memory: '1Gi' } });
    await cluster.pass(1);
    expect([cluster.reason(), cluster.kube.all<Pod>(PODS).length]).toEqual(['Starting', 2]);
  });

  test('is claimed by a write before its agent is told to open', async () => {
    const cluster = await aSessionCluster();
    const leader = await cluster.lead();
    await cluster.addWarm('warm-1');
    cluster.kube.fail('replaceStatus', new KubeError(409, 'Conflict', 'changed'));
    await cluster.createSession();
    expect(cluster.agent('warm-1').session).toBeUndefined();
    await cluster.pass(1);
    expect(cluster.agent('warm-1').session?.id).toBe(cluster.session()?.metadata.uid);
    expect(leader.channels.size).toBe(1);
  });

  test('says why its packages could not be installed, and leaves no sandbox', async () => {
    const cluster = await aSessionCluster();
    await cluster.lead();
    await cluster.addWarm('warm-1');
    cluster.agent('warm-1').openFailure = { cause: 'PackageInstallFailed', message: 'no such package' };
    await cluster.createSession();
    expect(cluster.session()?.status?.conditions).toMatchObject([
      { status: 'False', reason: 'PackageInstallFailed', message: 'no such package' },
    ]);
    expect(cluster.agent('warm-1').isShutDown).toBe(true);
  });

  test('and a run never have the same sandbox', async () => {
    const cluster = await aReadySession();
    await cluster.createRun('other', { sessionRef: undefined, className: 'default' });
    expect(cluster.run('other')?.status?.sandbox?.podName).not.toBe('warm-1');
  });

  test('takes its sandbox along when it is deleted, though that is not its own yet', async () => {
    const { leader, ...cluster } = await aReadySession();
    await cluster.remove(REPL_SESSIONS, 'notebook');
    expect(cluster.pod('warm-1')).toBeUndefined();
    expect(leader.channels.size).toBe(0);
  });
});

describe('in a class whose sandboxes find packages by a Service', () => {
  const host = 'index.coderun-system.svc';
  const packageClass = aClass({ network: 'PackageIndex', packageIndexURL: `http://${host}:8080/simple/` });
  const packages = ['humanize==4.9.0'];
  type TestCluster = Awaited<ReturnType<typeof aSessionCluster>>;

  test.each<[string, (cluster: TestCluster) => Promise<void>, (cluster: TestCluster) => object | undefined]>([
    ['a session', (cluster) => cluster.createSession({ packages }), (cluster) => cluster.session()?.status],
    [
      'a run',
      (cluster) => cluster.createRun('alone', { packages, sessionRef: undefined, className: 'default' }),
      (cluster) => cluster.run('alone')?.status,
    ],
  ])('%s gets its sandbox as soon as the Service is there', async (_what, create, statusOf) => {
    const cluster = await aSessionCluster();
    const { stores } = await cluster.lead();
    stores.classes.upsert({ ...packageClass, metadata: { ...packageClass.metadata, resourceVersion: '2' } });
    await create(cluster);
    expect(cluster.kube.all<Pod>(PODS)).toEqual([]);
    expect(statusOf(cluster)).toMatchObject({
      conditions: [{ reason: 'Starting', message: expect.stringContaining('there is no Service "index"') }],
    });
    const metadata = { ...packageClass.metadata, namespace: 'coderun-system', name: 'index' };
    stores.services.upsert({ apiVersion: 'v1', kind: 'Service', metadata, spec: { clusterIP: '10.96.0.7' } });
    await cluster.pass(2);
    expect(cluster.kube.all<Pod>(PODS).map(({ spec }) => spec.hostAliases)).toEqual([
      [{ ip: '10.96.0.7', hostnames: [host] }],
    ]);
  });
});

describe('a session that is not used', () => {
  test('is ended when its time is over, exactly, with few questions and few writes', async () => {
    const cluster = await aReadySession({ idleTimeoutSeconds: 300 });
    await cluster.pass(2);
    const version = cluster.session()?.metadata.resourceVersion;
    await cluster.pass(297.9);
    expect([cluster.reason(), cluster.session()?.metadata.resourceVersion]).toEqual(['Ready', version]);
    await cluster.pass(0.2);
    expect(cluster.reason()).toBe('IdleTimeout');
    expect(cluster.agent('warm-1').hellos.length).toBeLessThanOrEqual(1 + 300 / 30 + 1);
    expect(cluster.agent('warm-1').isShutDown).toBe(true);
  });

  test('lives on with each use, whoever it is by', async () => {
    const cluster = await aReadySession({ idleTimeoutSeconds: 60 });
    for (let use = 0; use < 5; use++) {
      await cluster.pass(59);
      cluster.agent().use();
    }
    await cluster.pass(59.9);
    expect(cluster.reason()).toBe('Ready');
    await cluster.pass(0.2);
    expect(cluster.reason()).toBe('IdleTimeout');
  });

  test('is not ended in the middle of an execution, but its time after that', async () => {
    const cluster = await aReadySession({ idleTimeoutSeconds: 10 });
    await cluster.createRun('hang', { timeoutSeconds: 3600 });
    await cluster.pass(95);
    expect(cluster.reason()).toBe('Ready');
    cluster.agent().finish();
    await cluster.pass(9.9);
    expect([cluster.reason(), cluster.runReason('hang')]).toEqual(['Ready', 'Completed']);
    await cluster.pass(0.2);
    expect(cluster.reason()).toBe('IdleTimeout');
  });

  test('is not ended by an agent that does not answer, but has its channel opened anew', async () => {
    const cluster = await aReadySession({ idleTimeoutSeconds: 10 });
    cluster.agent().isSilent = true;
    await cluster.pass(25);
    expect(cluster.reason()).toBe('Ready');
    cluster.agent().isSilent = false;
    cluster.agent().disconnect();
    await cluster.pass(1);
    expect(cluster.reason()).toBe('IdleTimeout');
  });

  test('has its use written down at most every half minute', async () => {
    const cluster = await aReadySession();
    let writes = 0;
    let version = cluster.session()?.metadata.resourceVersion;
    for (let second = 0; second < 300; second++) {
      cluster.agent().use();
      await cluster.pass(1);
      const now = cluster.session()?.metadata.resourceVersion;
      if (now !== version) writes++;
      version = now;
    }
    expect(writes).toBeLessThanOrEqual(10);
    const { executions = 0, lastActivityTime = '', expiresAt = '' } = cluster.session()?.status ?? {};
    expect(executions).toBeGreaterThan(260);
    expect(Date.parse(expiresAt) - Date.parse(lastActivityTime)).toBe(300_000);
  });
});

describe('a session that is used', () => {
  test('is ended after its lifetime, though it is busy', async () => {
    const cluster = await aReadySession({ maxLifetimeSeconds: 100, idleTimeoutSeconds: 50 });
    await cluster.createRun('hang', { timeoutSeconds: 3600 });
    await cluster.pass(99.9);
    expect(cluster.reason()).toBe('Ready');
    await cluster.pass(0.2);
    expect(cluster.reason()).toBe('LifetimeExceeded');
  });

  test('is ended when that is asked for', async () => {
    const cluster = await aReadySession();
    await cluster.patch(REPL_SESSIONS, 'notebook', { terminated: true });
    expect([cluster.reason(), cluster.agent('warm-1').isShutDown]).toEqual(['Terminated', true]);
    await cluster.endPod('warm-1', 0);
    await cluster.pass(61);
    expect(cluster.pod('warm-1')).toBeUndefined();
    await cluster.pass(3600);
    expect(cluster.session()).toBeUndefined();
  });

  test('has its pod deleted where the agent does not shut down', async () => {
    const cluster = await aReadySession();
    cluster.agent().isSilent = true;
    await cluster.patch(REPL_SESSIONS, 'notebook', { terminated: true });
    await cluster.pass(5.1);
    expect(cluster.pod('warm-1')).toBeUndefined();
  });

  test.each([
    ['killed for want of memory', 137, 'OOMKilled', 'OutOfMemory'],
    ['ended by gVisor for want of memory', 128, 'Error', 'OutOfMemory'],
    ['ended in another way', 1, 'Error', 'SandboxLost'],
  ])('says at once that its sandbox was %s', async (_what, exitCode, reason, want) => {
    const { leader, ...cluster } = await aReadySession();
    await cluster.endPod('warm-1', exitCode, reason);
    expect([cluster.reason(), leader.events]).toEqual([want, [want]]);
    await cluster.addWarm('warm-2');
    await cluster.pass(10);
    expect(cluster.session()?.status?.sandbox?.podName).toBe('warm-1');
  });

  test('says at once that its pod was deleted', async () => {
    const cluster = await aReadySession();
    await cluster.remove(PODS, 'warm-1');
    expect(cluster.reason()).toBe('SandboxLost');
  });
});

describe('a session whose controller dies', () => {
  test('goes on with the next one, which knows its last use', async () => {
    const { leader, ...cluster } = await aReadySession({ idleTimeoutSeconds: 60 });
    await cluster.pass(50);
    cluster.agent().use();
    await cluster.pass(5);
    cluster.stop(leader);
    await cluster.pass(40);
    await cluster.lead();
    await cluster.pass(14.9);
    expect(cluster.reason()).toBe('Ready');
    await cluster.pass(0.2);
    expect(cluster.reason()).toBe('IdleTimeout');
  });

  test('is opened by the next one where the claim was written and the order not given', async () => {
    const cluster = await aSessionCluster();
    const first = await cluster.lead();
    await cluster.addWarm('warm-1');
    cluster.agent('warm-1').isSilent = true;
    await cluster.createSession();
    expect([cluster.reason(), cluster.agent('warm-1').session]).toEqual(['Starting', undefined]);
    cluster.stop(first);
    cluster.agent('warm-1').isSilent = false;
    await cluster.lead();
    expect([cluster.reason(), cluster.session()?.status?.sandbox?.podName]).toEqual(['Ready', 'warm-1']);
  });

  test('is ended by one leader only, though two believe to be it', async () => {
    const cluster = await aReadySession({ idleTimeoutSeconds: 10 });
    const second = await cluster.lead();
    await cluster.pass(10.2);
    expect(cluster.reason()).toBe('IdleTimeout');
    expect([...cluster.leader.ended, ...second.ended]).toEqual(['IdleTimeout']);
  });
});

describe('two leaders at once', () => {
  test('never open one sandbox for two sessions', async () => {
    const cluster = await aSessionCluster();
    await cluster.lead();
    await cluster.lead();
    for (const name of ['warm-1', 'warm-2']) await cluster.addWarm(name);
    await Promise.all(['one', 'two', 'three'].map((name) => cluster.createSession({}, name)));
    await cluster.pass(1);
    await cluster.startPods();
    await cluster.pass(1);
    const sandboxes = ['one', 'two', 'three'].map((name) => cluster.session(name)?.status?.sandbox?.podName);
    expect(new Set(sandboxes).size).toBe(3);
    for (const name of ['one', 'two', 'three']) {
      expect(cluster.reason(name)).toBe('Ready');
      expect(cluster.agent(cluster.session(name)?.status?.sandbox?.podName).session?.id).toBe(
        cluster.session(name)?.metadata.uid,
      );
    }
  });
});

test('whenever it is used, a session ends when it was idle for long enough or is old enough, exact to two seconds', async () => {
  const step = fc.record({ wait: fc.integer({ min: 1, max: 45 }), restart: fc.integer({ min: 0, max: 9 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const { leader, ...cluster } = await aReadySession({ idleTimeoutSeconds: 40, maxLifetimeSeconds: 200 });
      let current = leader;
      let lastUse = cluster.start;
      for (const { wait, restart } of steps) {
        await cluster.pass(wait);
        if (cluster.reason() !== 'Ready') break;
        if (restart === 0) {
          cluster.stop(current);
          current = await cluster.lead();
        }
        cluster.agent().use();
        lastUse = cluster.clock.monotonic();
      }
      await cluster.pass(201);
      const { completionTime = '', startTime = '' } = cluster.session()?.status ?? {};
      const lived = Date.parse(completionTime) - Date.parse(startTime);
      const due = Math.min(200_000, lastUse - cluster.start + 40_000);
      expect(Math.abs(lived - due)).toBeLessThanOrEqual(2000);
    }),
    { numRuns: 40 },
  );
});

test('a run with sessionRef leaves no trace of its own pod', async () => {
  const cluster = await aReadySession();
  await cluster.createRun('first');
  await cluster.pass(120);
  expect(cluster.runReason('first')).toBe('Completed');
  expect(cluster.reason()).toBe('Ready');
  await cluster.remove(CODE_RUNS, 'first');
  expect(cluster.pod('warm-1')).toBeDefined();
});
