import { describe, expect, test } from 'vitest';
import { planCodeRun, reasonOf } from '../../../src/core/coderun.ts';
import type { Plan, World } from '../../../src/core/plan.ts';
import {
  aChannel,
  aClaimedRun,
  aClass,
  aHello,
  anExit,
  aPod,
  aPooledPod,
  aRun,
  aStatus,
  aTranscript,
  aWorld,
  later,
  POD_UID,
  RUN_UID,
  T0,
  terminated,
  waiting,
} from '../../support/builders.ts';

/** What a plan comes to: the reason it writes, what it does, and when it looks again. */
const summary = (plan: Plan, world: World) => ({
  reason: plan.status && reasonOf({ ...world.run, status: plan.status }),
  actions: plan.actions.map(({ type }) => type),
  after: plan.after,
});

type Row = [sentence: string, world: Partial<World>, seconds: number, want: Partial<ReturnType<typeof summary>>];

const check = (rows: Row[]) =>
  test.each(rows)('%s', (_sentence, more, seconds, want) => {
    const world = aWorld(more);
    expect(summary(planCodeRun(world, later(seconds)), world)).toMatchObject(want);
  });

describe('a run that has not been started', () => {
  check([
    ['waits in the queue until it may start a sandbox', { isAdmitted: false }, 0, { reason: 'Queued', actions: [] }],
    ['gets a pod', {}, 0, { reason: 'Starting', actions: ['createPod'], after: 300_000 }],
    [
      'waits for its pod to run',
      { pod: aPod({ phase: 'Pending' }) },
      1,
      { reason: 'Starting', actions: [], after: 299_000 },
    ],
    [
      'is attached to before the kubelet tells that its pod runs, where the sandbox has no network at all',
      { sandboxClass: aClass({ runtimeClassName: 'gvisor-nonet' }), pod: aPod({ phase: 'Pending' }) },
      1,
      { reason: 'Starting', actions: ['openChannel'] },
    ],
    [
      'is claimed by then, too',
      {
        sandboxClass: aClass({ runtimeClassName: 'gvisor-nonet' }),
        pod: aPod({ phase: 'Pending' }),
        channel: aChannel(),
      },
      1,
      { reason: 'Running', actions: ['execute'] },
    ],
    [
      'fails at once where its image can never be had, though its agent might be tried',
      { sandboxClass: aClass({ runtimeClassName: 'gvisor-nonet' }), pod: aPod(waiting('InvalidImageName')) },
      1,
      { reason: 'SandboxStartFailed', actions: ['deletePod', 'event'] },
    ],
    ['is attached to as soon as its pod runs', { pod: aPod() }, 1, { actions: ['openChannel'] }],
    [
      'waits for the agent to answer',
      { pod: aPod(), channel: aChannel({ hello: undefined }) },
      1,
      { reason: undefined, actions: [] },
    ],
    [
      'is claimed before it is executed',
      { pod: aPod(), channel: aChannel() },
      1,
      { reason: 'Running', actions: ['execute'] },
    ],
    [
      'opens a lost channel again, but not at once',
      { pod: aPod(), channel: aChannel({ state: 'closed', reopenAt: later(2) }) },
      1,
      { actions: [], after: 1000 },
    ],
    [
      'does not use the channel to another pod of its name',
      { pod: aPod(), channel: aChannel({ podUID: 'other' }) },
      1,
      { actions: ['openChannel'] },
    ],
    [
      'is cancelled with nothing left behind',
      { run: aRun({ cancelled: true }), pod: aPod() },
      1,
      { reason: 'Cancelled', actions: ['deletePod', 'event'] },
    ],
    [
      'gives up at the limit for pending runs',
      { pod: aPod({ phase: 'Pending' }) },
      300,
      { reason: 'PendingTooLong', actions: ['deletePod', 'event'] },
    ],
    [
      'waits for a pod that somebody deleted to be gone',
      { pod: aPod(undefined, { deletionTimestamp: 'now' }) },
      1,
      { reason: 'Starting', actions: [] },
    ],
    [
      'fails where its sandbox ended by itself',
      { pod: aPod(terminated(1)) },
      1,
      { reason: 'SandboxStartFailed', actions: ['deletePod', 'event'] },
    ],
    [
      'fails where the name of its pod is taken',
      { pod: aPod(undefined, { ownerReferences: [] }) },
      1,
      { reason: 'SandboxStartFailed' },
    ],
    [
      'fails at once where the image can never be had',
      { pod: aPod(waiting('InvalidImageName')) },
      1,
      { reason: 'SandboxStartFailed' },
    ],
    [
      'gives a pull of the image some time',
      { pod: aPod(waiting('ImagePullBackOff')) },
      1,
      { reason: 'Starting', after: 59_000 },
    ],
    [
      'gives up on an image after that time',
      { pod: aPod(waiting('ImagePullBackOff')) },
      60,
      { reason: 'SandboxStartFailed' },
    ],
    [
      'fails where its sandbox is not gVisor although its class says so',
      { pod: aPod(), channel: aChannel({ hello: aHello({ kernel: '6.1', gvisor: false }) }) },
      1,
      { reason: 'SandboxStartFailed', actions: ['closeChannel', 'deletePod', 'event'] },
    ],
    [
      'runs without gVisor where the class says so',
      {
        sandboxClass: aClass({ runtimeClassName: 'kata' }),
        pod: aPod(),
        channel: aChannel({ hello: aHello({ kernel: '6.1', gvisor: false }) }),
      },
      1,
      { reason: 'Running' },
    ],
    [
      'shows that it waits for quota, and tries again',
      { refusedPod: { kind: 'quota', message: 'exceeded quota', retryAt: later(5) } },
      1,
      { reason: 'QuotaExceeded', actions: [], after: 4000 },
    ],
    [
      'tries to create its pod again when the time has come',
      { refusedPod: { kind: 'passing', message: 'busy', retryAt: later(5) } },
      5,
      { reason: 'Starting', actions: ['createPod'] },
    ],
    [
      'fails where its pod is refused for good',
      { refusedPod: { kind: 'final', message: 'denied', retryAt: later(5) } },
      1,
      { reason: 'SandboxStartFailed' },
    ],
    [
      'fails where its class does not exist',
      { sandboxClass: undefined },
      0,
      { reason: 'InvalidSpec', actions: ['event'] },
    ],
    ['fails where its code does not exist', { code: { missing: 'no such ConfigMap' } }, 0, { reason: 'InvalidSpec' }],
    [
      'fails where it asks for packages without a network to get them by',
      { run: aRun({ packages: ['humanize==4.9.0'] }) },
      0,
      { reason: 'PackageInstallFailed' },
    ],
    [
      'fails where it asks for packages and its class names no index',
      { run: aRun({ packages: ['humanize==4.9.0'] }), sandboxClass: aClass({ network: 'PackageIndex' }) },
      0,
      { reason: 'PackageInstallFailed' },
    ],
  ]);
});

