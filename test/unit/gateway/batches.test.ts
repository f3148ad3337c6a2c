import { describe, expect, test } from 'vitest';
import type { CodeBatch, CodeBatchStatus, ItemStatus } from '../../../src/api/codebatch.ts';
import type { CodeRun, CodeRunStatus } from '../../../src/api/coderun.ts';
import { API_VERSION, CODE_BATCHES, CODE_RUNS, SANDBOX_CLASSES } from '../../../src/api/group.ts';
import type { Reason } from '../../../src/api/reasons.ts';
import { aStatus, later } from '../../support/builders.ts';
import { aWorld as aGateway, NAMESPACE, problemOf } from '../../support/gateway-world.ts';

/** A gateway with words for what the controller writes of batches. */
function aWorld(options?: Parameters<typeof aGateway>[0]) {
  const world = aGateway(options);
  const { kube } = world;
  const only = (): CodeBatch => {
    const [batch] = kube.all<CodeBatch>(CODE_BATCHES);
    if (!batch) throw new Error('there is no batch');
    return batch;
  };
  const setBatch = (reason: 'Running' | 'Completed' | 'ItemsFailed', status: CodeBatchStatus = {}) => {
    const succeeded = { Running: 'Unknown', Completed: 'True', ItemsFailed: 'False' } as const;
    const [condition] = aStatus('Running').conditions ?? [];
    const conditions = condition ? [{ ...condition, status: succeeded[reason], reason }] : [];
    return kube.replaceStatus<CodeBatch>(CODE_BATCHES, { ...only(), status: { ...status, conditions } });
  };
  /** An item that ended `seconds` after the start, its run there. */
  const ended = async (
    name: string,
    seconds: number,
    reason: Reason,
    status: CodeRunStatus = {},
  ): Promise<ItemStatus> => {
    const metadata = { name: `run-of-${name}`, namespace: NAMESPACE };
    const run = await kube.create<CodeRun>(CODE_RUNS, { apiVersion: API_VERSION, kind: 'CodeRun', metadata });
    await kube.replaceStatus(CODE_RUNS, { ...run, status: aStatus(reason, status) });
    const completionTime = later(seconds).toISOString();
    return { name, runName: run.metadata.name, runUID: run.metadata.uid, reason, completionTime };
  };
  return { ...world, only, setBatch, ended };
}

const waits = (name: string): ItemStatus => ({ name, runName: `run-of-${name}`, reason: 'Queued' });
const lines = (text: string) =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
const ITEMS = [{ code: 'print(1)' }, { name: 'second', code: 'print(2)', timeoutSeconds: 5 }];

describe('POST /v1/batches', () => {
  test('creates the batch, names its items and answers where it is', async () => {
    const world = aWorld();
    const body = { name: 'many', items: ITEMS, parallelism: 2, template: { className: 'big' } };
    const answer = await world.post('/v1/batches', body);
    expect([answer.statusCode, answer.headers['location'], answer.json()]).toEqual([
      201,
      '/v1/batches/many',
      {
        name: 'many',
        namespace: NAMESPACE,
        state: 'queued',
        reason: 'Queued',
        message: 'The batch waits for its turn.',
      },
    ]);
    expect(world.only()).toMatchObject({
      metadata: { name: 'many', namespace: NAMESPACE },
      spec: {
        template: { className: 'big', language: 'python' },
        items: [{ name: 'item-0', code: 'print(1)' }, ITEMS[1]],
        parallelism: 2,
        failFast: false,
        ttlSecondsAfterFinished: 3600,
        cancelled: false,
      },
    });
  });

  test.each([
    ['an item without code', { items: [{ code: '1' }, {}] }, 'items.1.code'],
    ['an item that climbs', { items: [{ code: '1', files: [{ path: '../x', content: '' }] }] }, 'items.0.files.0.path'],
    ['an unknown field', { items: [{ code: '1', image: 'x' }] }, 'items.0.image'],
    [
      'two items of one name',
      {
        items: [
          { name: 'a', code: '1' },
          { name: 'a', code: '1' },
        ],
      },
      'items.1.name',
    ],
    ['a name that another item gets', { items: [{ name: 'item-1', code: '1' }, { code: '1' }] }, 'items.1.name'],
    ['no items', { items: [] }, 'items'],
    ['too many items', { items: Array(1001).fill({ code: '1' }) }, 'items'],
    [
      'a timeout of nothing in the template',
      { items: ITEMS, template: { timeoutSeconds: 0 } },
      'template.timeoutSeconds',
    ],
    ['no parallelism', { items: ITEMS, parallelism: 0 }, 'parallelism'],
  ])('refuses %s and names the field', async (_what, body, field) => {
    const world = aWorld();
    expect(problemOf(await world.post('/v1/batches', body))).toMatchObject({
      status: 400,
      code: 'InvalidRequest',
      field,
    });
    expect(world.kube.all(CODE_BATCHES)).toEqual([]);
  });

  test('refuses more than an object may hold', async () => {
    const items = [{ code: '<'.repeat(200_000) }];
    expect(problemOf(await aWorld().post('/v1/batches', { items }))).toMatchObject({
      status: 413,
      code: 'BodyTooLarge',
    });
  });

  test('holds the answer until the end of the batch with wait', async () => {
    const world = aWorld();
    const pending = world.post('/v1/batches?wait=30', { items: ITEMS });
    await world.until(() => world.batches.listening === 1);
    await world.setBatch('Running');
    await world.setBatch('ItemsFailed', { counts: { total: 2, queued: 0, running: 0, succeeded: 1, failed: 1 } });
    const answer = await pending;
    expect([answer.statusCode, answer.json()]).toMatchObject([201, { state: 'failed', counts: { failed: 1 } }]);
    expect([world.batches.listening, world.clock.pending]).toEqual([0, 0]);
  });
});

