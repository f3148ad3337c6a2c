import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SANDBOX_CLASSES } from '../../../src/api/group.ts';
import { aGuardedWorld } from '../../support/credentials-world.ts';
import { type Answer, aWorld, problemOf } from '../../support/gateway-world.ts';

const CODE = { code: '1' };
const codeOf = (answer: Answer) => (answer.statusCode < 400 ? answer.statusCode : problemOf(answer).code);
const retryAfter = (answer: Answer) => Number(answer.headers['retry-after']);

describe('how often a caller may ask', () => {
  // The library that counts reads the system's clock.
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
  afterEach(() => void vi.useRealTimers());

  const headersOf = ({ headers }: Answer) =>
    ['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset'].map((name) => Number(headers[name]));

  test('is said with every answer, and beyond it when to come back', async () => {
    const world = aWorld({ limits: { requestsPerMinute: 2 } });
    expect(headersOf(await world.get('/v1/runs'))).toEqual([2, 1, 60]);
    vi.advanceTimersByTime(15_000);
    expect(headersOf(await world.get('/v1/runs'))).toEqual([2, 0, 45]);
    const refused = await world.get('/v1/runs');
    expect([codeOf(refused), retryAfter(refused), headersOf(refused)]).toEqual(['TooManyRequests', 45, [2, 0, 45]]);
    expect(problemOf(refused).retrySafe).toBe(true);
    vi.advanceTimersByTime(45_000);
    expect(codeOf(await world.get('/v1/runs'))).toBe(200);
  });

  test('is for each API key what it says, and one key does not use up what another has', async () => {
    const world = await aGuardedWorld({ limits: { requestsPerMinute: 3 } });
    const keys = [await world.addKey({ requestsPerMinute: 1 }), await world.addKey()];
    const ask = (key: number) => world.get('/v1/runs', { authorization: keys[key]?.authorization ?? '' });
    expect([codeOf(await ask(0)), codeOf(await ask(0)), codeOf(await ask(0))]).toEqual([
      200,
      'TooManyRequests',
      'TooManyRequests',
    ]);
    expect([codeOf(await ask(1)), codeOf(await ask(1)), codeOf(await ask(1))]).toEqual([200, 200, 200]);
  });

  test('is bounded for all keys of a namespace together, and what is refused to one is not counted for all', async () => {
    const world = await aGuardedWorld({ limits: { namespaceRequestsPerMinute: 3 } });
    const keys = [
      await world.addKey({ requestsPerMinute: 1 }),
      await world.addKey(),
      await world.addKey({ namespace: 'other' }),
    ];
    const ask = async (key: number) =>
      codeOf(await world.get('/v1/runs', { authorization: keys[key]?.authorization ?? '' }));
    const answers = [];
    for (const key of [0, 0, 0, 0, 1, 1, 1, 2]) answers.push(await ask(key));
    const refused = 'TooManyRequests';
    expect(answers).toEqual([200, refused, refused, refused, 200, 200, refused, 200]);
  });

  test('is not counted for what is open to anybody', async () => {
    const world = aWorld({ limits: { requestsPerMinute: 1 } });
    await world.get('/v1/runs');
    const { statusCode, headers } = await world.get('/openapi.json');
    expect([statusCode, headers['ratelimit-limit']]).toEqual([200, undefined]);
  });
});

