/** Hostile requests about sessions: refused by name, before the sandbox hears of them. */

import { Readable } from 'node:stream';
import type { InjectOptions } from 'fastify';
import { describe, expect, test } from 'vitest';
import { CODE_LIMIT_BYTES } from '../../../src/api/coderun.ts';
import { GATEWAY_LIMITS } from '../../../src/gateway/deps.ts';
import { FILE_LIMIT_BYTES } from '../../../src/gateway/session-files.ts';
import { settle } from '../../support/clock.ts';
import { aSessionWorld } from '../../support/gateway-sessions.ts';
import { problemOf } from '../../support/gateway-world.ts';

const SESSION = '/v1/sessions/s1';
const post = (url: string, payload: object | string): InjectOptions => ({
  method: 'POST',
  url,
  payload,
  headers: { 'content-type': 'application/json' },
});
const create = (fields: object) => post('/v1/sessions', fields);
const execute = (fields: object) => post(`${SESSION}/execute`, { code: '1', ...fields });
const install = (name: unknown) => post(`${SESSION}/packages`, { packages: [name] });
const repl = (fields: object) => post('/repl/execute', { session_id: 'a', code: '1', ...fields });
const get = (path: string): InjectOptions => ({ method: 'GET', url: `${SESSION}${path}` });
const put = (path: string, headers: Record<string, string> = {}, payload: string | Readable = 'x'): InjectOptions => ({
  method: 'PUT',
  url: `${SESSION}${path}`,
  payload,
  headers,
});
const long = 'x'.repeat(4097);
const encoded = encodeURIComponent;

type Row = [kind: string, request: InjectOptions, status: number, code: string, field?: string];

/** Numbers in front are those of the catalogue of hostile inputs. */
const ROWS: Row[] = [
  [
    '1 a body over the limit',
    post(`${SESSION}/execute`, `{"code":"${'x'.repeat(GATEWAY_LIMITS.bodyBytes)}"}`),
    413,
    'BodyTooLarge',
  ],
  [
    '1 a spec over the limit of a spec',
    create({
      files: [...filesOf(250_000), ...filesOf(250_000, 'b'), ...filesOf(250_000, 'c'), ...filesOf(250_000, 'd')],
    }),
    413,
    'BodyTooLarge',
  ],
  [
    '1 a file that says it is over the limit',
    put('/files/content?path=a', { 'content-length': String(FILE_LIMIT_BYTES + 1) }, Readable.from([])),
    413,
    'FileTooLarge',
  ],
  ['5 a form', { ...execute({}), headers: { 'content-type': 'text/plain' } }, 415, 'UnsupportedMediaType'],
  [
    '5 a file that is compressed',
    put('/files/content?path=a', { 'content-encoding': 'gzip' }),
    415,
    'UnsupportedMediaType',
  ],
  ['6 the same key twice', post(`${SESSION}/execute`, '{"code":"1","code":"2"}'), 400, 'MalformedBody', 'code'],
  ['7 __proto__', post('/v1/sessions', '{"__proto__":{"terminated":true}}'), 400, 'MalformedBody', '__proto__'],
  ['8 an unknown field', execute({ timeout: 5 }), 400, 'InvalidRequest', 'timeout'],
  ['8 an unknown parameter', get('/files?recursive=true'), 400, 'InvalidRequest', 'recursive'],
  ['8 a body where there is none', post(`${SESSION}/interrupt`, { id: 'x' }), 400, 'InvalidRequest'],
  ...Object.entries({ className: 'small', resources: { memory: '1Gi' }, packages: ['humanize'] }).map(
    ([field, value]): Row => [
      `8 a run in a session that says its own ${field}`,
      post('/v1/runs', { code: '1', sessionRef: { name: 's1' }, [field]: value }),
      400,
      'InvalidRequest',
      field,
    ],
  ),
  ['9 a string for true', execute({ detach: 'true' }), 400, 'InvalidRequest', 'detach'],
  ['9 a fraction', execute({ timeoutSeconds: 0.5 }), 400, 'InvalidRequest', 'timeoutSeconds'],
  ['9 the same parameter twice', get('/files?path=a&path=b'), 400, 'InvalidRequest', 'path'],
  ['9 a list for a context', get('/variables?context=a&context=b'), 400, 'InvalidRequest', 'context'],
  ['10 no time', execute({ timeoutSeconds: 0 }), 400, 'InvalidRequest', 'timeoutSeconds'],
  ['10 a session for ever', create({ maxLifetimeSeconds: 86_401 }), 400, 'InvalidRequest', 'maxLifetimeSeconds'],
  ['11 no code', post(`${SESSION}/execute`, {}), 400, 'InvalidRequest', 'code'],
  ['11 code over the maximum', execute({ code: 'x'.repeat(CODE_LIMIT_BYTES + 1) }), 400, 'InvalidRequest', 'code'],
  ['11 another language', execute({ language: 'perl' }), 400, 'InvalidRequest', 'language'],
  [
    '12 a forbidden variable',
    create({ env: [{ name: 'LD_PRELOAD', value: 'x' }] }),
    400,
    'InvalidRequest',
    'env.0.name',
  ],
  [
    '13 a file above the working directory',
    create({ files: filesOf(1, '../x') }),
    400,
    'InvalidRequest',
    'files.0.path',
  ],
  ...(['GET', 'PUT', 'DELETE'] as const).flatMap((method): Row[] => [
    [`13 ${method} of no path`, { ...put('/files/content'), method, ...bodyOf(method) }, 400, 'InvalidRequest', 'path'],
    [
      `13 ${method} of a path with a NUL`,
      { ...put('/files/content?path=a%00b'), method, ...bodyOf(method) },
      400,
      'InvalidRequest',
      'path',
    ],
    [
      `13 ${method} of a path over the limit`,
      { ...put(`/files/content?path=${long}`), method, ...bodyOf(method) },
      400,
      'InvalidRequest',
      'path',
    ],
  ]),
  ['13 a folder with a NUL', get('/files?path=%00'), 400, 'InvalidRequest', 'path'],
  ['13 a context that is a path', execute({ context: '../x' }), 400, 'InvalidRequest', 'context'],
  [
    '13 a context to restart that is one',
    post(`${SESSION}/restart`, { context: 'a/b' }),
    400,
    'InvalidRequest',
    'context',
  ],
  [
    '13 a context to look at that is one',
    get(`/variables?context=${encoded('a b')}`),
    400,
    'InvalidRequest',
    'context',
  ],
  ['14 a session called ../x', create({ name: '../x' }), 400, 'InvalidRequest', 'name'],
  ['14 a name that climbs', { method: 'GET', url: '/v1/sessions/..%2fx/files' }, 400, 'InvalidRequest', 'name'],
  ['14 a name longer than the router takes', { method: 'GET', url: `/v1/sessions/${long}` }, 414, 'UrlTooLong'],
  ['14 no id', repl({ session_id: '' }), 400, 'InvalidRequest', 'session_id'],
  ['14 an id over the limit', repl({ session_id: 'x'.repeat(257) }), 400, 'InvalidRequest', 'session_id'],
  ['16 an image', create({ image: 'evil' }), 400, 'InvalidRequest', 'image'],
  ['17 a runtime class', create({ runtimeClassName: 'runc' }), 400, 'InvalidRequest', 'runtimeClassName'],
  ['17 a namespace', create({ namespace: 'kube-system' }), 400, 'InvalidRequest', 'namespace'],
  ['24 another method', { method: 'PATCH', url: SESSION }, 405, 'MethodNotAllowed'],
  [
    '26 a web page that uploads',
    put('/files/content?path=a', { origin: 'https://evil.example', 'content-type': 'text/plain' }),
    403,
    'OriginNotAllowed',
  ],
  ['27 a slash at the end', { method: 'GET', url: `${SESSION}/files/` }, 404, 'RouteNotFound'],
  ['40 an option for a package', install('--index-url=http://evil'), 400, 'InvalidRequest', 'packages.0'],
  ['40 a package by URL', install('x @ https://evil/x.whl'), 400, 'InvalidRequest', 'packages.0'],
  ['40 33 packages', post(`${SESSION}/packages`, { packages: Array(33).fill('a') }), 400, 'InvalidRequest', 'packages'],
  [
    '40 a package for /repl with a command',
    { method: 'POST', url: `/repl/install?session_id=a&package=${encoded('a; rm -rf /')}` },
    400,
    'InvalidRequest',
    'package',
  ],
];