describe('a run that is claimed', () => {
  const run = aClaimedRun();
  check([
    [
      'is executed if its agent has not heard of it',
      { run, pod: aPod(), channel: aChannel() },
      1,
      { reason: undefined, actions: ['execute'] },
    ],
    [
      'is listened to until its deadline',
      { run, pod: aPod(), channel: aChannel({ transcript: aTranscript() }) },
      1,
      { actions: [], after: 34_000 },
    ],
    ['is attached to by a new leader', { run, pod: aPod() }, 1, { actions: ['openChannel'] }],
    [
      'is not executed again by a new leader',
      {
        run,
        pod: aPod(),
        channel: aChannel({ hello: aHello({ run: { id: RUN_UID, state: 'running' } }) }),
      },
      1,
      { actions: [] },
    ],
    [
      'ends with what its agent said',
      { run, pod: aPod(), channel: aChannel({ transcript: aTranscript(anExit()) }) },
      1,
      { reason: 'Completed', actions: ['closeChannel'] },
    ],
    [
      'ends with what its agent said even if its pod is gone by now',
      { run, channel: aChannel({ transcript: aTranscript(anExit()) }) },
      1,
      { reason: 'Completed' },
    ],
    [
      'has its journal read where the channel did not bring its end',
      { run, pod: aPod(terminated(0)) },
      1,
      { actions: ['readJournal'] },
    ],
    [
      'ends with what its journal says',
      { run, pod: aPod(terminated(0)), journal: aTranscript(anExit()) },
      1,
      { reason: 'Completed' },
    ],
    ['is lost with its pod', { run }, 1, { reason: 'SandboxLost', actions: ['event'] }],
    [
      'is never started in another pod of its name',
      { run, pod: aPod(undefined, { uid: 'other' }), channel: aChannel({ podUID: 'other' }) },
      1,
      { reason: 'SandboxLost' },
    ],
    [
      'is out of memory where the kubelet says so',
      { run, pod: aPod(terminated(137, 'OOMKilled')), journal: aTranscript() },
      1,
      { reason: 'OutOfMemory' },
    ],
    [
      'is out of memory where gVisor ended with 128',
      { run, pod: aPod(terminated(128)), journal: 'unreadable' },
      1,
      { reason: 'OutOfMemory' },
    ],
    [
      'is evicted with its pod',
      {
        run,
        pod: aPod(terminated(1, '', { reason: 'Evicted', message: 'node was low on pids' })),
        journal: 'unreadable',
      },
      1,
      { reason: 'Evicted' },
    ],
    [
      'ran out of disk where that is why its pod was evicted',
      {
        run,
        pod: aPod(terminated(1, '', { reason: 'Evicted', message: 'ephemeral-storage exceeds the limit' })),
        journal: 'unreadable',
      },
      1,
      { reason: 'DiskLimit' },
    ],
    [
      'timed out where the kubelet ended its pod',
      { run, pod: aPod(terminated(1, '', { reason: 'DeadlineExceeded' })), journal: 'unreadable' },
      1,
      { reason: 'Timeout' },
    ],
    [
      'is lost where its sandbox ended without a word',
      { run, pod: aPod(terminated(1)), journal: aTranscript() },
      1,
      { reason: 'SandboxLost' },
    ],
    [
      'times out where its agent is kept from ending it',
      { run, pod: aPod(), channel: aChannel({ transcript: aTranscript() }) },
      35,
      { reason: 'Timeout', actions: ['closeChannel', 'deletePod', 'event'] },
    ],
    [
      'is lost where nobody was reached by its deadline',
      { run, pod: aPod() },
      35,
      { reason: 'SandboxLost', actions: ['deletePod', 'event'] },
    ],
    [
      'is not touched by a leader of the past',
      { run, pod: aPod(), channel: aChannel({ refused: { reason: 'StaleEpoch', message: '' } }) },
      1,
      { reason: undefined, actions: [] },
    ],
    [
      'has not run where its agent found it invalid',
      { run, pod: aPod(), channel: aChannel({ refused: { reason: 'Invalid', message: 'code' } }) },
      1,
      { reason: 'InvalidSpec' },
    ],
  ]);
});

