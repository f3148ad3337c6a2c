import { describe, expect, test } from 'vitest';
import { CODE_RUNS } from '../../../src/api/group.ts';
import { KubeError } from '../../../src/kube/error.ts';
import { aWorld, NAMESPACE, problemOf } from '../../support/gateway-world.ts';

describe('POST /v1/runs', () => {
  test('creates the run and answers where it is', async () => {
    const world = aWorld();
    const answer = await world.post('/v1/runs', { code: 'print(1)', timeoutSeconds: 5, name: 'hello' });
    expect([answer.statusCode, answer.headers['location'], answer.json()]).toEqual([
      201,
      '/v1/runs/hello',
      {
        name: 'hello',
        namespace: NAMESPACE,
        state: 'queued',
        reason: 'Queued',
        message: 'The run waits for a sandbox.',
        retrySafe: false,
      },
    ]);
    expect(world.allRuns()[0]).toMatchObject({
      metadata: { name: 'hello', namespace: NAMESPACE },
      spec: { code: 'print(1)', language: 'python', timeoutSeconds: 5, ttlSecondsAfterFinished: 3600 },
    });
  });

  test('makes a name where none is given', async () => {
    const world = aWorld();
    const answer = await world.post('/v1/runs', { code: '1' });
    expect(answer.json().name).toMatch(/^run-[a-z2-7]{10}$/);
  });

  test('makes another name where the first is taken', async () => {
    const world = aWorld();
    world.kube.fail('create', new KubeError(409, 'AlreadyExists', 'taken'));
    const answer = await world.post('/v1/runs', { code: '1' });
    expect([answer.statusCode, world.allRuns().length]).toEqual([201, 1]);
  });

  test('refuses a name that is taken', async () => {
    const world = aWorld();
    await world.post('/v1/runs', { code: '1', name: 'hello' });
    const answer = await world.post('/v1/runs', { code: '2', name: 'hello' });
    expect(problemOf(answer)).toMatchObject({ status: 409, code: 'AlreadyExists', field: 'name' });
  });

  test.each([
    ['the parameter wait', '/v1/runs?wait=30', {}, {}],
    ['the header Prefer', '/v1/runs', { prefer: 'respond-async, wait=30' }, { 'preference-applied': 'wait=30' }],
  ])('holds the answer until the end of the run with %s', async (_name, url, headers, answered) => {
    const world = aWorld();
    const pending = world.post(url, { code: '1' }, headers);
    await world.until(() => world.runs.listening === 1);
    await world.setStatus('Running');
    await world.setStatus('Completed', { exitCode: 0, stdout: 'hi\n', retrySafe: false });
    const answer = await pending;
    expect([answer.statusCode, answer.json().state, answer.json().stdout]).toEqual([201, 'succeeded', 'hi\n']);
    expect(answer.headers).toMatchObject({ location: expect.stringMatching('/v1/runs/run-'), ...answered });
    expect([world.runs.listening, world.clock.pending]).toEqual([0, 0]);
  });

  test('answers the run as it stands when the wait is over', async () => {
    const world = aWorld();
    const pending = world.post('/v1/runs?wait=30', { code: '1' });
    await world.until(() => world.runs.listening === 1);
    await world.setStatus('Running');
    await world.clock.advance(30_000);
    const answer = await pending;
    expect([answer.statusCode, answer.json().state, world.runs.listening]).toEqual([201, 'running', 0]);
  });

  test('waits for a run that the watch has not seen yet', async () => {
    const world = aWorld();
    world.runs.lags = true;
    const pending = world.post('/v1/runs?wait=30', { code: '1' });
    await world.until(() => world.runs.listening === 1);
    await world.setStatus('Completed');
    await world.clock.advance(10_000);
    world.runs.look();
    expect((await pending).json().state).toBe('succeeded');
  });

  test('says so when the run is deleted meanwhile', async () => {
    const world = aWorld();
    const pending = world.post('/v1/runs?wait=30', { code: '1', name: 'hello' });
    await world.until(() => world.runs.listening === 1);
    await world.kube.delete(CODE_RUNS, NAMESPACE, 'hello');
    expect(problemOf(await pending)).toMatchObject({ status: 410, code: 'RunDeleted', retrySafe: false });
  });

  test('creates nothing where too many requests wait already', async () => {
    const world = aWorld({ limits: { heldRequests: 1 } });
    const pending = world.post('/v1/runs?wait=30', { code: '1' });
    await world.until(() => world.runs.listening === 1);
    const refused = await world.post('/v1/runs?wait=30', { code: '2' });
    expect(problemOf(refused)).toMatchObject({ status: 503, code: 'TooManyWaiting', retrySafe: true });
    expect([refused.headers['retry-after'], world.allRuns().length]).toEqual(['2', 1]);
    await world.setStatus('Completed');
    await pending;
    await world.until(() => world.held.at(-1) === 0);
    expect((await world.post('/v1/runs?wait=0', { code: '3' })).statusCode).toBe(201);
  });
});

