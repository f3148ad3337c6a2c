import { expect, test } from 'vitest';
import type { CodeBatch, CodeBatchStatus } from '../../../src/api/codebatch.ts';
import type { CodeRun, CodeRunStatus } from '../../../src/api/coderun.ts';
import { itemRunName } from '../../../src/api/names.ts';
import type { Reason } from '../../../src/api/reasons.ts';
import { storedBytes } from '../../../src/api/schema.ts';
import { type BatchWorld, batchReasonOf, planBatch } from '../../../src/core/batch.ts';
import { runOfItem } from '../../../src/core/items.ts';
import { aBatch, aStatus, later, T0 } from '../../support/builders.ts';

const nameOf = (item: string, batch = aBatch()): string => itemRunName(batch.metadata, item);

/** The run of an item, as the watch shows it. */
function itemRun(item: string, reason?: Reason, more: CodeRunStatus = {}, batch = aBatch()): CodeRun {
  const { metadata, spec } = runOfItem(batch, { name: item, code: '1' });
  return {
    apiVersion: 'coderun.dev/v1alpha1',
    kind: 'CodeRun',
    metadata: { ...metadata, uid: `uid-${item}`, resourceVersion: '1', creationTimestamp: T0.toISOString() },
    spec,
    ...(reason && { status: aStatus(reason, more) }),
  };
}

const runs = (...found: CodeRun[]): ReadonlyMap<string, CodeRun> =>
  new Map(found.map((run) => [run.metadata.name, run]));

/** What is known of items: `[item, reason]`, made unless it is merely Queued. */
function known(batch: CodeBatch, ...items: [string, Reason | 'unmade'][]): CodeBatchStatus {
  const begun = { ...batch, spec: { ...batch.spec, cancelled: false } };
  const first = planBatch(aBatchWorld({ batch: begun }), T0).status;
  return {
    ...first,
    items: items.map(([name, reason]) =>
      reason === 'unmade'
        ? { name, runName: nameOf(name, batch), reason: 'Queued' }
        : { name, runName: nameOf(name, batch), runUID: `uid-${name}`, reason },
    ),
  };
}

function aBatchWorld(more: Partial<BatchWorld> = {}): BatchWorld {
  return {
    batch: aBatch(),
    known: undefined,
    writtenAt: undefined,
    runs: runs(),
    made: new Map(),
    refused: new Set(),
    held: undefined,
    ...more,
  };
}

/** What a plan does and says, with the names of items in place of those of runs. */
function summary(world: BatchWorld, seconds: number) {
  const plan = planBatch(world, later(seconds));
  const itemOf = (runName: string) =>
    world.batch.spec.items.find(({ name }) => nameOf(name, world.batch) === runName)?.name;
  return {
    reason: batchReasonOf(plan.status),
    items: plan.status?.items?.map(({ name, reason }) => `${name} ${reason}`),
    counts: plan.status?.counts,
    writeAfter: plan.writeAfter,
    after: plan.after,
    actions: plan.actions.map((action) => {
      if (action.type === 'event') return `event ${action.reason}`;
      return 'run' in action ? `${action.type} ${itemOf(action.run.metadata.name)}` : action.type;
    }),
  };
}

const batch = aBatch();
const two = aBatch({ parallelism: 2 });
const hasty = aBatch({ failFast: true, parallelism: 2 });
const cancelled = aBatch({ cancelled: true });
const cancelledRun = (item: string): CodeRun => {
  const run = itemRun(item, 'Running');
  return { ...run, spec: { ...run.spec, cancelled: true } };
};

