/** Sessions of callers: made once for a key, within limits and classes, by right, and there for nobody else. */

import { describe, expect, test } from 'vitest';
import { API_VERSION, REPL_SESSIONS, SANDBOX_CLASSES } from '../../../src/api/group.ts';
import { accessOf } from '../../../src/gateway/auth/access.ts';
import type { ApiKeyFields } from '../../../src/gateway/auth/keys.ts';
import { anExit, type Rule } from '../../support/bridge-agent.ts';
import { aGuardedWorld, bearer } from '../../support/credentials-world.ts';
import { aSessionWorld, withSessions } from '../../support/gateway-sessions.ts';
import { type Answer, aWorld, NAMESPACE, problemOf, type WorldOptions } from '../../support/gateway-world.ts';

const KEY = { 'idempotency-key': 'order-66' };
const CODE = { code: '1' };
const codeOf = (answer: Answer) => (answer.statusCode < 400 ? answer.statusCode : problemOf(answer).code);

const running: Rule = (request, say) => ('execute' in request ? say(anExit()) : say({ done: {} }));

/** A world of a caller with an API key. */
async function aKeyWorld(fields: Partial<ApiKeyFields> = {}, options: WorldOptions = {}) {
  const world = withSessions(await aGuardedWorld(options), running);
  const { authorization } = await world.addKey(fields);
  const post = (url: string, body: object | string, headers: Record<string, string> = {}) =>
    world.post(url, body, { authorization, ...headers });
  return { ...world, authorization, post };
}

describe('POST /v1/sessions that is sent again with its Idempotency-Key', () => {
  test('gives the session that the first one created, to all who send it at once', async () => {
    const world = aSessionWorld();
    const answers = await Promise.all(Array.from({ length: 5 }, () => world.post('/v1/sessions', {}, KEY)));
    expect(new Set(answers.map((answer) => answer.json().name)).size).toBe(1);
    expect([answers.map(codeOf), world.allSessions().length]).toEqual([Array(5).fill(201), 1]);
  });

  test('is refused where its body is another, or names a session', async () => {
    const world = aSessionWorld();
    await world.post('/v1/sessions', {}, KEY);
    const another = await world.post('/v1/sessions', { idleTimeoutSeconds: 60 }, KEY);
    const named = await world.post('/v1/sessions', { name: 'mine' }, { 'idempotency-key': 'other' });
    expect([codeOf(another), problemOf(another).field]).toEqual(['IdempotencyKeyReused', 'idempotency-key']);
    expect([codeOf(named), problemOf(named).field]).toEqual(['InvalidRequest', 'name']);
    expect(world.allSessions()).toHaveLength(1);
  });

  test('gives it also where there is no room for another', async () => {
    const world = await aKeyWorld({ concurrentRuns: 1 });
    expect([
      codeOf(await world.post('/v1/sessions', {}, KEY)),
      codeOf(await world.post('/v1/sessions', {}, KEY)),
      codeOf(await world.post('/v1/sessions', {})),
    ]).toEqual([201, 201, 'TooManyConcurrentRuns']);
  });
});

describe('a namespace with too much that waits', () => {
  test.each([
    ['/v1/sessions', {}],
    ['/repl/execute', { session_id: 'a', ...CODE }],
  ])('gets no session by POST %s, and is told when to come back', async (url, body) => {
    const world = aSessionWorld(undefined, { queuedRuns: 1 });
    await world.post('/v1/runs', CODE);
    const answer = await world.post(url, body);
    expect([codeOf(answer), answer.headers['retry-after'], world.allSessions()]).toEqual(['TooManyQueued', '5', []]);
  });

  test.each([
    ['Queued', 'TooManyQueued'],
    ['Starting', 'TooManyQueued'],
    ['Ready', 201],
    ['IdleTimeout', 201],
  ] as const)('counts a session that is %s: %s', async (reason, outcome) => {
    const world = aSessionWorld(undefined, { queuedRuns: 1 });
    await world.session(reason);
    expect([codeOf(await world.post('/v1/sessions', {})), codeOf(await world.post('/v1/runs', CODE))]).toEqual(
      outcome === 201 ? [201, 'TooManyQueued'] : [outcome, outcome],
    );
  });
});

