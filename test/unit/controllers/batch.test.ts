import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import type { CodeBatch } from '../../../src/api/codebatch.ts';
import type { CodeRun } from '../../../src/api/coderun.ts';
import { CODE_BATCHES, CODE_RUNS } from '../../../src/api/group.ts';
import { itemRunName } from '../../../src/api/names.ts';
import type { Reason } from '../../../src/api/reasons.ts';
import { batchReconciler } from '../../../src/controllers/batch.ts';
import { runOfItem } from '../../../src/core/items.ts';
import { KubeError } from '../../../src/kube/error.ts';
import { createStores } from '../../../src/roles/stores.ts';
import { aBatch, aStatus } from '../../support/builders.ts';
import { FakeClock } from '../../support/clock.ts';
import { FakeKube } from '../../support/fake-kube.ts';

const KEY = 'tenant/many';

/** A batch in an API server, and a controller that sees it; nothing else is watched but where a test says so. */
async function aWorld(spec: Parameters<typeof aBatch>[0] = {}, status?: (batch: CodeBatch) => CodeBatch['status']) {
  const clock = new FakeClock();
  const kube = new FakeKube(() => clock.now());
  const log = pino({ level: 'silent' });
  const events: string[] = [];
  const wanted = aBatch(spec);
  const { apiVersion, kind } = wanted;
  const metadata = { name: 'many', namespace: 'tenant' };
  const made = await kube.create<CodeBatch>(CODE_BATCHES, { apiVersion, kind, metadata, ...{ spec: wanted.spec } });
  if (status) await kube.replaceStatus<CodeBatch>(CODE_BATCHES, { ...made, status: status(made) as object });
  const leader = () => {
    const stores = createStores(log);
    for (const batch of kube.all<CodeBatch>(CODE_BATCHES)) stores.batches.upsert(batch);
    const record = (_object: unknown, _kind: string, reason: string) => void events.push(reason);
    return { stores, reconcile: batchReconciler({ kube, stores, clock, events: { record }, log }) };
  };
  const { stores, reconcile } = leader();
  const batch = () => kube.all<CodeBatch>(CODE_BATCHES)[0];
  const runName = (item: string) => itemRunName(made.metadata, item);
  return {
    clock,
    kube,
    stores,
    events,
    leader,
    made,
    runName,
    reconcile: () => reconcile(KEY),
    batch,
    items: () => batch()?.status?.items?.map(({ name, reason, runUID }) => `${name} ${reason}${runUID ? ' made' : ''}`),
    runs: () => kube.all<CodeRun>(CODE_RUNS).map(({ metadata: { labels } }) => labels?.['coderun.dev/item']),
    /** The run of an item reaches `reason`, and the watch shows it. */
    set: async (item: string, reason: Reason) => {
      const run = await kube.get<CodeRun>(CODE_RUNS, 'tenant', runName(item));
      stores.runs.upsert(await kube.replaceStatus(CODE_RUNS, { ...run, status: aStatus(reason) }));
    },
    /** Somebody deletes the run of an item, and the watch shows it. */
    lose: async (item: string) => {
      const run = await kube.get<CodeRun>(CODE_RUNS, 'tenant', runName(item));
      await kube.delete(CODE_RUNS, 'tenant', runName(item));
      stores.runs.apply({ type: 'DELETED', object: { ...run, metadata: { ...run.metadata, resourceVersion: '999' } } });
    },
  };
}