describe('a namespace with too many runs that wait', () => {
  const creations = [
    ['/execute', CODE],
    ['/execute/batch', [CODE]],
    ['/v1/runs', CODE],
    ['/v1/runs?wait=5', CODE],
    ['/v1/batches', { items: [CODE] }],
  ] as const;

  test.each(creations)('is told by POST %s when to come back, and nothing is created', async (url, body) => {
    const world = aWorld({ queuedRuns: 2 });
    for (const name of ['a', 'b']) await world.post('/v1/runs', { ...CODE, name });
    const answer = await world.post(url, body);
    expect([answer.statusCode, codeOf(answer), retryAfter(answer)]).toEqual([429, 'TooManyQueued', 5]);
    expect([world.allRuns().length, world.held.at(-1) ?? 0]).toEqual([2, 0]);
  });

  test.each(['Running', 'Completed', 'OutOfMemory'] as const)('has room again when one is %s', async (reason) => {
    const world = aWorld({ queuedRuns: 1 });
    await world.post('/v1/runs', CODE);
    await world.setStatus(reason);
    expect((await world.post('/v1/runs', CODE)).statusCode).toBe(201);
  });

  test.each(['Queued', 'Starting', 'QuotaExceeded'] as const)('has none while it is %s', async (reason) => {
    const world = aWorld({ queuedRuns: 1 });
    await world.post('/v1/runs', CODE);
    await world.setStatus(reason);
    expect(codeOf(await world.post('/v1/runs', CODE))).toBe('TooManyQueued');
  });

  test('is nothing to another namespace', async () => {
    const world = await aGuardedWorld({ queuedRuns: 1 });
    const [mine, theirs] = [await world.addKey(), await world.addKey({ namespace: 'theirs' })];
    const post = (key: typeof mine) => world.post('/v1/runs', CODE, { authorization: key.authorization });
    await post(theirs);
    expect([codeOf(await post(theirs)), codeOf(await post(mine))]).toEqual(['TooManyQueued', 201]);
  });
});

describe('an API key with too many unfinished runs', () => {
  const poster = async (world: Awaited<ReturnType<typeof aGuardedWorld>>, concurrentRuns: number) => {
    const { authorization } = await world.addKey({ concurrentRuns });
    return (url = '/v1/runs', body: object = CODE) => world.post(url, body, { authorization });
  };

  test('is told when to come back, until one has ended', async () => {
    const world = await aGuardedWorld();
    const post = await poster(world, 2);
    const name = (await post()).json().name;
    await post();
    const refused = await post();
    expect([codeOf(refused), retryAfter(refused)]).toEqual(['TooManyConcurrentRuns', 2]);
    await world.setStatus('Running', {}, name);
    expect(codeOf(await post())).toBe('TooManyConcurrentRuns');
    await world.setStatus('Completed', {}, name);
    expect(codeOf(await post())).toBe(201);
  });

  test('has no more at once either, nor before the watch has seen them', async () => {
    const world = await aGuardedWorld();
    const post = await poster(world, 2);
    world.runs.lags = true;
    const answers = await Promise.all(Array.from({ length: 10 }, () => post()));
    expect(answers.map(codeOf).filter((code) => code === 201)).toHaveLength(2);
    world.runs.lags = false;
    world.runs.look();
    expect(codeOf(await post())).toBe('TooManyConcurrentRuns');
  });

  test('gets its room back where nothing came of it', async () => {
    const world = await aGuardedWorld();
    const post = await poster(world, 1);
    await post('/v1/runs', { ...CODE, code: '<'.repeat(140_000) });
    world.kube.fail('create', new Error('gone'));
    await post();
    expect(codeOf(await post())).toBe(201);
  });

  test('has a run that nobody ever sees forgotten after ten seconds', async () => {
    const world = await aGuardedWorld();
    const post = await poster(world, 1);
    world.runs.lags = true;
    await post();
    await world.clock.advance(10_000);
    expect(codeOf(await post())).toBe(201);
  });

  test('is nothing to another key of the namespace', async () => {
    const world = await aGuardedWorld();
    const [first, second] = [await poster(world, 1), await poster(world, 1)];
    expect([codeOf(await first()), codeOf(await first()), codeOf(await second())]).toEqual([
      201,
      'TooManyConcurrentRuns',
      201,
    ]);
  });

  test('counts what a batch may have at once, and says which field asks for too much', async () => {
    const world = await aGuardedWorld();
    const post = await poster(world, 3);
    const items = Array.from({ length: 5 }, () => CODE);
    const tooMany = await post('/v1/batches', { items });
    expect([tooMany.statusCode, problemOf(tooMany).field]).toEqual([403, 'parallelism']);
    expect(codeOf(await post('/v1/batches', { items, parallelism: 2 }))).toBe(201);
    expect([codeOf(await post()), codeOf(await post())]).toEqual([201, 'TooManyConcurrentRuns']);
  });

  test('has its seed-shaped batches run no more at once than it may', async () => {
    const world = await aGuardedWorld();
    const post = await poster(world, 3);
    expect(codeOf(await post('/execute/batch', Array(5).fill(CODE)))).toBe(201);
    expect(codeOf(await post())).toBe('TooManyConcurrentRuns');
  });
});

