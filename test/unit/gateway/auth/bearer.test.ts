import { describe, expect, test } from 'vitest';
import { KubeError } from '../../../../src/kube/error.ts';
import { aGuardedWorld, bearer } from '../../../support/credentials-world.ts';
import { type Answer, NAMESPACE, problemOf } from '../../../support/gateway-world.ts';

const CODE = { code: '1' };
const codeOf = (answer: Answer) => (answer.statusCode < 400 ? answer.statusCode : problemOf(answer).code);

describe('without credentials', () => {
  test('nobody gets in, on known and unknown paths alike, and is told what to send', async () => {
    const world = await aGuardedWorld();
    const answers = [await world.post('/execute', CODE), await world.get('/v1/runs'), await world.get('/nothing')];
    expect(answers.map(codeOf)).toEqual(Array(3).fill('Unauthenticated'));
    expect([answers[0]?.headers['www-authenticate'], world.allRuns()]).toEqual(['Bearer realm="coderun"', []]);
  });

  test('the description of the API is for everybody', async () => {
    const world = await aGuardedWorld();
    expect([codeOf(await world.get('/openapi.json')), codeOf(await world.get('/docs'))]).toEqual([200, 200]);
  });

  test('everybody works in the namespace of the anonymous, where there is one, and in no other', async () => {
    const world = await aGuardedWorld({ bearer: { anonymousNamespace: 'open' } });
    expect((await world.post('/v1/runs', CODE)).json().namespace).toBe('open');
    const answer = await world.post('/v1/runs', CODE, { 'x-coderun-namespace': NAMESPACE });
    expect([codeOf(answer), problemOf(answer).field]).toEqual(['Forbidden', 'x-coderun-namespace']);
  });

  test('wrong ones are not taken for none', async () => {
    const world = await aGuardedWorld({ bearer: { anonymousNamespace: 'open' } });
    expect(codeOf(await world.get('/v1/runs', bearer('x')))).toBe('Unauthenticated');
  });

  test.each([
    '',
    'Bearer',
    'Bearer ',
    'Basic eDp4',
    'Bearer a b',
    'Bearer a,b',
    `Bearer ${'x'.repeat(8193)}`,
    'bearer\tx',
  ])('%j is none', async (authorization) => {
    const world = await aGuardedWorld();
    const answer = await world.get('/v1/runs', { authorization });
    expect([codeOf(answer), world.asked]).toEqual(['Unauthenticated', []]);
  });
});