describe('a run that a waiting sandbox is offered to', () => {
  const offer = { pod: aPooledPod('warm-1'), channel: aChannel({ podUID: 'uid-of-warm-1' }) };

  test('claims it with one write, and is executed', () => {
    const { status, actions } = planCodeRun(aWorld({ waiting: offer }), later(1));
    expect(status).toMatchObject({ sandbox: { podName: 'warm-1', podUID: 'uid-of-warm-1', warm: true } });
    expect(actions).toMatchObject([{ type: 'execute', podUID: 'uid-of-warm-1' }]);
  });

  test.each([true, false])('has packages built from source where its class says so: %s', (allowSourceBuilds) => {
    const packageIndexURL = 'http://index.coderun-system.svc:8080/simple/';
    const sandboxClass = aClass({ network: 'PackageIndex', packageIndexURL, allowSourceBuilds });
    const world = aWorld({ run: aRun({ packages: ['humanize'] }), sandboxClass, waiting: offer });
    const { actions } = planCodeRun(world, later(1));
    expect(actions).toMatchObject([{ command: { execute: { packages: ['humanize'], packageIndexURL } } }]);
    expect(JSON.stringify(actions).includes('"allowSourceBuilds":true')).toBe(allowSourceBuilds);
  });

  test('keeps to the pod of its own where that is being started', () => {
    const plan = planCodeRun(aWorld({ waiting: offer, pod: aPod({ phase: 'Pending' }) }), later(1));
    expect(plan.actions).toEqual([]);
  });
});