describe('POST /execute/batch', () => {
  test('maps a list of what POST /execute takes one to one', async () => {
    const world = aWorld();
    const metadata = { name: 'internet' };
    await world.kube.create(SANDBOX_CLASSES, { apiVersion: API_VERSION, kind: 'SandboxClass', metadata });
    const list = [
      { code: 'a', timeout: 5, allow_network: true },
      { code: 'b', memory_mb: 64 },
    ];
    const answer = await world.post('/execute/batch', list);
    const { name } = world.only().metadata;
    expect([answer.statusCode, answer.headers['location'], answer.json().name]).toEqual([
      201,
      `/v1/batches/${name}`,
      name,
    ]);
    expect(world.only().spec.items).toEqual([
      { name: 'item-0', code: 'a', timeoutSeconds: 5, resources: { memory: '512Mi' }, className: 'internet' },
      { name: 'item-1', code: 'b', timeoutSeconds: 60, resources: { memory: '64Mi' } },
    ]);
  });

  test.each([
    ['no code', [{ code: '1' }, { timeout: 5 }], 400, '1.code'],
    ['network where none is offered', [{ code: '1' }, { code: '1', allow_network: true }], 403, '1.allow_network'],
    ['nothing', [], 400, ''],
  ])('refuses %s and names the field', async (_what, list, status, field) => {
    expect(problemOf(await aWorld().post('/execute/batch', list))).toMatchObject({ status, field });
  });
});

describe('GET and DELETE /v1/batches/{name}', () => {
  test('answer what the status says, flat', async () => {
    const world = aWorld();
    await world.post('/v1/batches', { name: 'many', items: ITEMS });
    const counts = { total: 2, queued: 2, running: 0, succeeded: 0, failed: 0 };
    const status = { counts, items: [waits('item-0'), waits('second')], startTime: later(0).toISOString() };
    await world.setBatch('Running', { ...status, observedGeneration: 1 });
    expect((await world.get('/v1/batches/many')).json()).toMatchObject({ name: 'many', state: 'running', ...status });
  });

  test('wait until the batch ends', async () => {
    const world = aWorld();
    await world.post('/v1/batches', { name: 'many', items: ITEMS });
    const pending = world.get('/v1/batches/many?wait=60');
    await world.until(() => world.batches.listening === 1);
    await world.setBatch('Completed');
    expect((await pending).json().state).toBe('succeeded');
  });

  test('say so when the batch is deleted meanwhile', async () => {
    const world = aWorld();
    await world.post('/v1/batches', { name: 'many', items: ITEMS });
    const pending = world.get('/v1/batches/many?wait=60');
    await world.until(() => world.batches.listening === 1);
    await world.kube.delete(CODE_BATCHES, NAMESPACE, 'many');
    expect(problemOf(await pending)).toMatchObject({ status: 410, code: 'BatchDeleted' });
  });

  test('cancel the batch, and leave one that has ended as it is', async () => {
    const world = aWorld();
    await world.post('/v1/batches', { name: 'many', items: ITEMS });
    expect((await world.delete('/v1/batches/many')).statusCode).toBe(200);
    expect(world.only().spec.cancelled).toBe(true);
    const other = aWorld();
    await other.post('/v1/batches', { name: 'many', items: ITEMS });
    await other.setBatch('Completed');
    expect((await other.delete('/v1/batches/many')).json().state).toBe('succeeded');
    expect(other.only().spec.cancelled).toBe(false);
  });

  test.each(['/v1/batches/none', '/v1/batches/none/results'])('answer 404 for what is not there: %s', async (url) => {
    expect(problemOf(await aWorld().get(url))).toMatchObject({ status: 404, code: 'BatchNotFound' });
  });
});