describe('an API key', () => {
  test('works in its namespace, and leaves its id on what it makes', async () => {
    const world = await aGuardedWorld();
    const { authorization, id } = await world.addKey();
    const answer = await world.post('/v1/runs', CODE, { authorization });
    expect([answer.statusCode, answer.json().namespace]).toEqual([201, NAMESPACE]);
    expect(world.allRuns()[0]?.metadata.labels).toEqual({ 'coderun.dev/api-key': id });
  });

  test('may name its namespace, and no other', async () => {
    const world = await aGuardedWorld();
    const { authorization } = await world.addKey();
    const get = (namespace: string) => world.get('/v1/runs', { authorization, 'x-coderun-namespace': namespace });
    expect([codeOf(await get(NAMESPACE)), codeOf(await get('kube-system'))]).toEqual([200, 'Forbidden']);
  });

  test.each([
    ['of another secret', (text: string) => `${text.slice(0, -1)}${text.endsWith('A') ? 'B' : 'A'}`],
    ['of another id', (text: string) => text.replace(/crk_./, (start) => (start === 'crk_0' ? 'crk_1' : 'crk_0'))],
    ['cut short', (text: string) => text.slice(0, -1)],
    ['with more behind it', (text: string) => `${text}x`],
  ])('%s is refused in the same words as any other', async (_what, spoil) => {
    const world = await aGuardedWorld();
    const { authorization } = await world.addKey();
    const answers = [
      await world.get('/v1/runs', { authorization: spoil(authorization) }),
      await world.get('/v1/runs', bearer(`crk_${'0'.repeat(16)}_${'a'.repeat(43)}`)),
    ];
    expect(answers.map(codeOf)).toEqual(['Unauthenticated', 'Unauthenticated']);
    expect(problemOf(answers[0] as Answer).detail).toBe(problemOf(answers[1] as Answer).detail);
    expect(world.asked).toEqual([]);
  });

  test('that is new or revoked is known to be so within five seconds, without a restart', async () => {
    const world = await aGuardedWorld();
    await world.get('/v1/runs', bearer(`crk_${'0'.repeat(16)}_${'a'.repeat(43)}`));
    const { authorization, id } = await world.addKey();
    await world.clock.advance(5000);
    expect(codeOf(await world.get('/v1/runs', { authorization }))).toBe(200);
    await world.revokeKey(id);
    await world.clock.advance(5000);
    expect(codeOf(await world.get('/v1/runs', { authorization }))).toBe('Unauthenticated');
  });

  test('that expires is refused from then on', async () => {
    const world = await aGuardedWorld();
    const expires = new Date(world.clock.now().getTime() + 1000).toISOString();
    const { authorization } = await world.addKey({ expires });
    expect(codeOf(await world.get('/v1/runs', { authorization }))).toBe(200);
    await world.clock.advance(1000);
    expect(codeOf(await world.get('/v1/runs', { authorization }))).toBe('Unauthenticated');
  });

  test('is not refused but asked to come again where the keys can not be read', async () => {
    const world = await aGuardedWorld();
    const { authorization } = await world.addKey();
    world.kube.fail('get', new KubeError(500, 'InternalError', 'etcd at 10.0.0.1 is down'));
    const answer = await world.get('/v1/runs', { authorization });
    expect([codeOf(answer), answer.body.includes('10.0.0.1')]).toEqual(['ClusterUnavailable', false]);
    expect(codeOf(await world.get('/v1/runs', { authorization }))).toBe(200);
  });

  test('in the query is not taken', async () => {
    const world = await aGuardedWorld();
    const { authorization } = await world.addKey();
    const text = authorization.slice('Bearer '.length);
    expect(codeOf(await world.get(`/v1/runs?access_token=${text}`))).toBe('Unauthenticated');
  });
});

describe('a run of another key', () => {
  const requests = [
    ['GET', '/v1/runs/secret'],
    ['GET', '/v1/runs/secret?wait=1'],
    ['DELETE', '/v1/runs/secret'],
    ['GET', '/v1/runs/secret/logs'],
    ['GET', '/v1/runs/secret/artifacts/plot.png'],
    ['GET', '/v1/runs/secret/events'],
  ] as const;

  test.each(requests)('is not there for %s %s', async (method, url) => {
    const world = await aGuardedWorld();
    const mine = await world.addKey();
    const theirs = await world.addKey({ namespace: 'theirs' });
    await world.post('/v1/runs', { ...CODE, name: 'secret' }, { authorization: theirs.authorization });
    const ask = (path: string) => world.send({ method, url: path, headers: { authorization: mine.authorization } });
    const [existing, missing] = [await ask(url), await ask(url.replace('secret', 'nothing'))];
    expect([codeOf(existing), codeOf(missing)]).toEqual(['RunNotFound', 'RunNotFound']);
    expect(problemOf(existing).detail).toBe(problemOf(missing).detail);
    expect(world.allRuns()[0]?.spec.cancelled).toBe(false);
  });

  test('is in no list of others, and its name is free for them', async () => {
    const world = await aGuardedWorld();
    const [{ authorization }, theirs] = [await world.addKey(), await world.addKey({ namespace: 'theirs' })];
    await world.post('/v1/runs', { ...CODE, name: 'secret' }, { authorization: theirs.authorization });
    expect((await world.get('/v1/runs', { authorization })).json().items).toEqual([]);
    expect((await world.post('/v1/runs', { ...CODE, name: 'secret' }, { authorization })).statusCode).toBe(201);
  });
});

