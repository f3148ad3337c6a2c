import { describe, expect, test } from 'vitest';
import { planCodeRun, reasonOf } from '../../../src/core/coderun.ts';
import type { Home, Plan, World } from '../../../src/core/plan.ts';
import {
  aChannel,
  aClass,
  anExit,
  aPod,
  aReadySession,
  aRun,
  aSession,
  aSessionPod,
  aSessionStatus,
  aStatus,
  aTranscript,
  aWorld,
  later,
  POD_UID,
  RUN_UID,
  T0,
  terminated,
} from '../../support/builders.ts';

/** What a plan comes to: the reason it writes, what it does, and when it looks again. */
const summary = (plan: Plan, world: World) => ({
  reason: plan.status && reasonOf({ ...world.run, status: plan.status }),
  actions: plan.actions.map(({ type }) => type),
  after: plan.after,
});

const aHome = (more: Partial<Home> = {}): Home => ({
  session: aReadySession(),
  pod: aSessionPod(),
  channel: aChannel(),
  isNext: true,
  ...more,
});

type Row = [sentence: string, world: Partial<World>, seconds: number, want: Partial<ReturnType<typeof summary>>];

const check = (rows: Row[]) =>
  test.each(rows)('%s', (_sentence, more, seconds, want) => {
    const world = aWorld(more);
    expect(summary(planCodeRun(world, later(seconds)), world)).toMatchObject(want);
  });

const sessionRef = { name: 'notebook' };
const ended = aReadySession({}, aSessionStatus('IdleTimeout', { completionTime: T0.toISOString() }));

describe('a run in a session that was not its turn yet', () => {
  const run = aRun({ sessionRef });
  check([
    ['is executed where it is next', { run, home: aHome() }, 1, { reason: 'Running', actions: ['execute'] }],
    [
      'waits where it is not',
      { run, home: aHome({ isNext: false }) },
      1,
      { reason: 'Queued', actions: [], after: 299_000 },
    ],
    ['waits for the channel', { run, home: aHome({ channel: undefined }) }, 1, { reason: 'Queued', actions: [] }],
    [
      'waits for its session',
      { run, home: aHome({ session: aSession({}, { status: aSessionStatus('Starting') }) }) },
      1,
      { reason: 'Queued', actions: [] },
    ],
    ['gives up after the limit', { run, home: aHome({ isNext: false }) }, 300, { reason: 'PendingTooLong' }],
    ['has not run without a session', { run, home: aHome({ session: undefined }) }, 1, { reason: 'SessionEnded' }],
    ['has not run where that has ended', { run, home: aHome({ session: ended }) }, 1, { reason: 'SessionEnded' }],
    [
      'has not run where it is cancelled',
      { run: aRun({ sessionRef, cancelled: true }), home: aHome() },
      1,
      { reason: 'Cancelled', actions: ['event'] },
    ],
    [
      'is invalid with a timeout that the class of its session does not allow',
      {
        run: aRun({ sessionRef, timeoutSeconds: 100 }),
        sandboxClass: aClass({ timeoutSeconds: { default: 1, max: 10 } }),
        home: aHome(),
      },
      1,
      { reason: 'InvalidSpec' },
    ],
  ]);

  test('is ordered with the memory of its session, and has its sandbox in the status', () => {
    const session = aReadySession({ resources: { memory: '64Mi' } });
    const { status, actions } = planCodeRun(aWorld({ run, home: aHome({ session }) }), later(1));
    expect(actions).toMatchObject([
      { podUID: POD_UID, again: false, command: { execute: { id: RUN_UID, memoryBytes: 64 * 2 ** 20 } } },
    ]);
    expect(status?.sandbox).toEqual(session.status?.sandbox);
  });

  test('names no pod that it does not have', () => {
    expect(planCodeRun(aWorld({ run, home: aHome({ isNext: false }) }), later(1)).status?.sandbox).toBeUndefined();
  });
});

