import { describe, expect, test } from 'vitest';
import type { ReplSession } from '../../../src/api/replsession.ts';
import { planSession } from '../../../src/core/session.ts';
import type { SessionPlan, SessionWorld } from '../../../src/core/session-plan.ts';
import { sessionReasonOf } from '../../../src/core/session-status.ts';
import {
  aChannel,
  aClass,
  aHello,
  aPooledPod,
  aReadySession,
  aSession,
  aSessionPod,
  aSessionState,
  aSessionStatus,
  aSessionWorld,
  later,
  POD_UID,
  SESSION_UID,
  T0,
  terminated,
  waiting,
} from '../../support/builders.ts';

/** What a plan comes to: the reason it writes, what it does, and when it looks again. */
const summary = (plan: SessionPlan, world: SessionWorld) => ({
  reason: plan.status && sessionReasonOf({ ...world.session, status: plan.status }),
  actions: plan.actions.map(({ type }) => type),
  after: plan.after,
});

type Row = [sentence: string, world: Partial<SessionWorld>, seconds: number, want: Partial<ReturnType<typeof summary>>];

const check = (rows: Row[]) =>
  test.each(rows)('%s', (_sentence, more, seconds, want) => {
    const world = aSessionWorld(more);
    expect(summary(planSession(world, later(seconds)), world)).toMatchObject(want);
  });

const INDEX = 'http://index.coderun-system.svc:8080/simple/';
const offer = { pod: aPooledPod('warm-1'), channel: aChannel({ podUID: 'uid-of-warm-1' }) };

describe('a session without a sandbox', () => {
  check([
    ['waits for its turn', { isAdmitted: false }, 0, { reason: 'Queued', actions: [], after: 300_000 }],
    ['gets a pod of its own', {}, 0, { reason: 'Starting', actions: ['createPod'] }],
    ['claims a sandbox that waits', { waiting: offer }, 0, { reason: 'Starting', actions: ['openSession'] }],
    ['is attached to as soon as its pod runs', { pod: aSessionPod() }, 1, { actions: ['openChannel'] }],
    [
      'is claimed by its own pod',
      { pod: aSessionPod(), channel: aChannel() },
      1,
      { reason: 'Starting', actions: ['openSession'] },
    ],
    [
      'fails at once where its image can never be had',
      { pod: aSessionPod(waiting('InvalidImageName')) },
      1,
      { reason: 'SandboxStartFailed', actions: ['deletePod', 'event'] },
    ],
    [
      'leaves a pod alone that has its name and is not its own',
      { pod: aSessionPod(undefined, { ownerReferences: [] }) },
      1,
      { reason: 'SandboxStartFailed', actions: ['event'] },
    ],
    [
      'shows that it waits for quota',
      { refusedPod: { kind: 'quota', message: 'exceeded quota', retryAt: later(5) } },
      1,
      { reason: 'QuotaExceeded', actions: [], after: 4000 },
    ],
    ['gives up after the limit', {}, 300, { reason: 'PendingTooLong', actions: ['event'] }],
    [
      'is ended when that is asked for',
      { session: aSession({ terminated: true }), pod: aSessionPod() },
      1,
      { reason: 'Terminated', actions: ['deletePod'] },
    ],
    ['is invalid without a class', { sandboxClass: undefined }, 0, { reason: 'InvalidSpec' }],
    [
      'is invalid where it wants more than its class allows',
      { session: aSession({ resources: { memory: '1Ti' } }) },
      0,
      { reason: 'InvalidSpec' },
    ],
    [
      'gets no packages without a network to get them by',
      { session: aSession({ packages: ['humanize==4.9.0'] }) },
      0,
      { reason: 'PackageInstallFailed' },
    ],
  ]);

  test('tells its agent what it is to have', () => {
    const session = aSession({
      env: [{ name: 'A', value: 'b' }],
      files: [{ path: 'a.txt', content: 'hi' }],
      resources: { memory: '256Mi' },
    });
    expect(planSession(aSessionWorld({ session, waiting: offer }), T0).actions).toEqual([
      {
        type: 'openSession',
        podUID: 'uid-of-warm-1',
        command: {
          open: {
            id: SESSION_UID,
            epoch: 7,
            memoryBytes: 256 * 2 ** 20,
            env: [{ name: 'A', value: 'b' }],
            files: [{ path: 'a.txt', contentBase64: 'aGk=' }],
          },
        },
      },
    ]);
  });

  test.each([
    [true, { packages: ['humanize'], packageIndexURL: INDEX, allowSourceBuilds: true }],
    [false, { packages: ['humanize'], packageIndexURL: INDEX }],
  ])('has packages built from source where its class says so: %s', (allowSourceBuilds, told) => {
    const sandboxClass = aClass({ network: 'PackageIndex', packageIndexURL: INDEX, allowSourceBuilds });
    const session = aSession({ packages: ['humanize'] });
    const open = { id: SESSION_UID, epoch: 7, memoryBytes: 512 * 2 ** 20, ...told };
    expect(planSession(aSessionWorld({ session, sandboxClass, waiting: offer }), T0).actions).toEqual([
      { type: 'openSession', podUID: 'uid-of-warm-1', command: { open } },
    ]);
  });
});