const rows: [string, Partial<BatchWorld>, number, Partial<ReturnType<typeof summary>>][] = [
  [
    'names all items before it makes the first run',
    {},
    0,
    {
      reason: 'Running',
      writeAfter: 0,
      items: ['a Queued', 'b Queued', 'c Queued'],
      actions: ['createRun a', 'createRun b', 'createRun c'],
    },
  ],
  ['runs no more at once than it may', { batch: two }, 0, { actions: ['createRun a', 'createRun b'] }],
  [
    'counts a run that no watch has shown yet',
    {
      batch: two,
      known: known(two, ['a', 'unmade'], ['b', 'unmade'], ['c', 'unmade']),
      made: new Map([[nameOf('a'), 'uid-a']]),
      runs: runs(itemRun('a')),
    },
    1,
    { actions: ['createRun b'] },
  ],
  [
    'begins the next item when one has ended',
    {
      batch: two,
      known: known(two, ['a', 'Running'], ['b', 'Running'], ['c', 'unmade']),
      runs: runs(itemRun('a', 'Completed'), itemRun('b', 'Running')),
    },
    1,
    {
      items: ['a Completed', 'b Running', 'c Queued'],
      counts: { total: 3, queued: 1, running: 1, succeeded: 1, failed: 0 },
      actions: ['createRun c'],
    },
  ],
  [
    'goes on when an item fails',
    {
      batch: two,
      known: known(two, ['a', 'Running'], ['b', 'Running'], ['c', 'unmade']),
      runs: runs(itemRun('a', 'NonZeroExit'), itemRun('b', 'Running')),
    },
    1,
    { reason: 'Running', items: ['a NonZeroExit', 'b Running', 'c Queued'], actions: ['createRun c'] },
  ],
  [
    'that fails fast cancels what is left when an item fails',
    {
      batch: hasty,
      known: known(hasty, ['a', 'Running'], ['b', 'Running'], ['c', 'unmade']),
      runs: runs(itemRun('a', 'NonZeroExit'), itemRun('b', 'Running')),
    },
    1,
    { reason: 'Running', items: ['a NonZeroExit', 'b Running', 'c Cancelled'], actions: ['cancelRun b'] },
  ],
  [
    'that fails fast has failed, not been cancelled',
    { batch: hasty, known: known(hasty, ['a', 'NonZeroExit'], ['b', 'Cancelled'], ['c', 'Cancelled']) },
    1,
    { reason: 'ItemsFailed', actions: ['event ItemsFailed'] },
  ],
  [
    'that is cancelled cancels its runs, and makes no more',
    {
      batch: cancelled,
      known: known(cancelled, ['a', 'Completed'], ['b', 'Running'], ['c', 'unmade']),
      runs: runs(itemRun('b', 'Running')),
    },
    1,
    { items: ['a Completed', 'b Running', 'c Cancelled'], actions: ['cancelRun b'] },
  ],
  [
    'cancels a run once',
    {
      batch: cancelled,
      known: known(cancelled, ['a', 'Completed'], ['b', 'Running'], ['c', 'Cancelled']),
      runs: runs(cancelledRun('b')),
    },
    1,
    { reason: 'Running', actions: [] },
  ],
  [
    'that is cancelled ends when its runs have',
    { batch: cancelled, known: known(cancelled, ['a', 'Completed'], ['b', 'Cancelled'], ['c', 'Cancelled']) },
    1,
    { reason: 'Cancelled', writeAfter: 0, actions: ['event Cancelled'] },
  ],
  [
    'that is cancelled before its beginning makes no run',
    { batch: cancelled },
    0,
    { reason: 'Cancelled', items: ['a Cancelled', 'b Cancelled', 'c Cancelled'], actions: ['event Cancelled'] },
  ],
  [
    'that was cancelled too late for any item has failed by its items',
    { batch: cancelled, known: known(cancelled, ['a', 'Completed'], ['b', 'Timeout'], ['c', 'Completed']) },
    1,
    { reason: 'ItemsFailed', actions: ['event ItemsFailed'] },
  ],
  [
    'that was cancelled too late has completed',
    { batch: cancelled, known: known(cancelled, ['a', 'Completed'], ['b', 'Completed'], ['c', 'Completed']) },
    1,
    { reason: 'Completed', actions: ['event Completed'] },
  ],
  [
    'ends at once with its last item',
    {
      known: known(batch, ['a', 'Completed'], ['b', 'Completed'], ['c', 'Running']),
      writtenAt: later(1),
      runs: runs(itemRun('c', 'Completed')),
    },
    1,
    {
      reason: 'Completed',
      writeAfter: 0,
      counts: { total: 3, queued: 0, running: 0, succeeded: 3, failed: 0 },
      actions: ['event Completed'],
    },
  ],
  [
    'keeps what is recorded of runs that were deleted after their end',
    {
      known: known(batch, ['a', 'Completed'], ['b', 'Timeout'], ['c', 'Running']),
      runs: runs(itemRun('c', 'Running')),
    },
    1,
    { reason: 'Running', items: ['a Completed', 'b Timeout', 'c Running'], actions: [] },
  ],
  [
    'makes no second run in place of one that was deleted',
    { known: known(batch, ['a', 'Completed'], ['b', 'Running'], ['c', 'Queued']), runs: runs(itemRun('c')) },
    1,
    { items: ['a Completed', 'b SandboxLost', 'c Queued'], actions: [] },
  ],
  [
    'makes no second run in place of one that was deleted before anybody saw it',
    {
      known: known(batch, ['a', 'Completed'], ['b', 'Completed'], ['c', 'unmade']),
      made: new Map([[nameOf('c'), 'uid-c']]),
    },
    1,
    { reason: 'ItemsFailed', items: ['a Completed', 'b Completed', 'c SandboxLost'] },
  ],
  [
    'takes no other run of the same name for its own',
    {
      known: known(batch, ['a', 'Running'], ['b', 'Completed'], ['c', 'Completed']),
      runs: runs({ ...itemRun('a', 'Completed'), metadata: { ...itemRun('a').metadata, uid: 'another' } }),
    },
    1,
    { reason: 'ItemsFailed', items: ['a SandboxLost', 'b Completed', 'c Completed'] },
  ],
  [
    'goes on without an item that the API server refuses',
    { known: known(batch, ['a', 'unmade'], ['b', 'unmade'], ['c', 'Completed']), refused: new Set([nameOf('a')]) },
    1,
    { items: ['a InvalidSpec', 'b Queued', 'c Completed'], actions: ['createRun b'] },
  ],
  [
    'makes no run while it is held, and says why',
    {
      known: known(batch, ['a', 'Running'], ['b', 'unmade'], ['c', 'unmade']),
      runs: runs(itemRun('a', 'Running')),
      held: { message: 'no room', until: later(5) },
    },
    1,
    { actions: [] },
  ],
  [
    'lets counts wait until a second after the last write',
    {
      known: known(batch, ['a', 'Queued'], ['b', 'Queued'], ['c', 'Queued']),
      writtenAt: later(1),
      runs: runs(itemRun('a', 'Running'), itemRun('b'), itemRun('c')),
    },
    1.25,
    { writeAfter: 750, counts: { total: 3, queued: 2, running: 1, succeeded: 0, failed: 0 } },
  ],
  [
    'does not wait for longer where the clock was set back',
    {
      known: known(batch, ['a', 'Queued'], ['b', 'Queued'], ['c', 'Queued']),
      writtenAt: later(1000),
      runs: runs(itemRun('a', 'Running'), itemRun('b'), itemRun('c')),
    },
    1,
    { writeAfter: 1000 },
  ],
  [
    'that has ended waits for its time to live',
    { known: { ...aStatus('Completed'), completionTime: T0.toISOString() } },
    3599,
    { reason: 'Completed', actions: [], after: 1000 },
  ],
  [
    'is deleted after its time to live',
    { known: { ...aStatus('Completed'), completionTime: T0.toISOString() } },
    3600,
    { actions: ['deleteBatch'] },
  ],
  [
    'that is being deleted does nothing',
    { batch: aBatch({}, { metadata: { ...batch.metadata, deletionTimestamp: 'now' } }) },
    1,
    { actions: [], reason: undefined },
  ],
];