describe('an API key with as many unfinished runs as it may', () => {
  test('gets a session when another has ended', async () => {
    const world = await aKeyWorld({ concurrentRuns: 1 });
    await world.post('/v1/sessions', { name: 's1' });
    await world.stand('s1', 'Ready');
    expect([codeOf(await world.post('/v1/sessions', {})), codeOf(await world.post('/v1/runs', CODE))]).toEqual(
      Array(2).fill('TooManyConcurrentRuns'),
    );
    await world.stand('s1', 'Terminated');
    expect(codeOf(await world.post('/v1/sessions', {}))).toBe(201);
  });

  test('has no more at once either, nor before the watch has seen them', async () => {
    const world = await aKeyWorld({ concurrentRuns: 2 });
    world.sessions.lags = true;
    const answers = await Promise.all(Array.from({ length: 5 }, () => world.post('/v1/sessions', {})));
    expect(answers.map(codeOf).filter((code) => code === 201)).toHaveLength(2);
  });
});

describe('an API key with classes', () => {
  const aClass = ({ kube }: ReturnType<typeof aWorld>, name: string) =>
    kube.create(SANDBOX_CLASSES, { apiVersion: API_VERSION, kind: 'SandboxClass', metadata: { name } });
  const classesOf = ({ allSessions }: ReturnType<typeof aSessionWorld>) =>
    allSessions().map(({ spec }) => spec.className);

  test('gets sessions of these only, and of the first where it names none', async () => {
    const world = await aKeyWorld({ classes: ['small', 'large'] });
    await world.post('/v1/sessions', {});
    await world.post('/v1/sessions', { className: 'large' });
    const answer = await world.post('/v1/sessions', { className: 'gpu' });
    expect([codeOf(answer), problemOf(answer).field]).toEqual(['ClassNotAllowed', 'className']);
    expect(classesOf(world)).toEqual(['small', 'large']);
  });

  test.each([
    [undefined, 'packages'],
    [['small', 'packages'], 'packages'],
    [['small'], 'small'],
  ])('of %j gets sessions of /repl of the class %s', async (classes, className) => {
    const world = await aKeyWorld(classes && { classes });
    await aClass(world, 'packages');
    void world.post('/repl/execute', { session_id: 'a', ...CODE });
    await world.until(() => world.allSessions().length === 1);
    expect(classesOf(world)).toEqual([className]);
  });

  test.each([
    ['of another class', 'gpu'],
    ['of the class that is the default', undefined],
  ])('uses no session %s that somebody else of its namespace has made', async (_what, className) => {
    const world = await aKeyWorld({ classes: ['small'] });
    await world.session('Ready', className === undefined ? {} : { spec: { className } });
    const answers = [
      await world.post('/v1/sessions/s1/execute', CODE),
      await world.get('/v1/sessions/s1/files', { authorization: world.authorization }),
      await world.post('/v1/runs', { ...CODE, sessionRef: { name: 's1' } }),
    ];
    expect(answers.map(codeOf)).toEqual(Array(3).fill('ClassNotAllowed'));
    expect([world.agent.streams, world.allRuns()]).toEqual([[], []]);
  });

  test('uses a session of its class', async () => {
    const world = await aKeyWorld({ classes: ['small'] });
    await world.session('Ready', { spec: { className: 'small' } });
    expect([
      codeOf(await world.post('/v1/sessions/s1/execute', CODE)),
      codeOf(await world.post('/v1/runs', { ...CODE, sessionRef: { name: 's1' } })),
    ]).toEqual([200, 201]);
  });

  test('uses no session of /repl of another class', async () => {
    const world = await aKeyWorld({ classes: ['small'] });
    const other = await world.addKey();
    const ask = (authorization: string) => world.post('/repl/execute', { session_id: 'a', ...CODE }, { authorization });
    const first = ask(other.authorization);
    await world.until(() => world.allSessions().length === 1);
    await world.stand(world.allSessions()[0]?.metadata.name ?? '', 'Ready');
    expect([codeOf(await first), codeOf(await ask(world.authorization))]).toEqual([200, 'ClassNotAllowed']);
  });
});

type Route = [method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, verb: string, more?: object];