describe('a session that has claimed a sandbox', () => {
  const sandbox = { podName: aSessionPod().metadata.name, podUID: POD_UID };
  const session = aSession({}, { status: aSessionStatus('Starting', { sandbox }) });
  const opened = (more: object = {}) => ({ id: SESSION_UID, cause: null, message: '', ...more });
  const world = (channel: Parameters<typeof aChannel>[0]): Partial<SessionWorld> => ({
    session,
    pod: aSessionPod(),
    channel: aChannel(channel),
  });
  check([
    ['is ready when its agent says so', world({ opened: opened() }), 1, { reason: 'Ready', actions: [] }],
    ['waits for that', world({ wasToldToOpen: true }), 1, { reason: undefined, actions: [], after: 299_000 }],
    ['has the order given by a new leader', world({}), 1, { actions: ['openSession'] }],
    [
      'has it given again where the agent holds it already, for the answer',
      world({ hello: aHello({ session: aSessionState({ state: 'opening' }) }) }),
      1,
      { actions: ['openSession'] },
    ],
    ['is attached to by a new leader', { session, pod: aSessionPod() }, 1, { actions: ['openChannel'] }],
    [
      'fails where its agent could not open it',
      world({ opened: opened({ cause: 'DiskLimit', message: 'full' }) }),
      1,
      { reason: 'DiskLimit', actions: ['shutdown', 'event'] },
    ],
    [
      'gives the claim up where the agent holds another session',
      world({ hello: aHello({ session: aSessionState({ id: 'another' }) }) }),
      1,
      { reason: 'Queued', after: 0 },
    ],
    [
      'gives the claim up where the agent opened another',
      world({ opened: opened({ id: 'another' }), wasToldToOpen: true }),
      1,
      { reason: 'Queued' },
    ],
    [
      'gives the claim up where the agent has a run',
      world({ hello: aHello({ run: { id: 'x', state: 'running' } }) }),
      1,
      { reason: 'Queued' },
    ],
    [
      'gives the claim up where the agent says that it is busy',
      world({ refused: { reason: 'Busy', message: '' }, wasToldToOpen: true }),
      1,
      { reason: 'Queued' },
    ],
    [
      'is not touched by a leader of the past',
      world({ refused: { reason: 'StaleEpoch', message: '' } }),
      1,
      { reason: undefined, actions: [] },
    ],
    ['is lost with its pod, and never started again', { session }, 1, { reason: 'SandboxLost' }],
    [
      'is out of memory where its packages needed too much',
      { session, pod: aSessionPod(terminated(137, 'OOMKilled')) },
      1,
      { reason: 'OutOfMemory' },
    ],
    [
      'gives up where it is not opened by the limit',
      world({ wasToldToOpen: true }),
      300,
      { reason: 'PendingTooLong', actions: ['closeChannel', 'deletePod', 'event'] },
    ],
  ]);

  test('has no claim left when it was given up, so that it can be started elsewhere', () => {
    const taken = world({ hello: aHello({ session: aSessionState({ id: 'another' }) }) });
    expect(planSession(aSessionWorld(taken), later(1)).status?.sandbox?.podUID).toBeUndefined();
  });

  test('counts its life from when it is ready', () => {
    const { status } = planSession(aSessionWorld(world({ opened: opened() })), later(100));
    expect(status).toMatchObject({
      startTime: later(100).toISOString(),
      lastActivityTime: later(100).toISOString(),
      expiresAt: later(400).toISOString(),
      conditions: [{ type: 'Ready', status: 'True' }],
    });
  });
});