describe('a batch', () => {
  test('is run to its end and deleted after its time to live', async () => {
    const world = await aWorld({ parallelism: 2 });
    await world.reconcile();
    expect([world.runs(), world.items()]).toEqual([
      ['a', 'b'],
      ['a Queued', 'b Queued', 'c Queued'],
    ]);
    await world.set('a', 'Completed');
    await world.reconcile();
    expect(world.runs()).toEqual(['a', 'b', 'c']);
    await world.set('b', 'NonZeroExit');
    await world.set('c', 'Completed');
    const { after } = await world.reconcile();
    expect(world.batch()?.status).toMatchObject({
      conditions: [{ status: 'False', reason: 'ItemsFailed' }],
      counts: { total: 3, succeeded: 2, failed: 1 },
    });
    expect([world.events, after]).toEqual([['ItemsFailed'], 3_600_000]);
    await world.clock.advance(3_600_000);
    await world.reconcile();
    expect(world.batch()).toBeUndefined();
  });

  test('has its items written down before any of them is made', async () => {
    const world = await aWorld();
    world.kube.fail('replaceStatus', new KubeError(409, 'Conflict', 'changed'));
    await expect(world.reconcile()).rejects.toThrow('changed');
    expect(world.runs()).toEqual([]);
    await world.reconcile();
    expect([world.items()?.length, world.runs().length]).toEqual([3, 3]);
  });

  test('has its counts written once a second, and its end at once', async () => {
    const world = await aWorld();
    await world.reconcile();
    const begun = world.batch()?.metadata.resourceVersion;
    await world.set('a', 'Completed');
    expect(await world.reconcile()).toEqual({ after: 1000 });
    await world.clock.advance(600);
    await world.set('b', 'Running');
    expect(await world.reconcile()).toEqual({ after: 400 });
    expect(world.batch()?.metadata.resourceVersion).toBe(begun);
    await world.clock.advance(400);
    await world.reconcile();
    expect(world.items()).toEqual(['a Completed made', 'b Running made', 'c Queued made']);
    await world.set('b', 'Completed');
    await world.set('c', 'Completed');
    await world.reconcile();
    expect(world.batch()?.status?.conditions?.[0]?.reason).toBe('Completed');
  });

  test('is not written where nothing changed', async () => {
    const world = await aWorld();
    await world.reconcile();
    await world.clock.advance(1000);
    await world.reconcile();
    const version = world.batch()?.metadata.resourceVersion;
    await world.clock.advance(5000);
    expect(await world.reconcile()).toEqual({});
    expect(world.batch()?.metadata.resourceVersion).toBe(version);
  });

  test('that is cancelled cancels its runs', async () => {
    const world = await aWorld({ parallelism: 1 });
    await world.reconcile();
    const cancelled = await world.kube.patch<CodeBatch>(
      CODE_BATCHES,
      'tenant',
      'many',
      { spec: { cancelled: true } },
      { strategy: 'merge' },
    );
    world.stores.batches.upsert(cancelled);
    await world.reconcile();
    expect(world.kube.all<CodeRun>(CODE_RUNS).map(({ spec }) => spec.cancelled)).toEqual([true]);
    await world.set('a', 'Cancelled');
    await world.reconcile();
    expect(world.batch()?.status).toMatchObject({ conditions: [{ reason: 'Cancelled' }], counts: { failed: 3 } });
  });

  test('waits where a quota leaves no room, says so, and goes on', async () => {
    const world = await aWorld({ parallelism: 1 });
    world.kube.fail('create', new KubeError(403, 'Forbidden', 'exceeded quota: runs'));
    expect(await world.reconcile()).toEqual({ after: 5000 });
    await world.clock.advance(1000);
    await world.reconcile();
    expect(world.batch()?.status?.conditions?.[0]).toMatchObject({
      reason: 'Running',
      message: 'A quota leaves no room for more runs. exceeded quota: runs',
    });
    await world.clock.advance(4000);
    await world.reconcile();
    expect(world.runs()).toEqual(['a']);
  });

  test('goes on without an item whose run the API server does not take', async () => {
    const world = await aWorld({ parallelism: 1 });
    world.kube.fail('create', new KubeError(422, 'Invalid', 'spec.env: quotes what was sent'));
    await world.reconcile();
    await world.reconcile();
    await world.clock.advance(1000);
    await world.reconcile();
    expect([world.items()?.[0], world.runs(), world.events]).toEqual(['a InvalidSpec', ['b'], ['RunRefused']]);
  });
});

describe('the run of an item', () => {
  test('is not made again where it was deleted, even before any watch showed it', async () => {
    const world = await aWorld({ parallelism: 1, items: [{ name: 'a', code: '1' }] });
    await world.reconcile();
    await world.lose('a');
    await world.reconcile();
    expect([world.items(), world.runs()]).toEqual([['a SandboxLost made'], []]);
  });

  test('stays recorded where it was deleted after its end', async () => {
    const world = await aWorld();
    await world.reconcile();
    await world.set('a', 'Completed');
    await world.reconcile();
    await world.lose('a');
    await world.set('b', 'Completed');
    await world.set('c', 'Completed');
    await world.reconcile();
    expect(world.batch()?.status).toMatchObject({ conditions: [{ reason: 'Completed' }], counts: { succeeded: 3 } });
  });

  test('that another leader made is taken over', async () => {
    const world = await aWorld({ parallelism: 2 });
    await world.reconcile();
    const { reconcile } = world.leader();
    await reconcile(KEY);
    expect(world.runs()).toEqual(['a', 'b']);
  });

  test('that a leader made and did not live to see is cancelled with the batch', async () => {
    const world = await aWorld({ parallelism: 1 });
    await world.reconcile();
    await world.kube.patch(CODE_BATCHES, 'tenant', 'many', { spec: { cancelled: true } }, { strategy: 'merge' });
    const { reconcile } = world.leader();
    await reconcile(KEY);
    await world.clock.advance(1000);
    await reconcile(KEY);
    expect(world.items()).toEqual(['a Queued made', 'b Cancelled', 'c Cancelled']);
    expect(world.kube.all<CodeRun>(CODE_RUNS).map(({ spec }) => spec.cancelled)).toEqual([true]);
  });

  test('is not one of the same name that is not its own', async () => {
    const world = await aWorld({ items: [{ name: 'a', code: '1' }] });
    const foreign = runOfItem(world.made, { name: 'a', code: 'theirs' });
    await world.kube.create(CODE_RUNS, { ...foreign, metadata: { ...foreign.metadata, ...{ ownerReferences: [] } } });
    await world.reconcile();
    await world.reconcile();
    expect([world.items(), world.runs().length]).toEqual([['a InvalidSpec'], 1]);
  });
});