function filesOf(bytes: number, path = 'a') {
  return [{ path, content: 'x'.repeat(bytes) }];
}

function bodyOf(method: string): object {
  return method === 'PUT' ? {} : { payload: undefined };
}

describe('a hostile request about a session', () => {
  test.each(ROWS)('%s', async (_kind, request, status, code, field) => {
    const world = aSessionWorld();
    await world.session();
    const answer = await world.send(request);
    const problem = problemOf(answer);
    expect({ status: answer.statusCode, code: problem.code, field: problem.field }).toEqual({ status, code, field });
    expect([world.agent.streams, world.allSessions().length, world.bridges.size]).toEqual([[], 1, 0]);
  });
});

describe('a path of a file', () => {
  test.each(['../../etc/passwd', '/etc/passwd', 'a/../../b', '%2e%2e/b', 'a\nb', 'ä', '\u202e', '-rf'])(
    'goes to the sandbox, which judges it, as it was sent and as nothing else: %j',
    async (path) => {
      const world = aSessionWorld((_request, say) => say({ failed: { reason: 'PathNotAllowed', message: 'no\nno' } }));
      await world.session();
      const answer = await world.send(get(`/files/content?path=${encoded(path)}`));
      expect([problemOf(answer).code, problemOf(answer).detail.includes('\n')]).toEqual(['PathNotAllowed', false]);
      expect(world.agent.requests).toMatchObject([{ readFile: { path } }]);
    },
  );

  test('does not become a header of the answer', async () => {
    const world = aSessionWorld((_request, say) =>
      say({ chunk: { bytes: 1, contentBase64: 'eA==' } }, { done: { bytes: 1 } }),
    );
    await world.session();
    const { headers } = await world.send(get(`/files/content?path=${encoded('a"\r\nx-evil: 1.html')}`));
    expect([headers['content-disposition'], headers['content-type'], headers['x-evil']]).toEqual([
      'attachment',
      'application/octet-stream',
      undefined,
    ]);
  });
});

test('an execution whose events nobody reads is given up and interrupted before it fills the memory', async () => {
  const piece = 'x'.repeat(256 * 1024);
  const world = aSessionWorld((request, say) => {
    if ('interrupt' in request) return say({ done: {} });
    for (let count = 0; count < 64; count++) say({ stdout: piece });
  });
  await world.session();
  const { url = '', payload, headers } = execute({});
  const accept = { ...headers, accept: 'text/event-stream' };
  await world.app.inject({
    method: 'POST',
    url: String(url),
    payload: payload as object,
    headers: accept,
    payloadAsStream: true,
  });
  await world.until(() => world.agent.requests.some((request) => 'interrupt' in request));
  await settle();
  expect(world.held.at(-1)).toBe(0);
});