/** What each route about a session takes: a right, and a request that is valid. */
const ROUTES: Route[] = [
  ['GET', '', 'get'],
  ['GET', '?wait=1', 'get'],
  ['DELETE', '', 'patch'],
  ['POST', '/execute', 'patch', { payload: CODE }],
  ['POST', '/interrupt', 'patch'],
  ['POST', '/restart', 'patch', { payload: {} }],
  ['GET', '/variables', 'get'],
  ['GET', '/files', 'get'],
  ['GET', '/files/content?path=a', 'get'],
  ['PUT', '/files/content?path=a', 'patch', { payload: 'content' }],
  ['DELETE', '/files/content?path=a', 'patch'],
  ['POST', '/packages', 'patch', { payload: { packages: ['humanize'] } }],
];

test('the table of routes about a session has all of them', async () => {
  const { paths } = (await aWorld().get('/openapi.json')).json() as { paths: Record<string, object> };
  const documented = Object.entries(paths).flatMap(([path, methods]) =>
    path.startsWith('/v1/sessions/{name}') ? Object.keys(methods).map((method) => `${method} ${path}`) : [],
  );
  const tabled = ROUTES.map(([method, path]) => `${method.toLowerCase()} /v1/sessions/{name}${path.split('?')[0]}`);
  expect([...new Set(tabled)].sort()).toEqual(documented.sort());
});

describe("somebody else's session", () => {
  test.each(ROUTES)('is not there for %s %s', async (method, path, _verb, more) => {
    const world = await aKeyWorld();
    await world.session('Ready', { namespace: 'theirs' });
    const headers = { authorization: world.authorization };
    const ask = (name: string) => world.send({ method, url: `/v1/sessions/${name}${path}`, headers, ...more });
    const [existing, missing] = [await ask('s1'), await ask('nothing')];
    expect([existing.statusCode, codeOf(existing), codeOf(missing)]).toEqual([
      404,
      'SessionNotFound',
      'SessionNotFound',
    ]);
    expect(problemOf(existing).detail).toBe(problemOf(missing).detail);
    expect([world.agent.streams, world.allSessions()[0]?.spec.terminated]).toEqual([[], false]);
  });

  test('is in no list, its name is free, and its id of /repl is another session', async () => {
    const world = await aKeyWorld();
    const theirs = await world.addKey({ namespace: 'theirs' });
    await world.post('/v1/sessions', { name: 'mine' }, { authorization: theirs.authorization });
    expect((await world.get('/v1/sessions', { authorization: world.authorization })).json().items).toEqual([]);
    expect(codeOf(await world.post('/v1/sessions', { name: 'mine' }))).toBe(201);
    for (const authorization of [theirs.authorization, world.authorization])
      void world.post('/repl/execute', { session_id: 'a', ...CODE }, { authorization });
    await world.until(() => world.allSessions().length === 4);
    expect(world.allSessions().map(({ metadata }) => metadata.namespace)).toEqual([
      'theirs',
      NAMESPACE,
      'theirs',
      NAMESPACE,
    ]);
  });
});

describe('a token of Kubernetes', () => {
  const [group] = API_VERSION.split('/');
  const USER = { username: 'alice', groups: [] };

  const routes: [method: Route[0], path: string | undefined, verb: string, more: object][] = [
    ...ROUTES.map(([method, path, verb, more = {}]): [Route[0], string, string, object] => [method, path, verb, more]),
    ['POST', undefined, 'create', { payload: {} }],
    ['GET', undefined, 'list', {}],
  ];

  test.each(routes)(
    'takes for %s of a session (%s) the right to %s it, and no other will do',
    async (method, path, verb, more) => {
      const world = withSessions(await aGuardedWorld(), running);
      world.addToken('t0ken', USER);
      await world.session();
      const url = path === undefined ? '/v1/sessions' : `/v1/sessions/s1${path}`;
      const headers = { ...bearer('t0ken'), 'x-coderun-namespace': NAMESPACE };
      const verbs = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'].filter((other) => other !== verb);
      for (const other of verbs) world.allow(`alice ${other} ${REPL_SESSIONS.plural} ${NAMESPACE}`);
      expect(codeOf(await world.send({ method, url, headers, ...more }))).toBe('Forbidden');
      expect(world.agent.streams).toEqual([]);
      const pattern = url.replace('/s1', '/:name').split('?')[0] ?? '';
      expect(accessOf(method, pattern)).toEqual({ group, verb, resource: 'replsessions' });
    },
  );

  test.each(['/repl/execute', '/repl/install'])('takes for POST %s the right to create sessions', (url) => {
    expect(accessOf('POST', url)).toEqual({ group, verb: 'create', resource: 'replsessions' });
  });
});
