import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CodeBatch } from '../../../src/api/codebatch.ts';
import { CODE_BATCHES, CODE_RUNS } from '../../../src/api/group.ts';
import { namingOf } from '../../../src/gateway/idempotency.ts';
import { KubeError } from '../../../src/kube/error.ts';
import { aGuardedWorld } from '../../support/credentials-world.ts';
import { type Answer, aWorld, NAMESPACE, problemOf } from '../../support/gateway-world.ts';

const CODE = { code: 'print(1)' };
const KEY = { 'idempotency-key': 'order-66' };
const codeOf = (answer: Answer) => (answer.statusCode < 400 ? answer.statusCode : problemOf(answer).code);

describe('a request that is sent again with its Idempotency-Key', () => {
  test('gives the run that the first one created, also from another replica and after it has ended', async () => {
    const world = aWorld();
    const first = await world.post('/v1/runs', CODE, KEY);
    const again = await world.post('/v1/runs', CODE, KEY);
    expect([again.statusCode, again.json(), again.headers.location]).toEqual([
      201,
      first.json(),
      first.headers.location,
    ]);
    await world.setStatus('Completed', { exitCode: 0, stdout: '1\n' });
    expect((await world.post('/v1/runs?wait=5', CODE, KEY)).json()).toMatchObject({
      state: 'succeeded',
      stdout: '1\n',
    });
    expect(world.allRuns()).toHaveLength(1);
  });

  test('gives one run to all who send it at once', async () => {
    const world = aWorld();
    const answers = await Promise.all(Array.from({ length: 20 }, () => world.post('/v1/runs', CODE, KEY)));
    expect([new Set(answers.map((answer) => answer.json().name)).size, world.allRuns().length]).toEqual([1, 1]);
  });

  test('gives the same answer of POST /execute to all who wait for it', async () => {
    const world = aWorld();
    const both = [world.post('/execute', CODE, KEY), world.post('/execute', CODE, KEY)];
    await world.until(() => world.runs.listening === 2);
    await world.setStatus('Completed', { exitCode: 0, stdout: '1\n' });
    const bodies = (await Promise.all([...both, world.post('/execute', CODE, KEY)])).map((answer) => answer.json());
    expect(bodies).toEqual(Array(3).fill({ success: true, stdout: '1\n', stderr: '', returncode: 0 }));
    expect(world.allRuns()).toHaveLength(1);
  });

  test.each([
    ['/v1/batches', { items: [CODE] }],
    ['/execute/batch', [CODE]],
  ])('gives the same batch by POST %s', async (url, body) => {
    const world = aWorld();
    const names = [await world.post(url, body, KEY), await world.post(url, body, KEY)].map((a) => a.json().name);
    expect([names[0], world.kube.all<CodeBatch>(CODE_BATCHES).length]).toEqual([names[1], 1]);
  });

  test('is refused where its body is another, and creates nothing', async () => {
    const world = aWorld();
    await world.post('/v1/runs', CODE, KEY);
    const answer = await world.post('/v1/runs', { code: 'print(2)' }, KEY);
    expect([answer.statusCode, codeOf(answer), problemOf(answer).field]).toEqual([
      422,
      'IdempotencyKeyReused',
      'idempotency-key',
    ]);
    expect(world.allRuns()).toHaveLength(1);
  });

  test('is the same where the keys of its body stand in another order, or defaults are written out', async () => {
    const world = aWorld();
    await world.post('/v1/runs', '{"code":"1","stdin":"x"}', KEY);
    await world.post('/v1/runs', '{"language":"python","stdin":"x","code":"1"}', KEY);
    expect(world.allRuns()).toHaveLength(1);
  });

  test('creates a new run once the first has been deleted after its time to live', async () => {
    const world = aWorld();
    const { name } = (await world.post('/v1/runs', CODE, KEY)).json();
    await world.kube.delete(CODE_RUNS, NAMESPACE, name);
    expect((await world.post('/v1/runs', CODE, KEY)).statusCode).toBe(201);
  });

  test('finds what the first one stored although that was answered with a failure', async () => {
    const world = aWorld();
    const { create } = world.kube;
    world.kube.create = async (type, object) => {
      await create.call(world.kube, type, object);
      throw new KubeError(0, '', 'the connection broke');
    };
    const lost = await world.post('/v1/runs', CODE, KEY);
    expect([codeOf(lost), problemOf(lost).retrySafe]).toEqual(['ClusterUnavailable', true]);
    world.kube.create = create;
    expect((await world.post('/v1/runs', CODE, KEY)).statusCode).toBe(201);
    expect(world.allRuns()).toHaveLength(1);
  });

  test('may come again where the run that it created can not be read now', async () => {
    const world = aWorld();
    await world.post('/v1/runs', CODE, KEY);
    world.kube.fail('get', new KubeError(503, '', 'down'));
    const answer = await world.post('/v1/runs', CODE, KEY);
    expect([codeOf(answer), problemOf(answer).retrySafe, answer.headers['retry-after']]).toEqual([
      'ClusterUnavailable',
      true,
      '1',
    ]);
  });

  test('is answered also where there is no room for another run', async () => {
    const world = await aGuardedWorld({ queuedRuns: 1 });
    const { authorization } = await world.addKey({ concurrentRuns: 1 });
    const post = (key: string) => world.post('/v1/runs', CODE, { authorization, 'idempotency-key': key });
    expect([codeOf(await post('a')), codeOf(await post('a')), codeOf(await post('b'))]).toEqual([
      201,
      201,
      'TooManyQueued',
    ]);
    await world.setStatus('Running');
    expect([codeOf(await post('a')), codeOf(await post('b'))]).toEqual([201, 'TooManyConcurrentRuns']);
  });
});