describe('a token of Kubernetes', () => {
  const ACCOUNT = { username: 'system:serviceaccount:team:robot', uid: 'u', groups: ['system:serviceaccounts'] };
  const ask = (world: Awaited<ReturnType<typeof aGuardedWorld>>, headers = {}) =>
    world.get('/v1/runs', { ...bearer('t0ken'), ...headers });

  test('works where RBAC lets its user, who is asked for by name, group and uid', async () => {
    const world = await aGuardedWorld();
    world.addToken('t0ken', ACCOUNT);
    world.allow(`${ACCOUNT.username} list coderuns team`);
    expect(codeOf(await ask(world))).toBe(200);
    expect(world.asked).toEqual([
      { token: 't0ken' },
      {
        user: ACCOUNT.username,
        uid: 'u',
        groups: ACCOUNT.groups,
        resourceAttributes: { group: 'coderun.dev', verb: 'list', resource: 'coderuns', namespace: 'team' },
      },
    ]);
  });

  test('may not do what RBAC does not let it, each verb and resource for itself', async () => {
    const world = await aGuardedWorld();
    world.addToken('t0ken', ACCOUNT);
    world.allow(`${ACCOUNT.username} list coderuns team`);
    const headers = bearer('t0ken');
    const answers = [
      await world.post('/v1/runs', CODE, headers),
      await world.post('/execute', CODE, headers),
      await world.post('/execute/batch', [CODE], headers),
      await world.post('/v1/batches', { items: [CODE] }, headers),
      await world.get('/v1/runs/x', headers),
      await world.delete('/v1/runs/x', headers),
    ];
    expect(answers.map(codeOf)).toEqual(Array(6).fill('Forbidden'));
    const rights = world.asked.flatMap(({ resourceAttributes: right }) =>
      right ? `${right.verb} ${right.resource}` : [],
    );
    expect(rights).toEqual([
      'create coderuns',
      'create coderuns',
      'create codebatches',
      'create codebatches',
      'get coderuns',
      'patch coderuns',
    ]);
    expect(world.allRuns()).toEqual([]);
  });

  test('works in another namespace where the header names it and RBAC lets it', async () => {
    const world = await aGuardedWorld();
    world.addToken('t0ken', ACCOUNT);
    world.allow(`${ACCOUNT.username} list coderuns other`);
    expect(codeOf(await ask(world, { 'x-coderun-namespace': 'other' }))).toBe(200);
    const refused = await ask(world, { 'x-coderun-namespace': 'kube-system' });
    expect([codeOf(refused), problemOf(refused).field]).toEqual(['Forbidden', 'x-coderun-namespace']);
  });

  test.each(['UPPER', 'a/b', '', 'a'.repeat(64), '..'])(
    'with %j as a namespace is told what is wrong',
    async (name) => {
      const world = await aGuardedWorld();
      world.addToken('t0ken', ACCOUNT);
      const answer = await ask(world, { 'x-coderun-namespace': name });
      expect([codeOf(answer), problemOf(answer).field]).toEqual(['InvalidRequest', 'x-coderun-namespace']);
    },
  );

  test('of a person must say which namespace', async () => {
    const world = await aGuardedWorld();
    world.addToken('t0ken', { username: 'jane' });
    expect([codeOf(await ask(world)), problemOf(await ask(world)).field]).toEqual([
      'InvalidRequest',
      'x-coderun-namespace',
    ]);
  });

  test('that the API server does not know is refused, and asked about again', async () => {
    const world = await aGuardedWorld();
    expect([codeOf(await ask(world)), codeOf(await ask(world))]).toEqual(['Unauthenticated', 'Unauthenticated']);
    expect(world.asked).toHaveLength(2);
  });

  test('for another audience is refused, also by a server that knows of none', async () => {
    const world = await aGuardedWorld({ bearer: { audience: 'coderun' } });
    world.addToken('t0ken', ACCOUNT);
    world.allow(`${ACCOUNT.username} list coderuns team`);
    expect(codeOf(await ask(world))).toBe(200);
    world.kube.answer('TokenReview', () => ({ status: { authenticated: true, user: ACCOUNT, audiences: [] } }));
    expect(codeOf(await world.get('/v1/runs', bearer('other')))).toBe('Unauthenticated');
  });

  test('is asked about once in ten seconds, however many come at once, and then anew', async () => {
    const world = await aGuardedWorld();
    world.addToken('t0ken', ACCOUNT);
    world.allow(`${ACCOUNT.username} list coderuns team`);
    await Promise.all(Array.from({ length: 20 }, () => ask(world)));
    expect(world.asked).toHaveLength(2);
    world.forbid(`${ACCOUNT.username} list coderuns team`);
    await world.clock.advance(10_000);
    expect(codeOf(await ask(world))).toBe('Forbidden');
    world.revokeToken('t0ken');
    await world.clock.advance(10_000);
    expect(codeOf(await ask(world))).toBe('Unauthenticated');
  });

  test('is not refused but asked to come again where the API server does not answer', async () => {
    const world = await aGuardedWorld();
    world.addToken('t0ken', ACCOUNT);
    world.allow(`${ACCOUNT.username} list coderuns team`);
    for (const failure of [
      new KubeError(503, '', 'down'),
      new KubeError(403, 'Forbidden', 'no'),
      new KubeError(0, '', ''),
    ]) {
      world.kube.fail('create', failure);
      const answer = await world.post('/v1/runs', CODE, bearer('t0ken'));
      expect([codeOf(answer), problemOf(answer).retrySafe, answer.headers['retry-after']]).toEqual([
        'ClusterUnavailable',
        true,
        '1',
      ]);
    }
    expect(codeOf(await ask(world))).toBe(200);
  });
});