describe('a session that is ready', () => {
  const session = aReadySession({ idleTimeoutSeconds: 100, maxLifetimeSeconds: 1000 });
  const pod = aSessionPod();
  /** A channel over which the agent said, `at` seconds after the start, how the session is used. */
  const said = (at: number, state: Parameters<typeof aSessionState>[0] = {}, more: object = {}) =>
    aChannel({ hello: aHello({ session: aSessionState(state) }), helloAt: later(at), askedAt: later(at), ...more });
  const world = (channel: SessionWorld['channel'], more: Partial<SessionWorld> = {}): Partial<SessionWorld> => ({
    session,
    pod,
    channel,
    refreshedAt: T0,
    ...more,
  });
  check([
    [
      'is not asked before half a minute is over',
      world(aChannel()),
      29,
      { reason: undefined, actions: [], after: 1000 },
    ],
    ['is asked then', world(aChannel()), 30, { actions: ['sayHello'] }],
    [
      'is asked when its time may be over, though that is sooner',
      world(said(90, { idleMilliseconds: 90_000 })),
      99,
      { actions: [], after: 1000 },
    ],
    ['is asked exactly then', world(said(90, { idleMilliseconds: 90_000 })), 100, { actions: ['sayHello'] }],
    [
      'is ended by the answer',
      world(said(100, { idleMilliseconds: 100_000 })),
      100,
      { reason: 'IdleTimeout', actions: ['shutdown'] },
    ],
    [
      'is asked again where that answer is not of just now',
      world(said(100, { idleMilliseconds: 100_000 })),
      101,
      { reason: undefined, actions: ['sayHello'] },
    ],
    [
      'is never ended by an agent that is busy',
      world(said(500, { busy: true, idleMilliseconds: 0 })),
      500,
      { reason: 'Ready', actions: [] },
    ],
    [
      'waits for an answer',
      world(said(30, { idleMilliseconds: 30_000 }, { askedAt: later(60) })),
      65,
      { reason: undefined, actions: [], after: 5000 },
    ],
    [
      'has a channel closed over which none comes',
      world(said(30, { idleMilliseconds: 30_000 }, { askedAt: later(60) })),
      70,
      { actions: ['closeChannel'], after: 0 },
    ],
    ['has its channel opened again', world(undefined), 5, { actions: ['openChannel'] }],
    [
      'has it opened not at once',
      world(aChannel({ state: 'closed', reopenAt: later(6) })),
      5,
      { actions: [], after: 1000 },
    ],
    [
      'is ended when it has lived for long enough',
      world(said(999, { busy: true })),
      1000,
      { reason: 'LifetimeExceeded', actions: ['shutdown'] },
    ],
    [
      'is ended then though nobody is reached',
      world(undefined),
      1000,
      { reason: 'LifetimeExceeded', actions: ['deletePod'] },
    ],
    [
      'is ended when that is asked for',
      world(said(0), { session: { ...session, spec: { ...session.spec, terminated: true } } }),
      1,
      { reason: 'Terminated', actions: ['shutdown'] },
    ],
    ['is lost with its pod', { session }, 1, { reason: 'SandboxLost', actions: ['event'] }],
    [
      'is lost with a pod that is being deleted',
      { session, pod: aSessionPod(undefined, { deletionTimestamp: 'now' }) },
      1,
      { reason: 'SandboxLost', actions: ['event'] },
    ],
    [
      'is evicted with its pod',
      { session, pod: aSessionPod(terminated(1, '', { reason: 'Evicted', message: 'node was low on pids' })) },
      1,
      { reason: 'Evicted' },
    ],
    [
      'has lived for too long where the kubelet ended it',
      { session, pod: aSessionPod(terminated(1, '', { reason: 'DeadlineExceeded' })) },
      1,
      { reason: 'LifetimeExceeded' },
    ],
    [
      'is lost where its agent does not hold it any more',
      world(aChannel({ helloAt: later(10) })),
      10,
      { reason: 'SandboxLost' },
    ],
    [
      'makes a pod of a pool its own, after its first second',
      world(aChannel(), { pod: aSessionPod(undefined, { ownerReferences: [] }) }),
      1,
      { actions: ['adoptPod'] },
    ],
    [
      'leaves that pod alone until then',
      world(aChannel(), { pod: aSessionPod(undefined, { ownerReferences: [] }) }),
      0.4,
      { actions: [], after: 600 },
    ],
  ]);

  const status = (channel: SessionWorld['channel'], at: number, more: Partial<SessionWorld> = {}) =>
    planSession(aSessionWorld(world(channel, more)), later(at)).status;

  test('has its use written down when it was used', () => {
    expect(status(said(30, { executions: 3, idleMilliseconds: 5000 }), 30)).toMatchObject({
      executions: 3,
      lastActivityTime: later(25).toISOString(),
      expiresAt: later(125).toISOString(),
    });
  });

  test('expires with its life where that is sooner', () => {
    expect(status(said(990, { executions: 3 }), 990)?.expiresAt).toBe(later(1000).toISOString());
  });

  test('has nothing written where it was not used, though two clocks differ by some milliseconds', () => {
    expect(status(said(30, { idleMilliseconds: 29_600 }), 30)).toBeUndefined();
  });

  test('has its use written down no more than every half minute', () => {
    expect(status(said(40, { executions: 3 }), 40, { refreshedAt: later(15) })).toBeUndefined();
    expect(status(said(40, { executions: 3 }), 45, { refreshedAt: later(15) })).toBeDefined();
  });
});