test.each(rows)('a batch %s', (_sentence, more, seconds, want) => {
  expect(summary(aBatchWorld(more), seconds)).toMatchObject(want);
});

const unchecked = (item: object): CodeBatch => {
  const wrong = aBatch();
  return { ...wrong, spec: { ...wrong.spec, items: [{ name: 'a', code: '1', ...item }] } };
};

test.each([
  [
    'a path that climbs',
    unchecked({ files: [{ path: '../up', content: '' }] }),
    'spec.items.0.files.0.path: must be a',
  ],
  [
    'a variable that is not allowed',
    unchecked({ env: [{ name: 'PATH', value: '' }] }),
    'spec.items.0.env.0.name: must not',
  ],
  ['an argument with a NUL', unchecked({ args: ['\0'] }), 'spec.items.0.args.0: must not hold'],
  ['more than an object may hold', unchecked({ code: '\u0001'.repeat(200_000) }), 'spec takes 1200'],
])('a batch with %s ends with InvalidSpec and runs nothing', (_what, wrong, message) => {
  const plan = planBatch(aBatchWorld({ batch: wrong }), T0);
  expect(plan.status).toMatchObject({ conditions: [{ status: 'False', reason: 'InvalidSpec' }] });
  expect(plan.status?.conditions?.[0]?.message).toContain(message);
  expect(plan.actions.map(({ type }) => type)).toEqual(['event']);
});

