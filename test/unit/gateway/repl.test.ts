/** The packages of sessions, and the routes in few fields: the same id is the same session, and an end is told. */

import { describe, expect, test } from 'vitest';
import { API_VERSION, REPL_SESSIONS, SANDBOX_CLASSES } from '../../../src/api/group.ts';
import { replName } from '../../../src/gateway/session-repl.ts';
import type { BridgeRequest } from '../../../src/sandbox/bridge-protocol.ts';
import { anExit, type Rule } from '../../support/bridge-agent.ts';
import { aSessionWorld, type SessionWorld } from '../../support/gateway-sessions.ts';
import { problemOf } from '../../support/gateway-world.ts';

const INDEX = 'http://package-index.coderun-system.svc:8080/simple/';
const PACKAGES = '/v1/sessions/s1/packages';

const aClass = ({ kube }: SessionWorld, name: string, spec: object, annotations = {}) =>
  kube.create(SANDBOX_CLASSES, {
    apiVersion: API_VERSION,
    kind: 'SandboxClass',
    metadata: { name, ...{ annotations } },
    ...{ spec: { image: 'i', ...spec } },
  });
const offering = { network: 'PackageIndex', packageIndexURL: INDEX };
const isDefault = { 'coderun.dev/is-default-class': 'true' };

const installing: Rule = (request, say) => {
  if (!('install' in request)) return say({ done: {} });
  const packages = [
    { name: 'humanize==4.9.0', version: '4.9.0', message: '' },
    { name: 'no-such', version: null, message: 'there is none' },
  ];
  say({ stdout: 'Collecting humanize\n' }, { done: { packages } });
};

describe('POST packages', () => {
  test('installs from the index of the class, and answers what became of each package', async () => {
    const world = aSessionWorld(installing);
    await aClass(world, 'packages', offering);
    await world.session('Ready', { spec: { className: 'packages' } });
    const packages = ['humanize==4.9.0', 'no-such'];
    const answer = await world.post(PACKAGES, { packages });
    expect([answer.statusCode, answer.json()]).toEqual([
      200,
      {
        packages: [
          { name: 'humanize==4.9.0', version: '4.9.0', message: '' },
          { name: 'no-such', version: null, message: 'there is none' },
        ],
      },
    ]);
    expect(world.agent.requests).toMatchObject([
      { install: { packages, packageIndexURL: INDEX, timeoutSeconds: 300 } },
    ]);
  });

  test('has packages built from source where the class says so', async () => {
    const world = aSessionWorld(installing);
    await aClass(world, 'default', { ...offering, allowSourceBuilds: true });
    await world.session('Ready', { spec: { className: 'default' } });
    await world.post(PACKAGES, { packages: ['humanize'] });
    expect(world.agent.requests).toMatchObject([{ install: { packageIndexURL: INDEX, allowSourceBuilds: true } }]);
  });

  test('tells its progress as events', async () => {
    const world = aSessionWorld(installing);
    await aClass(world, 'old', { network: 'None' }, isDefault);
    world.clock.advance(1000);
    await aClass(world, 'new', offering, isDefault);
    await world.session();
    const { body } = await world.post(PACKAGES, { packages: ['humanize'] }, { accept: 'text/event-stream' });
    expect(body.match(/^event: .*$/gm)).toEqual(['event: stdout', 'event: finished']);
    expect(body).toContain('Collecting humanize');
  });

  test.each<[string, object, string]>([
    ['has no network', { network: 'None', packageIndexURL: INDEX }, 'default'],
    ['names no index', { network: 'PackageIndex' }, 'default'],
    ['is not there', offering, 'other'],
  ])('is refused where the class %s, with what the administrator must set', async (_what, spec, name) => {
    const world = aSessionWorld(installing);
    await aClass(world, name, spec);
    await world.session('Ready', { spec: { className: 'default' } });
    const problem = problemOf(await world.post(PACKAGES, { packages: ['humanize'] }));
    expect(problem).toMatchObject({ status: 409, code: 'PackagesNotOffered' });
    expect(problem.detail).toContain('packageIndexURL');
    expect(world.agent.streams).toEqual([]);
  });

  test.each([
    ['a URL', 'https://example.org/x.whl'],
    ['a URL with a name', 'x @ https://example.org/x.whl'],
    ['a path', './x.whl'],
    ['an option', '--index-url=https://example.org'],
    ['an option in disguise', '-r'],
    ['two at once', 'a b'],
    ['a marker', 'a; python_version > "3"'],
    ['a new line', 'a\n--pre'],
  ])('refuses %s', async (_what, requirement) => {
    const world = aSessionWorld(installing);
    await world.session();
    expect(problemOf(await world.post(PACKAGES, { packages: [requirement] }))).toMatchObject({
      status: 400,
      field: 'packages.0',
    });
    expect(world.agent.streams).toEqual([]);
  });
});