describe('an API key with classes', () => {
  const aWorldOf = async (...classes: string[]) => {
    const world = await aGuardedWorld();
    const { authorization } = await world.addKey({ classes });
    return { ...world, post: (url: string, body: object) => world.post(url, body, { authorization }) };
  };

  test.each([
    ['/v1/runs', { ...CODE, className: 'gpu' }, 'className'],
    ['/v1/batches', { items: [CODE], template: { className: 'gpu' } }, 'template.className'],
    ['/v1/batches', { items: [CODE, { ...CODE, className: 'gpu' }] }, 'items.1.className'],
  ])('may use no other by POST %s', async (url, body, field) => {
    const world = await aWorldOf('small', 'large');
    const answer = await world.post(url, body);
    expect([answer.statusCode, codeOf(answer), problemOf(answer).field]).toEqual([403, 'ClassNotAllowed', field]);
    expect(problemOf(answer).detail).toContain('small, large');
    expect(world.allRuns()).toEqual([]);
  });

  test.each([
    ['/execute', { ...CODE, allow_network: true }, 'allow_network'],
    ['/execute/batch', [CODE, { ...CODE, allow_network: true }], '1.allow_network'],
  ])('may not reach the network by POST %s where it is not among them', async (url, body, field) => {
    const world = await aWorldOf('small');
    const { apiVersion, kind } = SANDBOX_CLASSES;
    await world.kube.create(SANDBOX_CLASSES, { apiVersion, kind, metadata: { name: 'internet' } });
    const answer = await world.post(url, body);
    expect([answer.statusCode, codeOf(answer), problemOf(answer).field]).toEqual([403, 'NetworkNotAllowed', field]);
  });

  test('has the first where it names none, and the one that it names', async () => {
    const world = await aWorldOf('small', 'large');
    await world.post('/v1/runs', { ...CODE, name: 'a' });
    await world.post('/v1/runs', { ...CODE, name: 'b', className: 'large' });
    await world.post('/v1/runs', { ...CODE, name: 'c', sessionRef: { name: 's' } });
    expect(world.allRuns().map(({ spec }) => spec.className)).toEqual(['small', 'large', undefined]);
  });
});

test('one caller does not hold all the requests that may be held', async () => {
  const world = await aGuardedWorld({ limits: { heldRequests: 3, heldRequestsPerCaller: 2 } });
  const [{ authorization }, other] = [await world.addKey(), await world.addKey({ namespace: 'other' })];
  await world.post('/v1/runs', { ...CODE, name: 'slow' }, { authorization });
  const held = [1, 2].map(() => world.get('/v1/runs/slow?wait=60', { authorization }));
  await world.until(() => world.held.at(-1) === 2);
  const refused = await world.get('/v1/runs/slow?wait=60', { authorization });
  expect([refused.statusCode, codeOf(refused), retryAfter(refused)]).toEqual([429, 'TooManyHeld', 2]);
  const theirs = world.post('/execute', CODE, { authorization: other.authorization });
  await world.until(() => world.held.at(-1) === 3);
  await world.setStatus('Completed', {}, 'slow');
  await Promise.all(held);
  await world.until(() => world.held.at(-1) === 1);
  expect(codeOf(await world.get('/v1/runs/slow?wait=60', { authorization }))).toBe(200);
  await world.setStatus(
    'Completed',
    { exitCode: 0 },
    world.allRuns().find(({ metadata }) => metadata.namespace === 'other')?.metadata.name,
  );
  expect((await theirs).statusCode).toBe(200);
});

test('a gateway that is late refuses at once, creates nothing, and takes requests again when it has caught up', async () => {
  let lag = 1001;
  const world = aWorld({ lag: () => lag });
  const refused = await world.post('/v1/runs', CODE);
  expect([refused.statusCode, codeOf(refused), retryAfter(refused), world.allRuns()]).toEqual([
    503,
    'Overloaded',
    2,
    [],
  ]);
  lag = 1000;
  expect(codeOf(await world.post('/v1/runs', CODE))).toBe(201);
});