describe('a run that is executed in a session', () => {
  const { sandbox } = aReadySession().status ?? {};
  const run = aRun({ sessionRef }, { status: aStatus('Running', { startTime: T0.toISOString(), sandbox }) });
  const heard = (more: Partial<Parameters<typeof aChannel>[0]> = {}) =>
    aChannel({ transcript: aTranscript(), startedAt: T0, ...more });
  const lost = { pod: undefined, session: ended };
  check([
    [
      'is listened to until its deadline',
      { run, home: aHome({ channel: heard() }) },
      1,
      { reason: undefined, actions: [], after: 34_000 },
    ],
    ['is ordered again by a new leader', { run, home: aHome() }, 1, { reason: undefined, actions: ['execute'] }],
    [
      'ends with what was heard, and its session keeps the sandbox',
      { run, home: aHome({ channel: heard({ transcript: aTranscript(anExit()) }) }) },
      1,
      { reason: 'Completed', actions: ['forgetExecution'] },
    ],
    [
      'has its journal read where the beginning was not heard',
      { run, home: aHome({ channel: heard({ transcript: aTranscript(anExit()), isWhole: false }) }) },
      1,
      { reason: undefined, actions: ['readJournal'] },
    ],
    [
      'ends with what was heard where the journal can not be read',
      {
        run,
        home: aHome({ channel: heard({ transcript: aTranscript(anExit()), isWhole: false }) }),
        journal: 'unreadable',
      },
      1,
      { reason: 'Completed' },
    ],
    [
      'has not run out of time while others of its session are executed',
      { run, home: aHome({ channel: heard({ startedAt: undefined }) }) },
      1000,
      { reason: undefined, actions: [], after: 35_000 },
    ],
    [
      'is told to end, and given up, after its deadline',
      { run, home: aHome({ channel: heard() }) },
      35,
      { reason: 'Timeout', actions: ['interrupt', 'forgetExecution', 'event'] },
    ],
    [
      'waits for the pod of a session that has ended to end',
      { run, home: aHome({ session: ended }) },
      1,
      { reason: undefined, actions: [], after: 1000 },
    ],
    [
      'has its journal read then',
      { run, home: aHome({ session: ended, pod: aSessionPod(terminated(0)) }) },
      1,
      { actions: ['readJournal'] },
    ],
    [
      'is lost with a pod that is gone, though nobody heard that it had begun',
      { run, home: aHome({ ...lost, channel: heard({ transcript: aTranscriptNotBegun() }) }) },
      1,
      { reason: 'SandboxLost' },
    ],
    [
      'has not run where the journal says that it had not begun',
      { run, home: aHome({ ...lost, pod: aSessionPod(terminated(0)) }), journal: aTranscriptNotBegun() },
      1,
      { reason: 'SessionEnded' },
    ],
    [
      'is lost with another pod of that name',
      { run, home: aHome({ pod: aPod(undefined, { uid: 'x' }) }) },
      1,
      { reason: 'SandboxLost' },
    ],
    [
      'is tried again where the session has no room',
      { run, home: aHome({ channel: heard({ refused: { reason: 'Busy', message: 'full' } }) }) },
      1,
      { reason: 'Queued', actions: ['forgetExecution'], after: 1000 },
    ],
    [
      'is invalid where its agent says so',
      { run, home: aHome({ channel: heard({ refused: { reason: 'Invalid', message: 'javascript' } }) }) },
      1,
      { reason: 'InvalidSpec' },
    ],
    [
      'is looked for in the journal where its agent has forgotten it',
      { run, home: aHome({ channel: heard({ isWhole: false, refused: { reason: 'Invalid', message: 'over' } }) }) },
      1,
      { reason: undefined, actions: ['readJournal'] },
    ],
    [
      'ends with what that says',
      {
        run,
        home: aHome({ channel: heard({ isWhole: false, refused: { reason: 'Invalid', message: 'over' } }) }),
        journal: aTranscript(anExit()),
      },
      1,
      { reason: 'Completed' },
    ],
    [
      'is lost where that says only that it had begun',
      {
        run,
        home: aHome({ channel: heard({ isWhole: false, refused: { reason: 'Invalid', message: 'over' } }) }),
        journal: aTranscript(),
      },
      1,
      { reason: 'SandboxLost' },
    ],
    [
      'is not touched by a leader of the past',
      { run, home: aHome({ channel: heard({ refused: { reason: 'StaleEpoch', message: '' } }) }) },
      100,
      { reason: undefined, actions: [] },
    ],
  ]);

  test('has no claim left when it is tried again', () => {
    const refused = { reason: 'Busy' as const, message: 'full' };
    const { status } = planCodeRun(aWorld({ run, home: aHome({ channel: heard({ refused }) }) }), later(1));
    expect([status?.startTime, status?.sandbox]).toEqual([undefined, undefined]);
  });

  test('leaves the pod of its session alone when it has ended', () => {
    const over = { ...run, status: { ...run.status, ...aStatus('Completed', { completionTime: T0.toISOString() }) } };
    expect(planCodeRun(aWorld({ run: over, home: aHome() }), later(1000)).actions).toEqual([]);
  });
});

/** A transcript of a run that said nothing. */
function aTranscriptNotBegun() {
  const transcript = aTranscript();
  transcript.started = false;
  return transcript;
}