describe('a run that has claimed a sandbox of a pool', () => {
  const run = aClaimedRun();
  const pod = aPod(undefined, { ownerReferences: [] });
  const taken = aHello({ run: { id: 'another', state: 'running' } });
  check([
    [
      'makes the pod its own while the program runs',
      { run, pod, channel: aChannel({ transcript: aTranscript() }) },
      1,
      { actions: ['adoptPod'] },
    ],
    [
      'leaves the pod alone while the program may be a short one',
      { run, pod, channel: aChannel({ transcript: aTranscript() }) },
      0.4,
      { actions: [], after: 600 },
    ],
    ['makes up for a leader that died before it did', { run, pod }, 1, { actions: ['openChannel', 'adoptPod'] }],
    [
      'gives the claim up where the agent took the run of another leader first',
      { run, pod, channel: aChannel({ hello: taken }) },
      1,
      { reason: 'Queued', actions: [], after: 0 },
    ],
  ]);

  test('has no claim left when it was given up, so that it can be started elsewhere', () => {
    const { status } = planCodeRun(aWorld({ run, pod, channel: aChannel({ hello: taken }) }), later(1));
    expect(status?.sandbox?.podUID).toBeUndefined();
    expect(status?.startTime).toBeUndefined();
  });
});

describe('a claimed run that is cancelled', () => {
  const run = aClaimedRun({ cancelled: true });
  const transcript = aTranscript();
  check([
    [
      'is interrupted',
      { run, pod: aPod(), channel: aChannel({ transcript }) },
      1,
      { actions: ['interrupt'], after: 3000 },
    ],
    [
      'is given time to end',
      { run, pod: aPod(), channel: aChannel({ transcript, interruptedAt: later(1), wasToldToEnd: true }) },
      2,
      { actions: [], after: 2000 },
    ],
    [
      'is ended without its agent after that',
      { run, pod: aPod(), channel: aChannel({ transcript, interruptedAt: later(1), wasToldToEnd: true }) },
      4,
      { reason: 'Cancelled', actions: ['closeChannel', 'deletePod', 'event'] },
    ],
    ['has its agent reached first', { run, pod: aPod() }, 1, { actions: ['openChannel'] }],
    [
      'waits for the hello of its agent',
      { run, pod: aPod(), channel: aChannel({ hello: undefined }) },
      1,
      { actions: [] },
    ],
    [
      'is ended at once where its agent was not told to execute',
      { run, pod: aPod(), channel: aChannel() },
      1,
      { reason: 'Cancelled', actions: ['closeChannel', 'deletePod', 'event'] },
    ],
    [
      'reaches for its agent again where its channel broke, until the log of its pod must have told the end',
      { run, pod: aPod(), channel: aChannel({ state: 'closed', interruptedAt: later(1), reopenAt: later(2) }) },
      5,
      { actions: ['openChannel'], after: 4000 },
    ],
    [
      'waits with that as long as any channel',
      { run, pod: aPod(), channel: aChannel({ state: 'closed', interruptedAt: later(1), reopenAt: later(5.2) }) },
      5,
      { actions: [], after: 200 },
    ],
    [
      'is interrupted again over a new channel: the order may have been lost with the one before',
      {
        run,
        pod: aPod(),
        channel: aChannel({ hello: aHello({ run: { id: RUN_UID, state: 'running' } }), interruptedAt: later(1) }),
      },
      5,
      { actions: ['interrupt'] },
    ],
    [
      'waits for the log of its pod where the channel broke before the end was heard',
      { run, pod: aPod(), channel: aChannel({ state: 'opening', transcript, interruptedAt: later(1) }) },
      5,
      { actions: [], after: 4000 },
    ],
    [
      'is ended without its agent where that is not reached',
      { run, pod: aPod(), channel: aChannel({ state: 'closed', silentSince: later(1) }) },
      9,
      { reason: 'Cancelled', actions: ['closeChannel', 'deletePod', 'event'] },
    ],
    [
      'keeps the result of a program that was faster',
      { run, pod: aPod(), channel: aChannel({ transcript: aTranscript(anExit()) }) },
      1,
      { reason: 'Completed' },
    ],
  ]);
});