describe('GET /v1/batches/{name}/results', () => {
  test('gives each item as it ends, and ends with the batch', async () => {
    const world = aWorld();
    await world.post('/v1/batches', { name: 'many', items: ITEMS });
    const second = await world.ended('second', 1, 'Completed', { stdout: '2\n', exitCode: 0 });
    const answer = await world.app.inject({ url: '/v1/batches/many/results', payloadAsStream: true });
    const read = answer.stream()[Symbol.asyncIterator]();
    const next = async () => lines(String((await read.next()).value ?? ''));
    await world.until(() => world.batches.listening === 1);
    await world.setBatch('Running', { items: [waits('item-0'), second] });
    expect(await next()).toMatchObject([{ item: 'second', name: 'run-of-second', state: 'succeeded', stdout: '2\n' }]);
    await world.setBatch('Completed', { items: [await world.ended('item-0', 2, 'Completed'), second] });
    expect([await next(), (await read.next()).done]).toMatchObject([[{ item: 'item-0' }], true]);
    expect(answer.headers['content-type']).toBe('application/x-ndjson');
    await world.until(() => world.held.at(-1) === 0);
    expect([world.batches.listening, world.clock.pending]).toEqual([0, 0]);
  });

  test('gives what has ended already in the order of completion', async () => {
    const world = aWorld();
    await world.post('/v1/batches', { name: 'many', items: ITEMS });
    const items = [await world.ended('item-0', 9, 'Timeout'), await world.ended('second', 3, 'Completed')];
    await world.setBatch('ItemsFailed', { items });
    const answer = await world.get('/v1/batches/many/results');
    expect(lines(answer.body).map(({ item, reason }) => [item, reason])).toEqual([
      ['second', 'Completed'],
      ['item-0', 'Timeout'],
    ]);
  });

  test('gives what the batch has recorded where a run is gone, or was replaced', async () => {
    const world = aWorld();
    await world.post('/v1/batches', { name: 'many', items: ITEMS });
    const lost = { ...waits('lost'), reason: 'SandboxLost', completionTime: later(1).toISOString() };
    const replaced = { ...(await world.ended('b', 2, 'Completed', { stdout: 'x' })), runUID: 'another', exitCode: 0 };
    await world.setBatch('ItemsFailed', { items: [lost, replaced] });
    expect(lines((await world.get('/v1/batches/many/results')).body)).toEqual([
      expect.objectContaining({ item: 'lost', name: 'run-of-lost', state: 'failed', reason: 'SandboxLost' }),
      {
        item: 'b',
        name: 'run-of-b',
        namespace: NAMESPACE,
        state: 'succeeded',
        reason: 'Completed',
        message: 'The program ended with exit code 0.',
        retrySafe: false,
        exitCode: 0,
        completionTime: later(2).toISOString(),
      },
    ]);
  });

  test('reads no result before its line is wanted', async () => {
    const world = aWorld();
    await world.post('/v1/batches', { name: 'many', items: ITEMS });
    const output = { stdout: 'x'.repeat(200_000) };
    const items = await Promise.all(Array.from({ length: 10 }, (_, n) => world.ended(`i${n}`, n, 'Completed', output)));
    await world.setBatch('Completed', { items });
    let reads = 0;
    const get = world.kube.get.bind(world.kube);
    world.kube.get = (type, ...rest) => {
      if (type === CODE_RUNS) reads++;
      return get(type, ...rest);
    };
    const answer = await world.app.inject({ url: '/v1/batches/many/results', payloadAsStream: true });
    await world.until(() => reads > 0);
    for (let turn = 0; turn < 20; turn++) await world.clock.advance(1);
    expect(reads).toBeLessThan(5);
    let text = '';
    for await (const chunk of answer.stream()) text += chunk;
    expect(lines(text).length).toBe(10);
  });

  test('lets go of a batch when the client leaves', async () => {
    const world = aWorld();
    await world.post('/v1/batches', { name: 'many', items: ITEMS });
    const answer = await world.app.inject({ url: '/v1/batches/many/results', payloadAsStream: true });
    await world.until(() => world.batches.listening === 1);
    answer.stream().destroy();
    answer.raw.res.destroy();
    await world.until(() => world.batches.listening === 0);
    expect(world.only().spec.cancelled).toBe(false);
  });
});
