import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CodeRun } from '../../../src/api/coderun.ts';
import { CODE_RUNS, REPL_SESSIONS } from '../../../src/api/group.ts';
import { PODS } from '../../../src/kube/resources.ts';
import { aSessionCluster } from '../../support/session-world.ts';

/** A cluster with a leader, and a session that is ready in the sandbox `warm-1`. */
async function aSession() {
  const cluster = await aSessionCluster();
  const leader = await cluster.lead();
  await cluster.addWarm('warm-1');
  await cluster.createSession();
  /** What the log of the sandbox holds now, as the kubelet gives it. */
  const keepLog = () => cluster.kube.setLog('tenant', 'warm-1', cluster.agent('warm-1').log);
  const nameOf = (uid: string) =>
    cluster.kube.all<CodeRun>(CODE_RUNS).find(({ metadata }) => metadata.uid === uid)?.metadata.name;
  return { ...cluster, leader, keepLog, begun: () => cluster.agent('warm-1').begun.map(nameOf) };
}

describe('a run in a session', () => {
  test('is executed there, and says so', async () => {
    const cluster = await aSession();
    await cluster.createRun('first');
    expect(cluster.run('first')?.status).toMatchObject({
      conditions: [{ reason: 'Completed' }],
      stdout: 'first',
      exitCode: 0,
      sandbox: { podName: 'warm-1', warm: true },
    });
  });

  test('leaves nothing behind in memory that grows with the runs of its session', async () => {
    const { leader, ...cluster } = await aSession();
    await cluster.createRun('first');
    const podUID = cluster.pod('warm-1')?.metadata.uid ?? '';
    expect(leader.channels.view(podUID, cluster.run('first')?.metadata.uid)?.transcript).toBeUndefined();
    expect(leader.stores.runs.by('pod', podUID)).toEqual([]);
    expect(leader.stores.runs.by('session', 'tenant/notebook')).toEqual([]);
  });

  test('waits for those that came before it', async () => {
    const cluster = await aSession();
    await cluster.createRun('hang');
    await cluster.createRun('second');
    await cluster.createRun('third');
    expect(['hang', 'second', 'third'].map(cluster.runReason)).toEqual(['Running', 'Queued', 'Queued']);
    expect(cluster.run('second')?.status?.conditions?.[0]?.message).toMatch(/came before/);
    cluster.agent().finish();
    await cluster.settleAll();
    expect(['hang', 'second', 'third'].map(cluster.runReason)).toEqual(['Completed', 'Completed', 'Completed']);
    expect(cluster.begun()).toEqual(['hang', 'second', 'third']);
  });

  test('waits for its session to be ready', async () => {
    const cluster = await aSessionCluster();
    await cluster.lead();
    await cluster.createSession();
    await cluster.createRun('early');
    expect([cluster.reason(), cluster.runReason('early')]).toEqual(['Starting', 'Queued']);
    await cluster.startPods();
    expect([cluster.reason(), cluster.runReason('early')]).toEqual(['Ready', 'Completed']);
  });

  test('does not wait for a session for ever', async () => {
    const cluster = await aSessionCluster();
    await cluster.lead();
    await cluster.createSession();
    await cluster.pass(1);
    await cluster.createRun('early');
    await cluster.pass(301);
    expect([cluster.reason(), cluster.runReason('early')]).toEqual(['PendingTooLong', 'SessionEnded']);
  });

  test('has not run where there is no such session', async () => {
    const cluster = await aSession();
    await cluster.createRun('lost', { sessionRef: { name: 'other' } });
    expect(cluster.run('lost')?.status).toMatchObject({
      conditions: [
        { reason: 'SessionEnded', message: 'spec.sessionRef: there is no ReplSession "other" in this namespace' },
      ],
      retrySafe: true,
    });
  });

  test('has not run where its session has ended', async () => {
    const cluster = await aSession();
    await cluster.patch(REPL_SESSIONS, 'notebook', { terminated: true });
    await cluster.createRun('late');
    expect(cluster.runReason('late')).toBe('SessionEnded');
  });

  test('is found invalid by the class of its session', async () => {
    const cluster = await aSession();
    await cluster.createRun('javascript', { language: 'javascript' });
    expect(cluster.runReason('javascript')).toBe('InvalidSpec');
  });

  test('that is cancelled is interrupted, and the session goes on', async () => {
    const cluster = await aSession();
    await cluster.createRun('hang');
    await cluster.patch(CODE_RUNS, 'hang', { cancelled: true });
    await cluster.createRun('next');
    expect(['hang', 'next'].map(cluster.runReason)).toEqual(['Cancelled', 'Completed']);
    expect(cluster.reason()).toBe('Ready');
  });

  test('that is cancelled before its turn is never executed', async () => {
    const cluster = await aSession();
    await cluster.createRun('hang');
    await cluster.createRun('second');
    await cluster.patch(CODE_RUNS, 'second', { cancelled: true });
    cluster.agent().finish();
    await cluster.settleAll();
    expect([cluster.runReason('second'), cluster.begun()]).toEqual(['Cancelled', ['hang']]);
  });

  test('that is deleted is interrupted, and makes room for the next', async () => {
    const cluster = await aSession();
    await cluster.createRun('hang');
    await cluster.createRun('next');
    await cluster.remove(CODE_RUNS, 'hang');
    expect([cluster.runReason('next'), cluster.reason()]).toEqual(['Completed', 'Ready']);
  });

  test('that its agent does not end in time is given up, and the session is not', async () => {
    const cluster = await aSession();
    await cluster.createRun('hang', { timeoutSeconds: 10 });
    cluster.agent().isSilent = true;
    await cluster.pass(15.1);
    expect([cluster.runReason('hang'), cluster.pod('warm-1')]).toMatchObject(['Timeout', {}]);
  });

  test('is lost with its sandbox where it had begun, with what it said', async () => {
    const cluster = await aSession();
    await cluster.createRun('hang');
    await cluster.endPod('warm-1', 137, 'OOMKilled');
    expect([cluster.reason(), cluster.runReason('hang')]).toEqual(['OutOfMemory', 'OutOfMemory']);
  });

  test('is lost where its session was ended meanwhile', async () => {
    const cluster = await aSession();
    await cluster.createRun('hang');
    await cluster.patch(REPL_SESSIONS, 'notebook', { terminated: true });
    await cluster.endPod('warm-1', 0);
    expect(cluster.run('hang')?.status?.conditions?.[0]).toMatchObject({
      reason: 'SandboxLost',
      message: 'The session ended (Terminated) while the program ran.',
    });
  });

  test('has not run where its session ended before its turn', async () => {
    const cluster = await aSession();
    await cluster.createRun('hang');
    await cluster.createRun('second');
    await cluster.patch(REPL_SESSIONS, 'notebook', { terminated: true });
    await cluster.endPod('warm-1', 0);
    expect(cluster.run('second')?.status).toMatchObject({ conditions: [{ reason: 'SessionEnded' }], retrySafe: true });
  });

  test('is lost with a pod that somebody deleted', async () => {
    const cluster = await aSession();
    await cluster.createRun('hang');
    await cluster.remove(PODS, 'warm-1');
    expect(cluster.runReason('hang')).toBe('SandboxLost');
  });
});