describe('a run that has ended', () => {
  const run = aRun(
    { ttlSecondsAfterFinished: 100 },
    { status: aStatus('Completed', { completionTime: T0.toISOString() }) },
  );
  check([
    [
      'keeps its pod, and so its journal, for a while',
      { run, pod: aPod() },
      10,
      { reason: undefined, actions: [], after: 50_000 },
    ],
    [
      'makes a pod of a pool its own, though the program was over sooner',
      { run, pod: aPod(undefined, { ownerReferences: [] }) },
      2,
      { actions: ['adoptPod'] },
    ],
    ['loses its pod after the time of its class', { run, pod: aPod() }, 60, { actions: ['deletePod'], after: 10_000 }],
    ['is deleted after its own time', { run }, 100, { actions: ['deleteRun'], after: 10_000 }],
    ['is never started again', { run, pod: undefined, channel: undefined }, 1, { reason: undefined, actions: [] }],
    [
      'stays ended though it is cancelled',
      { run: { ...run, spec: { ...run.spec, cancelled: true } } },
      1,
      { reason: undefined, actions: [] },
    ],
  ]);
});

test('a run that is being deleted takes its pod along', () => {
  const run = aRun();
  run.metadata.deletionTimestamp = later(1).toISOString();
  expect(planCodeRun(aWorld({ run, pod: aPod(), channel: aChannel() }), later(1)).actions).toEqual([
    { type: 'closeChannel', podUID: POD_UID },
    { type: 'deletePod', name: aPod().metadata.name, uid: POD_UID },
  ]);
});

test.each([
  ['exit code 0', anExit(), 'Completed'],
  ['another exit code', anExit({ exitCode: 3 }), 'NonZeroExit'],
  ['a signal', anExit({ exitCode: null, signal: 'SIGKILL' }), 'Signalled'],
  ['the clock of the agent', anExit({ exitCode: null, signal: 'SIGINT', cause: 'Timeout' }), 'Timeout'],
  ['an interrupt', anExit({ cause: 'Interrupted' }), 'Cancelled'],
  ['want of memory', anExit({ exitCode: 1, cause: 'OutOfMemory' }), 'OutOfMemory'],
  ['want of disk', anExit({ exitCode: 1, cause: 'DiskLimit' }), 'DiskLimit'],
  [
    'a package that could not be installed',
    anExit({ exitCode: 1, cause: 'PackageInstallFailed' }),
    'PackageInstallFailed',
  ],
])('a run that ends by %s says so', (_what, exit, reason) => {
  const world = aWorld({ run: aClaimedRun(), pod: aPod(), channel: aChannel({ transcript: aTranscript(exit) }) });
  expect(summary(planCodeRun(world, later(1)), world).reason).toBe(reason);
});