test('what an item says takes the place of the template, and its run is deleted with the batch', () => {
  const made = aBatch({
    template: { language: 'bash', timeoutSeconds: 5, args: ['x'] },
    items: [{ name: 'a', code: 'true', timeoutSeconds: 7, args: [] }],
  });
  const [action] = planBatch(aBatchWorld({ batch: made }), T0).actions;
  expect(action).toMatchObject({
    type: 'createRun',
    run: {
      metadata: {
        name: expect.stringMatching(/^many-a-[0-9a-f]{8}$/),
        namespace: 'tenant',
        labels: { 'coderun.dev/batch': 'many', 'coderun.dev/item': 'a' },
        ownerReferences: [{ kind: 'CodeBatch', name: 'many', uid: made.metadata.uid, controller: true }],
      },
      spec: {
        code: 'true',
        language: 'bash',
        timeoutSeconds: 7,
        args: [],
        cancelled: false,
        ttlSecondsAfterFinished: 2_592_000,
      },
    },
  });
});

test('a status that stays as it is is the very same, and is not written again', () => {
  const status = known(batch, ['a', 'Running'], ['b', 'unmade'], ['c', 'unmade']);
  const world = aBatchWorld({ known: status, runs: runs(itemRun('a', 'Running')) });
  expect(planBatch(world, later(5)).status).toBe(status);
});

test('an ended item holds exit code, duration and time of its run', () => {
  const result = { exitCode: 3, durationMilliseconds: 12, completionTime: later(2).toISOString(), stdout: 'x' };
  const world = aBatchWorld({
    known: known(batch, ['a', 'Running'], ['b', 'unmade'], ['c', 'unmade']),
    runs: runs(itemRun('a', 'NonZeroExit', result)),
  });
  const { stdout, ...kept } = result;
  expect(planBatch(world, later(5)).status?.items?.[0]).toEqual({
    name: 'a',
    runName: nameOf('a'),
    runUID: 'uid-a',
    reason: 'NonZeroExit',
    ...kept,
  });
});

test('a batch of 1000 items asks for 20 things at a time, and goes on at once', () => {
  const items = Array.from({ length: 1000 }, (_, n) => ({ name: `i${n}`.padEnd(63, 'x'), code: '1' }));
  const plan = planBatch(aBatchWorld({ batch: aBatch({ items, parallelism: 1000 }) }), T0);
  expect([plan.actions.length, plan.after]).toEqual([20, 0]);
  expect(storedBytes(plan.status ?? {})).toBeLessThan(512 * 1024);
});
