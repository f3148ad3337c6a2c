/** The controller of CodeBatches on a real API server, with the rights of its account; the runs end as the tests say. */

import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CodeBatch, CodeBatchSpecInput } from '../../../src/api/codebatch.ts';
import type { CodeRun } from '../../../src/api/coderun.ts';
import { succeededCondition } from '../../../src/api/conditions.ts';
import { API_VERSION, CODE_BATCHES, CODE_RUNS, SANDBOX_NAMESPACE, SYSTEM_NAMESPACE } from '../../../src/api/group.ts';
import type { Reason } from '../../../src/api/reasons.ts';
import { batchKeyOf, batchReconciler, concernsBatch } from '../../../src/controllers/batch.ts';
import { batchReasonOf, isEndedBatch } from '../../../src/core/batch.ts';
import { createKube, type KubeClient } from '../../../src/kube/client.ts';
import { isConflict, isNotFound } from '../../../src/kube/error.ts';
import { keepCache } from '../../../src/roles/connect.ts';
import { createStores } from '../../../src/roles/stores.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { Controller, changesOf } from '../../../src/runtime/controller.ts';
import { keyOf } from '../../../src/runtime/keys.ts';
import { WorkQueue } from '../../../src/runtime/workqueue.ts';
import { type ApiServer, impersonating, serviceAccountUser, startApiServer } from '../../support/apiserver.ts';
import { install } from '../policy/support.ts';

const log = pino({ level: 'silent' });
const stop = new AbortController();
const events: string[] = [];
let server: ApiServer;
let admin: KubeClient;
let account: KubeClient;

beforeAll(async () => {
  server = await startApiServer();
  await install(server);
  admin = createKube(server.credentials, { userAgent: 'test' });
  const user = serviceAccountUser(SYSTEM_NAMESPACE, 'controller');
  account = createKube(impersonating(server.credentials, user), { userAgent: 'test' });
  startController();
});

afterAll(async () => {
  stop.abort();
  await Promise.all([admin.close(), account.close()]);
  await server.stop();
});

function startController(): void {
  const stores = createStores(log);
  const cache = { kube: account, log, signal: stop.signal };
  const record = (_object: unknown, _kind: string, reason: string) => void events.push(reason);
  const controller = new Controller({
    name: 'codebatch',
    queue: new WorkQueue({ clock: systemClock, random: Math.random }),
    reconcile: batchReconciler({ kube: account, stores, clock: systemClock, events: { record }, log }),
    workers: 2,
    sources: [
      changesOf(stores.batches, ({ object }) => [keyOf(object)]),
      changesOf(stores.runs, (change) => (concernsBatch(change) ? [batchKeyOf(change.object) ?? []].flat() : [])),
    ],
    caches: [stores.batches, stores.runs],
    isConflict: (error) => isConflict(error) || isNotFound(error),
    clock: systemClock,
    logger: log,
  });
  void Promise.allSettled([
    keepCache({ ...cache, type: CODE_RUNS, store: stores.runs }),
    keepCache({ ...cache, type: CODE_BATCHES, store: stores.batches }),
    controller.run(stop.signal),
  ]);
}

const namespace = SANDBOX_NAMESPACE;
const createBatch = (name: string, spec: Partial<CodeBatchSpecInput>): Promise<CodeBatch> =>
  admin.create<CodeBatch>(CODE_BATCHES, {
    apiVersion: API_VERSION,
    kind: 'CodeBatch',
    metadata: { name, namespace },
    ...{ spec },
  });
const read = (name: string): Promise<CodeBatch> => admin.get<CodeBatch>(CODE_BATCHES, namespace, name);
const runsOf = async (name: string): Promise<CodeRun[]> =>
  (await admin.list<CodeRun>(CODE_RUNS, { namespace, labelSelector: `coderun.dev/batch=${name}` })).items;

async function eventually<T>(look: () => Promise<T | false>): Promise<T> {
  for (let tries = 0; tries < 300; tries++) {
    const found = await look();
    if (found !== false) return found;
    await systemClock.sleep(100);
  }
  throw new Error('it never came');
}