describe('an Idempotency-Key', () => {
  test('is that of its namespace only: nobody meets the run of another', async () => {
    const world = await aGuardedWorld();
    const keys = [await world.addKey(), await world.addKey({ namespace: 'other' })];
    for (const { authorization } of keys) await world.post('/v1/runs', CODE, { ...KEY, authorization });
    expect(world.allRuns().map(({ metadata }) => metadata.namespace)).toEqual([NAMESPACE, 'other']);
  });

  test('is none for a run that somebody made by its name', async () => {
    const world = aWorld();
    const { name } = (await world.post('/v1/runs', CODE, KEY)).json();
    await world.kube.delete(CODE_RUNS, NAMESPACE, name);
    await world.post('/v1/runs', { ...CODE, name });
    expect(codeOf(await world.post('/v1/runs', CODE, KEY))).toBe('IdempotencyKeyReused');
  });

  test('can not be sent with a name, which would be the second for one run', async () => {
    const answer = await aWorld().post('/v1/runs', { ...CODE, name: 'hello' }, KEY);
    expect([codeOf(answer), problemOf(answer).field]).toEqual(['InvalidRequest', 'name']);
  });

  test.each(['', ' ', 'a b', 'é', 'x'.repeat(256)])('is not %j', async (key) => {
    const world = aWorld();
    const answer = await world.post('/v1/runs', CODE, { 'idempotency-key': key });
    expect([codeOf(answer), problemOf(answer).field, world.allRuns()]).toEqual([
      'InvalidRequest',
      'idempotency-key',
      [],
    ]);
    expect(problemOf(answer).errors?.[0]?.in).toBe('header');
  });

  test('gives a name of Kubernetes, the same for the same and another for any other', () => {
    const visible = fc.string({
      minLength: 1,
      maxLength: 255,
      unit: fc.integer({ min: 0x21, max: 0x7e }).map((c) => String.fromCharCode(c)),
    });
    const nameOf = (key: string, namespace = NAMESPACE, prefix = 'run') => {
      const naming = namingOf({ caller: { namespace }, headers: { 'idempotency-key': key }, body: {} }, prefix);
      return 'name' in naming ? naming.name : '';
    };
    fc.assert(
      fc.property(visible, visible, (a, b) => {
        expect(nameOf(a)).toMatch(/^run-[0-9a-f]{26}$/);
        expect(nameOf(a)).toBe(nameOf(a));
        expect(nameOf(a) === nameOf(b)).toBe(a === b);
        expect(nameOf(a)).not.toBe(nameOf(a, 'other'));
        expect(nameOf(a).slice(3)).not.toBe(nameOf(a, NAMESPACE, 'execute').slice(7));
      }),
    );
  });
});