describe('GET /v1/runs/{name}', () => {
  test('answers what the status says, flat', async () => {
    const world = aWorld();
    await world.post('/v1/runs', { code: '1', name: 'hello' });
    const status = {
      exitCode: 3,
      stderr: 'x',
      usage: { cpuMilliseconds: 1, peakMemoryBytes: 2 },
      observedGeneration: 1,
    };
    await world.setStatus('NonZeroExit', status);
    expect((await world.get('/v1/runs/hello')).json()).toEqual({
      name: 'hello',
      namespace: NAMESPACE,
      state: 'failed',
      reason: 'NonZeroExit',
      message: 'The program ended with an exit code other than 0.',
      retrySafe: false,
      exitCode: 3,
      stderr: 'x',
      usage: { cpuMilliseconds: 1, peakMemoryBytes: 2 },
    });
  });

  test('finds a run that the watch has not seen yet', async () => {
    const world = aWorld();
    world.runs.lags = true;
    await world.post('/v1/runs', { code: '1', name: 'hello' });
    expect((await world.get('/v1/runs/hello')).statusCode).toBe(200);
  });

  test('answers 404 for what is not there', async () => {
    expect(problemOf(await aWorld().get('/v1/runs/nothing'))).toMatchObject({ status: 404, code: 'RunNotFound' });
  });

  test("answers 404 for a run in somebody else's namespace, as for one that is not there", async () => {
    const world = aWorld({
      identify: ({ headers }) => ({ name: 'x', namespace: String(headers['x-test-namespace'] ?? NAMESPACE) }),
    });
    await world.post('/v1/runs', { code: '1', name: 'secret' });
    const asOther = (name: string) =>
      world.send({
        url: `/v1/runs/${name}`,
        headers: { 'x-test-namespace': 'other', 'x-request-id': 'same-for-both' },
      });
    expect((await asOther('secret')).json()).toEqual((await asOther('nothing')).json());
    expect((await asOther('secret')).statusCode).toBe(404);
  });

  test('waits until the run ends', async () => {
    const world = aWorld();
    await world.post('/v1/runs', { code: '1', name: 'hello' });
    const pending = world.get('/v1/runs/hello?wait=60');
    await world.until(() => world.runs.listening === 1);
    await world.setStatus('Timeout');
    expect((await pending).json()).toMatchObject({ state: 'failed', reason: 'Timeout' });
  });

  test('does not wait for a run that has ended', async () => {
    const world = aWorld();
    await world.post('/v1/runs', { code: '1', name: 'hello' });
    await world.setStatus('Completed');
    expect((await world.get('/v1/runs/hello?wait=60')).json().state).toBe('succeeded');
  });

  test('answers 503 and when to come back where the cluster is out of reach', async () => {
    const world = aWorld();
    world.kube.fail('get', new KubeError(0, '', 'connect ECONNREFUSED https://kubernetes.default.svc:443'));
    const answer = await world.get('/v1/runs/hello');
    expect(problemOf(answer)).toMatchObject({ status: 503, code: 'ClusterUnavailable', retrySafe: true });
    expect([answer.headers['retry-after'], answer.body.includes('kubernetes')]).toEqual(['1', false]);
  });
});

describe('GET /v1/runs', () => {
  test('answers pages of summaries', async () => {
    const world = aWorld();
    for (let index = 10; index < 55; index++) await world.post('/v1/runs', { code: '1', name: `run-${index}` });
    await world.setStatus('Completed', { exitCode: 0, stdout: 'long' }, 'run-10');
    const first = (await world.get('/v1/runs?limit=30')).json();
    const second = (await world.get(`/v1/runs?limit=30&continue=${first.continue}`)).json();
    const names = [...first.items, ...second.items].map(({ name }: { name: string }) => name);
    expect([first.items.length, second.items.length, second.continue]).toEqual([30, 15, undefined]);
    expect(new Set(names).size).toBe(45);
    expect(first.items[0]).toMatchObject({ name: 'run-10', state: 'succeeded', exitCode: 0 });
    expect(first.items[0]).not.toHaveProperty('stdout');
  });

  test.each([
    ['no page answered', new KubeError(400, 'BadRequest', 'continue key is not valid'), 400, 'InvalidRequest'],
    ['is too old', new KubeError(410, 'Expired', 'too old'), 410, 'PageExpired'],
  ])('refuses a continue that %s', async (_name, error, status, code) => {
    const world = aWorld();
    world.kube.fail('list', error);
    expect(problemOf(await world.get('/v1/runs?continue=abc'))).toMatchObject({ status, code });
  });
});

describe('DELETE /v1/runs/{name}', () => {
  test('cancels the run, and once more changes nothing', async () => {
    const world = aWorld();
    await world.post('/v1/runs', { code: '1', name: 'hello' });
    const first = await world.delete('/v1/runs/hello');
    const generation = world.allRuns()[0]?.metadata.generation;
    const second = await world.delete('/v1/runs/hello');
    expect([first.statusCode, first.json().name, second.statusCode]).toEqual([200, 'hello', 200]);
    expect(world.allRuns()[0]).toMatchObject({ spec: { cancelled: true }, metadata: { generation } });
  });

  test('leaves a run that has ended as it is', async () => {
    const world = aWorld();
    await world.post('/v1/runs', { code: '1', name: 'hello' });
    await world.setStatus('Completed');
    const answer = await world.delete('/v1/runs/hello');
    expect([answer.json().state, world.allRuns()[0]?.spec.cancelled]).toEqual(['succeeded', false]);
  });

  test('answers 404 for what is not there, or is gone by then', async () => {
    const world = aWorld();
    expect((await world.delete('/v1/runs/nothing')).statusCode).toBe(404);
    await world.post('/v1/runs', { code: '1', name: 'hello' });
    world.runs.lags = true;
    await world.kube.delete(CODE_RUNS, NAMESPACE, 'hello');
    expect(problemOf(await world.delete('/v1/runs/hello'))).toMatchObject({ status: 404, code: 'RunNotFound' });
  });
});