describe('a session that has ended', () => {
  const ended = (reason: Parameters<typeof aSessionStatus>[0]): ReplSession =>
    aReadySession({ ttlSecondsAfterFinished: 100 }, aSessionStatus(reason, { completionTime: T0.toISOString() }));
  const session = ended('IdleTimeout');
  check([
    ['gives its agent time to shut down', { session, pod: aSessionPod() }, 1, { actions: [], after: 4000 }],
    [
      'has its pod deleted where that does not happen',
      { session, pod: aSessionPod(), channel: aChannel() },
      5,
      { actions: ['closeChannel', 'deletePod'] },
    ],
    [
      'keeps a pod that has ended, and so the journal of its runs, for a while',
      { session, pod: aSessionPod(terminated(0)) },
      10,
      { actions: [], after: 50_000 },
    ],
    ['loses that pod too', { session, pod: aSessionPod(terminated(0)) }, 60, { actions: ['deletePod'] }],
    ['is deleted after its time', { session }, 100, { actions: ['deleteSession'], after: 10_000 }],
    [
      'is never started again',
      { session: ended('SandboxLost'), waiting: offer },
      1,
      { reason: undefined, actions: [] },
    ],
  ]);

  test('because that was asked for is no event', () => {
    const world = aSessionWorld({ session: aReadySession({ terminated: true }), pod: aSessionPod() });
    expect(planSession(world, T0).actions.filter(({ type }) => type === 'event')).toEqual([]);
  });
});

test('a session that is being deleted takes its pod along', () => {
  const session = aReadySession();
  session.metadata.deletionTimestamp = later(1).toISOString();
  const world = aSessionWorld({ session, pod: aSessionPod(), channel: aChannel() });
  expect(planSession(world, later(1)).actions.map(({ type }) => type)).toEqual(['closeChannel', 'deletePod']);
});

test('a class that is gone does not keep an ended session from being cleaned up', () => {
  const session = aReadySession({}, aSessionStatus('Terminated', { completionTime: T0.toISOString() }));
  const world = aSessionWorld({ session, sandboxClass: undefined, pod: aSessionPod(terminated(0)) });
  expect(planSession(world, later(1)).actions.map(({ type }) => type)).toEqual(['deletePod']);
  expect(planSession({ ...world, sandboxClass: aClass() }, later(1)).actions).toEqual([]);
});
