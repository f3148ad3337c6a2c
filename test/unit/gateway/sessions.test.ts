/** /v1/sessions: sessions are created, shown, listed and ended; what they are in the cluster is what is answered. */

import { describe, expect, test } from 'vitest';
import { SESSION_REASONS, type SessionReason } from '../../../src/api/session-reasons.ts';
import { aSessionWorld } from '../../support/gateway-sessions.ts';
import { problemOf } from '../../support/gateway-world.ts';

describe('POST /v1/sessions', () => {
  test('creates a session with its defaults, says where it is, and does not wait', async () => {
    const { post, allSessions } = aSessionWorld();
    const answer = await post('/v1/sessions', {});
    const { name } = answer.json();
    expect(answer.statusCode).toBe(201);
    expect(answer.headers['location']).toBe(`/v1/sessions/${name}`);
    expect(answer.json()).toMatchObject({ namespace: 'tenant', state: 'starting', reason: 'Queued' });
    expect(name).toMatch(/^session-[a-z2-7]{10}$/);
    expect(allSessions()).toMatchObject([
      {
        metadata: { name, namespace: 'tenant' },
        spec: { idleTimeoutSeconds: 300, maxLifetimeSeconds: 3600, terminated: false },
      },
    ]);
  });

  test('takes the fields of the spec flat, and a name', async () => {
    const { post, allSessions } = aSessionWorld();
    const spec = { idleTimeoutSeconds: 60, className: 'big', env: [{ name: 'A', value: 'b' }] };
    const answer = await post('/v1/sessions', { name: 'mine', ...spec });
    expect([answer.statusCode, answer.json().name]).toEqual([201, 'mine']);
    expect(allSessions()[0]?.spec).toMatchObject(spec);
  });

  test('with wait holds the answer until the session is ready', async () => {
    const { post, stand, until, allSessions, sessions } = aSessionWorld();
    const pending = post('/v1/sessions?wait=10', { name: 's1' });
    await until(() => allSessions().length === 1 && sessions.listening > 0);
    await stand('s1', 'Starting');
    await stand('s1', 'Ready', { expiresAt: '2026-01-01T00:05:00Z' });
    expect((await pending).json()).toMatchObject({
      state: 'ready',
      reason: 'Ready',
      expiresAt: '2026-01-01T00:05:00Z',
    });
  });

  test('with wait answers the session as it stands when the time is over', async () => {
    const { post, clock, until, sessions } = aSessionWorld();
    const pending = post('/v1/sessions?wait=10', {});
    await until(() => sessions.listening > 0);
    await clock.advance(10_000);
    expect((await pending).json()).toMatchObject({ state: 'starting' });
  });

  test.each<[string, object, string]>([
    ['a field that there is not', { code: '1' }, 'code'],
    ['a time that is too short', { idleTimeoutSeconds: 1 }, 'idleTimeoutSeconds'],
    ['an end before its beginning', { terminated: true }, 'terminated'],
    ['a name that is none', { name: 'A_b' }, 'name'],
    ['a package that is a URL', { packages: ['https://example.org/x.whl'] }, 'packages.0'],
  ])('refuses %s and makes nothing', async (_what, body, field) => {
    const { post, allSessions } = aSessionWorld();
    const answer = await post('/v1/sessions', body);
    expect(answer.statusCode).toBe(400);
    expect(problemOf(answer)).toMatchObject({ code: 'InvalidRequest', field });
    expect(allSessions()).toEqual([]);
  });

  test('refuses a name that is taken', async () => {
    const { post, session } = aSessionWorld();
    await session();
    expect(problemOf(await post('/v1/sessions', { name: 's1' }))).toMatchObject({ status: 409, code: 'AlreadyExists' });
  });
});

describe('GET /v1/sessions/{name}', () => {
  test.each(Object.entries(SESSION_REASONS))('shows %s as what it is', async (reason, { state, sentence }) => {
    const { get, session } = aSessionWorld();
    await session(reason as SessionReason);
    expect((await get('/v1/sessions/s1')).json()).toMatchObject({ name: 's1', state, reason, message: sentence });
  });

  test('has the fields of the status flat, and nothing else', async () => {
    const { get, session, stand } = aSessionWorld();
    await session();
    const status = { executions: 3, startTime: '2026-01-01T00:00:00Z', lastActivityTime: '2026-01-01T00:00:09Z' };
    await stand('s1', 'Ready', { ...status, ...{ secret: 'x' } });
    const body = (await get('/v1/sessions/s1')).json();
    expect(body).toMatchObject({ ...status, sandbox: { podName: 'pod-s1' } });
    expect(Object.keys(body)).not.toContain('secret');
  });

  test('does not know a session of somebody else, nor one that is not there', async () => {
    const { get, session } = aSessionWorld();
    await session('Ready', { namespace: 'other' });
    for (const name of ['s1', 'no-such-session'])
      expect(problemOf(await get(`/v1/sessions/${name}`))).toMatchObject({ status: 404, code: 'SessionNotFound' });
  });
});

test('GET /v1/sessions lists the sessions of the caller, page by page', async () => {
  const { get, session } = aSessionWorld();
  for (const name of ['a', 'b', 'c']) await session('Ready', { name });
  await session('Ready', { name: 'd', namespace: 'other' });
  const first = (await get('/v1/sessions?limit=2')).json();
  expect(first.items.map(({ name }: { name: string }) => name)).toEqual(['a', 'b']);
  const second = (await get(`/v1/sessions?limit=2&continue=${first.continue}`)).json();
  expect([second.items.map(({ name }: { name: string }) => name), second.continue]).toEqual([['c'], undefined]);
});

describe('DELETE /v1/sessions/{name}', () => {
  test('asks for the end of the session', async () => {
    const { delete: remove, session, allSessions } = aSessionWorld();
    await session();
    const answer = await remove('/v1/sessions/s1');
    expect([answer.statusCode, answer.json().name]).toEqual([200, 's1']);
    expect(allSessions()[0]?.spec.terminated).toBe(true);
  });

  test('leaves one that has ended as it is', async () => {
    const { delete: remove, session, allSessions } = aSessionWorld();
    await session('IdleTimeout');
    expect((await remove('/v1/sessions/s1')).json()).toMatchObject({ state: 'ended', reason: 'IdleTimeout' });
    expect(allSessions()[0]?.spec.terminated).toBe(false);
  });

  test('does not know a session that is not there', async () => {
    expect(problemOf(await aSessionWorld().delete('/v1/sessions/s1'))).toMatchObject({ code: 'SessionNotFound' });
  });
});