describe('wrong credentials', () => {
  test('are slowed down by address after twenty in a minute, and bother the API server no more', async () => {
    const world = await aGuardedWorld();
    const guess = (index: number) => world.get('/v1/runs', bearer(`guess${index}`));
    for (let index = 0; index < 20; index++) expect(codeOf(await guess(index))).toBe('Unauthenticated');
    const answer = await guess(20);
    expect([codeOf(answer), Number(answer.headers['retry-after'])]).toEqual(['TooManyFailures', expect.any(Number)]);
    expect(world.asked).toHaveLength(20);
  });

  test('of somebody at the same address are nothing to whoever has right ones', async () => {
    const world = await aGuardedWorld();
    const { authorization } = await world.addKey();
    for (let index = 0; index < 30; index++) await world.get('/v1/runs', bearer(`crk_guess${index}`));
    expect(codeOf(await world.get('/v1/runs', bearer('crk_guess')))).toBe('TooManyFailures');
    expect(codeOf(await world.get('/v1/runs', { authorization }))).toBe(200);
    const claimed = { ...bearer('crk_guess'), 'x-forwarded-for': '192.0.2.1', forwarded: 'for=192.0.2.1' };
    expect(codeOf(await world.get('/v1/runs', claimed))).toBe('TooManyFailures');
    const elsewhere = { url: '/v1/runs', remoteAddress: '192.0.2.1', headers: bearer('crk_guess') };
    expect(codeOf(await world.send(elsewhere))).toBe('Unauthenticated');
  });
});

test('no credentials are in the log or in an answer', async () => {
  const world = await aGuardedWorld();
  const { authorization } = await world.addKey();
  world.addToken('t0ken-secret', { username: 'jane' });
  const texts = ['t0ken-secret', 'unkn0wn-secret', authorization.slice('Bearer '.length), 'crk_wrong-secret'];
  const answers = [];
  for (const text of texts) answers.push(await world.get('/v1/runs', bearer(text)));
  await world.until(() => world.finished.length === texts.length);
  const said = JSON.stringify([world.logged, answers.map(({ body, headers }) => [body, headers])]);
  for (const text of texts) expect(said).not.toContain(text);
});