/** What the controller of CodeRuns would write. */
async function end(run: CodeRun, reason: Reason, exitCode: number): Promise<void> {
  const conditions = [succeededCondition(reason, '', 1, systemClock.now(), undefined)];
  const completionTime = systemClock.now().toISOString();
  await admin.replaceStatus<CodeRun>(CODE_RUNS, { ...run, status: { conditions, exitCode, completionTime } });
}

const items = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, code: `print("${name}")` }));

test('a batch is run, two items at a time, and its end recorded', async () => {
  await createBatch('ordinary', { items, parallelism: 2 });
  await eventually(async () => (await runsOf('ordinary')).length === 2 && true);
  let most = 0;
  const batch = await eventually(async () => {
    const open = (await runsOf('ordinary')).filter(({ status }) => status === undefined);
    most = Math.max(most, open.length);
    for (const run of open) {
      const isBad = run.spec.code?.includes('c');
      await end(run, isBad ? 'NonZeroExit' : 'Completed', isBad ? 3 : 0);
    }
    const current = await read('ordinary');
    return isEndedBatch(current.status) && current;
  });
  expect([batchReasonOf(batch.status), most]).toEqual(['ItemsFailed', 2]);
  expect(batch.status?.counts).toEqual({ total: 5, queued: 0, running: 0, succeeded: 4, failed: 1 });
  expect(batch.status?.items?.map(({ exitCode }) => exitCode)).toEqual([0, 0, 3, 0, 0]);
  const [run] = await runsOf('ordinary');
  expect(run?.metadata.ownerReferences).toEqual([
    { apiVersion: API_VERSION, kind: 'CodeBatch', name: 'ordinary', uid: batch.metadata.uid, controller: true },
  ]);
});

test('a batch that is cancelled cancels its runs, and a lost run is not made again', async () => {
  await createBatch('cancelled', { items, parallelism: 2 });
  const [first, second] = await eventually(async () => {
    const runs = await runsOf('cancelled');
    return runs.length === 2 && runs;
  });
  await admin.delete(CODE_RUNS, namespace, first?.metadata.name ?? '');
  await eventually(async () => (await runsOf('cancelled')).length === 2 && true);
  await admin.patch(CODE_BATCHES, namespace, 'cancelled', { spec: { cancelled: true } }, { strategy: 'merge' });
  await eventually(async () => (await runsOf('cancelled')).every(({ spec }) => spec.cancelled) && true);
  for (const run of await runsOf('cancelled')) await end(run, 'Cancelled', 143);
  const batch = await eventually(async () => {
    const current = await read('cancelled');
    return isEndedBatch(current.status) && current;
  });
  const reasons = batch.status?.items?.map(({ reason }) => reason).sort();
  expect([batchReasonOf(batch.status), reasons]).toEqual([
    'Cancelled',
    ['Cancelled', 'Cancelled', 'Cancelled', 'Cancelled', 'SandboxLost'],
  ]);
  expect((await runsOf('cancelled')).map(({ metadata }) => metadata.name)).toContain(second?.metadata.name);
});

test('a batch is deleted after its time to live', async () => {
  await createBatch('brief', { items: items.slice(0, 1), ttlSecondsAfterFinished: 0 });
  const [run] = await eventually(async () => {
    const runs = await runsOf('brief');
    return runs.length === 1 && runs;
  });
  if (run) await end(run, 'Completed', 0);
  await eventually(async () => (await read('brief').then(() => false, isNotFound)) && true);
});

test('a batch that no run can be made of says why and runs nothing', async () => {
  await createBatch('invalid', { items: [{ name: 'a', code: '1', files: [{ path: '../up', content: '' }] }] });
  const batch = await eventually(async () => {
    const current = await read('invalid');
    return isEndedBatch(current.status) && current;
  });
  expect(batch.status?.conditions?.[0]).toMatchObject({
    status: 'False',
    reason: 'InvalidSpec',
    message: expect.stringContaining('spec.items.0.files.0.path'),
  });
  expect(await runsOf('invalid')).toEqual([]);
});