describe('POST /repl/execute', () => {
  const NAME = replName('chat 1');
  const running: Rule = (request, say) => ('execute' in request ? say({ stdout: 'o' }, anExit()) : say({ done: {} }));

  /** A world whose sessions become ready as soon as they are there. */
  function quick(rule: Rule = running) {
    const world = aSessionWorld(rule);
    world.kube.onWrite(() => {
      for (const { metadata, status } of world.allSessions()) if (!status) void world.stand(metadata.name, 'Ready');
    });
    return world;
  }
  const execute = ({ post }: SessionWorld, more: object = {}) =>
    post('/repl/execute', { session_id: 'chat 1', code: 'x', ...more });
  const ordersOf = ({ agent }: SessionWorld) => agent.requests.filter((one: BridgeRequest) => 'execute' in one);

  test('makes the session on first use, and uses it again', async () => {
    const world = quick();
    expect((await execute(world)).json()).toEqual({
      success: true,
      stdout: 'o',
      stderr: '',
      returncode: 0,
      session: NAME,
      new_session: true,
    });
    expect((await execute(world, { timeout: 5 })).json()).toMatchObject({ new_session: false });
    expect(world.allSessions()).toHaveLength(1);
    expect(ordersOf(world)).toMatchObject([{ execute: { timeoutSeconds: 60 } }, { execute: { timeoutSeconds: 5 } }]);
  });

  test('gives each id a session of its own, and tells the id to nobody', async () => {
    const world = quick();
    const names = [];
    for (const session_id of ['a', 'b', '../../x', 'ü\u0000'])
      names.push((await execute(world, { session_id })).json().session);
    expect(new Set(names).size).toBe(4);
    for (const name of names) expect(name).toMatch(/^repl-[0-9a-f]{24}$/);
  });

  test('uses the session that another gateway has made at the same moment', async () => {
    const world = quick();
    world.sessions.lags = true;
    await world.session('Ready', { name: NAME });
    const { KubeError } = await import('../../../src/kube/error.ts');
    world.kube.fail('get', new KubeError(404, 'NotFound', ''));
    expect((await execute(world)).json()).toMatchObject({ success: true, new_session: false });
  });

  test('makes another session where the one before has ended, and says so', async () => {
    const world = quick();
    await execute(world);
    const [before] = world.allSessions();
    await world.stand(NAME, 'IdleTimeout');
    expect((await execute(world)).json()).toMatchObject({ session: NAME, new_session: true });
    const [after] = world.allSessions();
    expect(after?.metadata.uid).not.toBe(before?.metadata.uid);
  });

  test('never removes a session that took the place of the one that it saw', async () => {
    const world = quick();
    await world.session('IdleTimeout', { name: NAME });
    world.sessions.lags = true;
    await world.kube.delete(REPL_SESSIONS, 'tenant', NAME);
    const { metadata } = await world.session('Ready', { name: NAME });
    expect((await execute(world)).json()).toMatchObject({ new_session: false });
    expect(world.allSessions()[0]?.metadata.uid).toBe(metadata.uid);
  });

  test('takes the class with packages where there is one', async () => {
    const world = quick();
    await aClass(world, 'packages', offering);
    await execute(world);
    expect(world.allSessions()[0]?.spec.className).toBe('packages');
  });

  test.each<[string, object, object]>([
    ['an error', { exitCode: 1, error: { name: 'E', value: 'v', traceback: 't' } }, { returncode: 1 }],
    ['a signal', { exitCode: null, signal: 'SIGSEGV' }, { returncode: -11 }],
    ['a timeout', { exitCode: null, cause: 'Timeout' }, { returncode: -1, stderr: 'Execution timed out' }],
    ['want of memory', { exitCode: 1, cause: 'OutOfMemory' }, { returncode: 137 }],
  ])('answers %s as Python would', async (_what, exit, expected) => {
    const world = quick((_request, say) => say(anExit(exit)));
    expect((await execute(world)).json()).toMatchObject({ success: false, ...expected });
  });

  test('installs a package', async () => {
    const world = quick(installing);
    await aClass(world, 'packages', offering);
    const url = '/repl/install?session_id=chat%201&package=humanize%3D%3D4.9.0';
    expect((await world.send({ method: 'POST', url })).json()).toEqual({
      success: false,
      stdout: 'Collecting humanize\n',
      stderr: 'no-such: there is none\n',
      returncode: 1,
      session: NAME,
      new_session: true,
    });
  });

  test.each([
    ['no id', { session_id: undefined }, 'session_id'],
    ['an empty id', { session_id: '' }, 'session_id'],
    ['a language', { language: 'bash' }, 'language'],
  ])('with %s is refused', async (_what, more, field) => {
    const world = quick();
    expect(problemOf(await execute(world, more))).toMatchObject({ status: 400, field });
    expect(world.allSessions()).toEqual([]);
  });
});