describe('a run in a session whose controller dies', () => {
  test('is not executed again, and has all of its output from the journal', async () => {
    const { leader, ...cluster } = await aSession();
    await cluster.createRun('hang');
    cluster.stop(leader);
    await cluster.lead();
    expect(cluster.runReason('hang')).toBe('Running');
    cluster.keepLog();
    cluster.agent().finish();
    await cluster.settleAll();
    expect(cluster.run('hang')?.status).toMatchObject({ conditions: [{ reason: 'Completed' }], stdout: 'hang' });
    expect(cluster.begun()).toEqual(['hang']);
  });

  test('that ended while nobody listened has its result from the journal', async () => {
    const { leader, ...cluster } = await aSession();
    await cluster.createRun('hang');
    cluster.stop(leader);
    cluster.agent().finish({ exitCode: 3 });
    cluster.keepLog();
    await cluster.lead();
    expect(cluster.run('hang')?.status).toMatchObject({ conditions: [{ reason: 'NonZeroExit' }], exitCode: 3 });
    expect(cluster.begun()).toEqual(['hang']);
  });

  test('that is cancelled meanwhile is interrupted by the next', async () => {
    const { leader, ...cluster } = await aSession();
    await cluster.createRun('hang');
    cluster.stop(leader);
    await cluster.patch(CODE_RUNS, 'hang', { cancelled: true });
    cluster.kube.setLog('tenant', 'warm-1', cluster.agent().log);
    await cluster.lead();
    await cluster.pass(4);
    expect([cluster.runReason('hang'), cluster.reason()]).toEqual(['Cancelled', 'Ready']);
  });
});

/** What may happen to a session, its runs and its leaders, by name. */
async function happenings() {
  const cluster = await aSession();
  const leaders = [cluster.leader];
  const names: string[] = [];
  const create = (hangs: boolean) => async () => {
    const name = `r${String(names.length).padStart(2, '0')}`;
    names.push(name);
    await cluster.createRun(name, hangs ? { code: 'hang' } : {});
  };
  const lead = async () => void leaders.push(await cluster.lead());
  const finish = async () => {
    cluster.agent('warm-1').finishIfBusy();
    cluster.keepLog();
    await cluster.settleAll();
  };
  const events: Record<string, () => Promise<unknown>> = {
    'a run': create(false),
    'a run that hangs': create(true),
    'an end': finish,
    'a second': () => cluster.pass(1),
    'a broken connection': async () => cluster.agent('warm-1').disconnect(),
    'one more leader': lead,
    'another leader': async () => {
      const old = leaders.shift();
      if (old) cluster.stop(old);
      await lead();
    },
  };
  return { ...cluster, names, events, finish };
}

const NAMES = Object.keys((await happenings()).events);

test('whatever breaks and restarts, each run is executed once, in order, and has its own result', async () => {
  const event = fc.oneof(
    { weight: 3, arbitrary: fc.constant('a run') },
    { weight: 7, arbitrary: fc.constantFrom(...NAMES) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(event, { minLength: 5, maxLength: 25 }), async (names) => {
      const cluster = await happenings();
      for (const name of names) {
        cluster.keepLog();
        await cluster.events[name]?.();
        await cluster.pass(0.2);
      }
      for (const _ of [...cluster.names, '']) {
        await cluster.finish();
        await cluster.pass(1);
      }
      const ended = cluster.names.map((name) => cluster.run(name));
      expect(cluster.begun()).toEqual(cluster.names);
      expect(ended.map((run) => run?.status?.conditions?.[0]?.reason)).toEqual(ended.map(() => 'Completed'));
      expect(ended.map((run) => run?.status?.stdout)).toEqual(ended.map((run) => run?.spec.code));
    }),
    { numRuns: 60 },
  );
});
