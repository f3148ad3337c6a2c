import type { InjectOptions } from 'fastify';
import { describe, expect, test } from 'vitest';
import { CODE_LIMIT_BYTES } from '../../../src/api/coderun.ts';
import { GATEWAY_LIMITS } from '../../../src/gateway/deps.ts';
import { aWorld, problemOf } from '../../support/gateway-world.ts';

const body = (payload: object | string | Buffer, url = '/v1/runs'): InjectOptions => ({
  method: 'POST',
  url,
  payload,
  headers: { 'content-type': 'application/json' },
});
const run = (fields: object): InjectOptions => body({ code: '1', ...fields });
const execute = (fields: object): InjectOptions => body({ code: '1', ...fields }, '/execute');
const get = (url: string): InjectOptions => ({ method: 'GET', url });
const typed = (contentType: string | undefined, more: Record<string, string> = {}): InjectOptions => ({
  method: 'POST',
  url: '/v1/runs',
  payload: Buffer.from('{"code":"1"}'),
  headers: { ...(contentType !== undefined && { 'content-type': contentType }), ...more },
});
const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
const manyKeys = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`k${index}`, 1]));

type Row = [kind: string, request: InjectOptions, status: number, code: string, field?: string];

/** Numbers in front are those of the catalogue of hostile inputs. */
const ROWS: Row[] = [
  ['1 a body over the limit', body(`{"code":"${'x'.repeat(GATEWAY_LIMITS.bodyBytes)}"}`), 413, 'BodyTooLarge'],
  [
    '1 a spec over the limit of a spec',
    run({ code: 'x'.repeat(400_000), stdin: 'y'.repeat(400_000) }),
    413,
    'BodyTooLarge',
  ],
  ['1 a spec that swells over the limit when it is stored', run({ code: '<'.repeat(140_000) }), 413, 'BodyTooLarge'],
  [
    '4 a body shorter than it says',
    { ...typed('application/json', { 'content-length': '99' }) },
    400,
    'MalformedRequest',
  ],
  ['5 no content type', typed(undefined), 415, 'UnsupportedMediaType'],
  ['5 a form', typed('application/x-www-form-urlencoded'), 415, 'UnsupportedMediaType'],
  ['5 text', typed('text/plain'), 415, 'UnsupportedMediaType'],
  ['5 a content type that only begins like JSON', typed('application/jsonx'), 415, 'UnsupportedMediaType'],
  ['5 a content type that is none', typed('json'), 415, 'UnsupportedMediaType'],
  ['5 another charset', typed('application/json; charset=utf-16'), 415, 'UnsupportedMediaType'],
  ['5 another charset, quoted', typed('application/json;charset="utf-7"'), 415, 'UnsupportedMediaType'],
  ['5 compressed', typed('application/json', { 'content-encoding': 'gzip' }), 415, 'UnsupportedMediaType'],
  ['6 nothing', body(''), 400, 'MalformedBody'],
  ['6 half an object', body('{"code":"1"'), 400, 'MalformedBody'],
  ['6 two objects', body('{"code":"1"}{"code":"2"}'), 400, 'MalformedBody'],
  ['6 NaN', body('{"code":"1","timeoutSeconds":NaN}'), 400, 'MalformedBody'],
  ['6 a comment', body('{"code":"1"/* */}'), 400, 'MalformedBody'],
  ['6 a byte order mark', body('\ufeff{"code":"1"}'), 400, 'MalformedBody'],
  ['6 a NUL outside of strings', body('{"code":"1"}\0'), 400, 'MalformedBody'],
  ['6 bytes that are not UTF-8', body(Buffer.from('{"code":"\xff"}', 'latin1')), 400, 'MalformedBody'],
  ['6 the same key twice', body('{"code":"1","code":"2"}'), 400, 'MalformedBody', 'code'],
  ['6 the same key twice, once escaped', body('{"code":"1","c\\u006fde":"2"}'), 400, 'MalformedBody', 'code'],
  [
    '6 the same key twice, deeper',
    body('{"code":"1","env":[{"name":"A","name":"B"}]}'),
    400,
    'MalformedBody',
    'env.0.name',
  ],
  ['6 100000 levels', body(`{"code":${nested(100_000)}}`), 400, 'MalformedBody'],
  ['6 33 levels', body(`{"code":${nested(32)}}`), 400, 'MalformedBody'],
  ['6 half a surrogate pair', body('{"code":"\\ud800"}'), 400, 'MalformedBody', 'code'],
  ['6 more values than any request has', body(`{"code":[${'1,'.repeat(20_000)}1]}`), 400, 'MalformedBody'],
  ['6 an array', body('[]'), 400, 'InvalidRequest', ''],
  ['6 null', body('null'), 400, 'InvalidRequest', ''],
  ['6 a string', body('"print(1)"'), 400, 'InvalidRequest', ''],
  ['7 __proto__', body('{"code":"1","__proto__":{"cancelled":true}}'), 400, 'MalformedBody', '__proto__'],
  ['7 __proto__, escaped', body('{"code":"1","__pr\\u006fto__":{}}'), 400, 'MalformedBody', '__proto__'],
  [
    '7 constructor.prototype',
    body('{"code":"1","constructor":{"prototype":{}}}'),
    400,
    'InvalidRequest',
    'constructor',
  ],
  ['8 an unknown field', run({ timeout: 5 }), 400, 'InvalidRequest', 'timeout'],
  ['8 an unknown field, deeper', run({ resources: { gpu: 1 } }), 400, 'InvalidRequest', 'resources.gpu'],
  ['8 5000 unknown fields', run(manyKeys), 400, 'InvalidRequest', 'k0'],
  ['8 a field of another route', execute({ timeoutSeconds: 5 }), 400, 'InvalidRequest', 'timeoutSeconds'],
  ['8 an unknown parameter', get('/v1/runs?watch=true'), 400, 'InvalidRequest', 'watch'],
  ['8 a mutable field at creation', run({ cancelled: true }), 400, 'InvalidRequest', 'cancelled'],
  ['9 an array for a string', body({ code: ['1'] }), 400, 'InvalidRequest', 'code'],
  ['9 a number for a string', body({ code: 1 }), 400, 'InvalidRequest', 'code'],
  ['9 a string for a number', run({ timeoutSeconds: '5' }), 400, 'InvalidRequest', 'timeoutSeconds'],
  ['9 a string for true', execute({ allow_network: 'true' }), 400, 'InvalidRequest', 'allow_network'],
  ['9 1 for true', execute({ allow_network: 1 }), 400, 'InvalidRequest', 'allow_network'],
  ['9 null for a number', run({ timeoutSeconds: null }), 400, 'InvalidRequest', 'timeoutSeconds'],
  ['9 1e999', body('{"code":"1","timeoutSeconds":1e999}'), 400, 'InvalidRequest', 'timeoutSeconds'],
  ['9 2^53+1', body('{"code":"1","timeoutSeconds":9007199254740993}'), 400, 'InvalidRequest', 'timeoutSeconds'],
  ['9 a fraction', run({ timeoutSeconds: 0.1 }), 400, 'InvalidRequest', 'timeoutSeconds'],
  ['9 a map for a list', run({ env: { A: 'b' } }), 400, 'InvalidRequest', 'env'],
  ['9 the same parameter twice', get('/v1/runs/x?wait=1&wait=2'), 400, 'InvalidRequest', 'wait'],
  ['10 a timeout of 0', execute({ timeout: 0 }), 400, 'InvalidRequest', 'timeout'],
  ['10 a negative timeout', execute({ timeout: -1 }), 400, 'InvalidRequest', 'timeout'],
  ['10 a timeout over the maximum', execute({ timeout: 3601 }), 400, 'InvalidRequest', 'timeout'],
  ['10 a timeout with a unit', execute({ timeout: '60s' }), 400, 'InvalidRequest', 'timeout'],
  ['10 no memory', execute({ memory_mb: 0 }), 400, 'InvalidRequest', 'memory_mb'],
  ['10 memory as a quantity', execute({ memory_mb: '512Mi' }), 400, 'InvalidRequest', 'memory_mb'],
  ['10 mixed units', run({ resources: { memory: '1e3Gi' } }), 400, 'InvalidRequest', 'resources.memory'],
  ['10 a negative quantity', run({ resources: { memory: '-1Mi' } }), 400, 'InvalidRequest', 'resources.memory'],
  ['10 unicode digits', run({ resources: { cpu: '١' } }), 400, 'InvalidRequest', 'resources.cpu'],
  ['10 true for a quantity', run({ resources: { cpu: true } }), 400, 'InvalidRequest', 'resources.cpu'],
  ['10 a wait over the maximum', get('/v1/runs/x?wait=61'), 400, 'InvalidRequest', 'wait'],
  ['10 a negative wait', get('/v1/runs/x?wait=-1'), 400, 'InvalidRequest', 'wait'],
  ['10 a wait in hexadecimal', get('/v1/runs/x?wait=0x1'), 400, 'InvalidRequest', 'wait'],
  ['10 an empty wait', get('/v1/runs/x?wait='), 400, 'InvalidRequest', 'wait'],
  ['10 a limit of 0', get('/v1/runs?limit=0'), 400, 'InvalidRequest', 'limit'],
  ['10 a limit over the maximum', get('/v1/runs?limit=101'), 400, 'InvalidRequest', 'limit'],
  ['11 no code', body({}), 400, 'InvalidRequest', 'code'],
  ['11 no code for execute', body({}, '/execute'), 400, 'InvalidRequest', 'code'],
  ['11 empty code', body({ code: '' }), 400, 'InvalidRequest', 'code'],
  [
    '11 code one byte over the maximum',
    body({ code: 'x'.repeat(CODE_LIMIT_BYTES + 1) }),
    400,
    'InvalidRequest',
    'code',
  ],
  [
    '11 code over the maximum in bytes only',
    body({ code: 'é'.repeat(CODE_LIMIT_BYTES / 2 + 1) }),
    400,
    'InvalidRequest',
    'code',
  ],
  ['11 code twice', run({ codeFrom: { configMapKeyRef: { name: 'a', key: 'b' } } }), 400, 'InvalidRequest', 'code'],
  ...['LD_PRELOAD', 'PATH', 'PYTHONPATH', 'KUBERNETES_SERVICE_HOST', 'A=B', '', 'A\n', '1A'].map(
    (name): Row => [
      `12 a variable called ${JSON.stringify(name)}`,
      run({ env: [{ name, value: 'x' }] }),
      400,
      'InvalidRequest',
      'env.0.name',
    ],
  ),
  ...['../x', '/etc/passwd', 'a/../b', './a', 'a//b', '', 'a\0b', 'x'.repeat(4096)].map(
    (path): Row => [
      `13 a file at ${JSON.stringify(path).slice(0, 20)}`,
      run({ files: [{ path, content: '' }] }),
      400,
      'InvalidRequest',
      'files.0.path',
    ],
  ),
  [
    '13 a file with two contents',
    run({ files: [{ path: 'a', content: '', contentBase64: '' }] }),
    400,
    'InvalidRequest',
    'files.0',
  ],
  [
    '13 a file that is not base64',
    run({ files: [{ path: 'a', contentBase64: '$' }] }),
    400,
    'InvalidRequest',
    'files.0.contentBase64',
  ],
  [
    '13 an artifact above the working directory',
    get('/v1/runs/x/artifacts/..%2f..%2fetc%2fpasswd'),
    400,
    'InvalidRequest',
    'path',
  ],
  [
    '13 an artifact above the working directory, in part encoded',
    get('/v1/runs/x/artifacts/a/%2e%2e/b'),
    404,
    'RunNotFound',
  ],
  ['13 an artifact, encoded twice', get('/v1/runs/x/artifacts/%252e%252e%252fetc'), 404, 'RunNotFound'],
  ['13 an artifact with a NUL', get('/v1/runs/x/artifacts/a%00b'), 400, 'InvalidRequest', 'path'],
  ...['UPPER', '-x', 'x_', 'x/y', 'x'.repeat(64), 'ä', 'x.y'].map(
    (name): Row => [
      `14 a run called ${JSON.stringify(name).slice(0, 20)}`,
      run({ name }),
      400,
      'InvalidRequest',
      'name',
    ],
  ),
  ['14 a name in upper case', get('/v1/runs/UPPER'), 400, 'InvalidRequest', 'name'],
  ['14 a name that climbs', get('/v1/runs/..%2f..%2fx'), 400, 'InvalidRequest', 'name'],
  ['14 a name with a NUL', get('/v1/runs/x%00'), 400, 'InvalidRequest', 'name'],
  ['14 a name of 254 characters', get(`/v1/runs/${'x'.repeat(254)}`), 400, 'InvalidRequest', 'name'],
  ['14 a name longer than the router takes', get(`/v1/runs/${'x'.repeat(4000)}`), 414, 'UrlTooLong'],
  ['14 a path that can not be decoded', get('/v1/runs/%ff'), 400, 'MalformedRequest'],
  ['15 labels', run({ metadata: { labels: { 'coderun.dev/sandbox': 'true' } } }), 400, 'InvalidRequest', 'metadata'],
  ['15 annotations', run({ annotations: { 'dev.gvisor.internal': '1' } }), 400, 'InvalidRequest', 'annotations'],
  ['16 an image', run({ image: 'evil' }), 400, 'InvalidRequest', 'image'],
  ['17 a runtime class', run({ runtimeClassName: 'runc' }), 400, 'InvalidRequest', 'runtimeClassName'],
  ['17 a node', run({ nodeSelector: {} }), 400, 'InvalidRequest', 'nodeSelector'],
  ['17 a service account', run({ serviceAccountName: 'admin' }), 400, 'InvalidRequest', 'serviceAccountName'],
  ['17 a namespace', run({ namespace: 'kube-system' }), 400, 'InvalidRequest', 'namespace'],
  ['17 a namespace in the query', get('/v1/runs?namespace=kube-system'), 400, 'InvalidRequest', 'namespace'],
  [
    '19 a token that nobody can check',
    { ...get('/v1/runs'), headers: { authorization: 'Bearer x' } },
    401,
    'Unauthenticated',
  ],
  ['19 a token in the query', get('/v1/runs?access_token=x'), 400, 'InvalidRequest', 'access_token'],
  ['24 OPTIONS', { method: 'OPTIONS', url: '/execute' }, 405, 'MethodNotAllowed'],
  ['24 PUT with a body that is not JSON', { method: 'PUT', url: '/v1/runs/x', payload: 'x' }, 405, 'MethodNotAllowed'],
  [
    '24 a method in a header',
    { ...run({ codeX: 1 }), headers: { 'content-type': 'application/json', 'x-http-method-override': 'DELETE' } },
    400,
    'InvalidRequest',
    'codeX',
  ],
  ['24 DELETE with a body', { ...body({ cancelled: false }, '/v1/runs/x'), method: 'DELETE' }, 400, 'InvalidRequest'],
  [
    '26 a web page',
    { ...run({}), headers: { 'content-type': 'application/json', origin: 'https://evil.example' } },
    403,
    'OriginNotAllowed',
  ],
  [
    '26 a web page in a frame',
    { ...run({}), headers: { 'content-type': 'application/json', origin: 'null' } },
    403,
    'OriginNotAllowed',
  ],
  ['27 two slashes', body({ code: '1' }, '//execute'), 404, 'RouteNotFound'],
  ['27 a slash at the end', body({ code: '1' }, '/execute/'), 404, 'RouteNotFound'],
  ['27 another case', body({ code: '1' }, '/Execute'), 404, 'RouteNotFound'],
  ['27 a semicolon', body({ code: '1' }, '/execute;x=1'), 404, 'RouteNotFound'],
  ['29 an address to call back', run({ callbackUrl: 'http://169.254.169.254/' }), 400, 'InvalidRequest', 'callbackUrl'],
  [
    '29 an address to read code from',
    run({ codeFrom: { url: 'file:///etc/passwd' } }),
    400,
    'InvalidRequest',
    'codeFrom.configMapKeyRef',
  ],
  ['40 an option for a package', run({ packages: ['--index-url http://evil'] }), 400, 'InvalidRequest', 'packages.0'],
  ['40 a package by URL', run({ packages: ['git+https://evil/x'] }), 400, 'InvalidRequest', 'packages.0'],
  ['40 a package with a command', run({ packages: ['pkg; rm -rf /'] }), 400, 'InvalidRequest', 'packages.0'],
];

describe('a hostile request', () => {
  test.each(ROWS)('%s', async (_kind, request, status, code, field) => {
    const world = aWorld();
    const answer = await world.send(request);
    const problem = problemOf(answer);
    expect({ status: answer.statusCode, code: problem.code, field: problem.field }).toEqual({ status, code, field });
    expect(problem).toMatchObject({
      type: 'about:blank',
      status,
      retrySafe: true,
      requestId: answer.headers['x-request-id'],
    });
    expect(world.allRuns()).toEqual([]);
  });

  test.each([
    ['unknown', manyKeys],
    ['wrong', { args: Array(100).fill(1) }],
  ])('is told of at most twenty fields that are %s', async (_name, fields) => {
    const problem = problemOf(await aWorld().send(run(fields)));
    expect(problem.errors?.length).toBe(20);
  });

  const long = 'k'.repeat(100_000);
  test.each([
    ['unknown', run({ [long]: 1 })],
    ['said twice', body(`{"${long}":1,"${long}":2}`)],
  ])('gets a long key that is %s back cut', async (_name, request) => {
    const answer = await aWorld().send(request);
    expect([problemOf(answer).field?.length, answer.body.length < 2000]).toEqual([200, true]);
  });

  test('is not quoted in the log', async () => {
    const world = aWorld();
    await world.send(body('{"code":"my secret" oops'));
    await world.send(run({ code: 'my secret', oops: 'my secret' }));
    await world.until(() => world.finished.length === 2);
    expect(JSON.stringify(world.logged)).not.toContain('secret');
  });
});

describe('an unusual request that is right', () => {
  test.each<[kind: string, request: InjectOptions]>([
    ['a body of exactly the limit', body(`{"code":"1"${' '.repeat(GATEWAY_LIMITS.bodyBytes - 12)}}`)],
    ['UTF-8 by name', typed('application/json; charset=UTF-8')],
    ['a content type in upper case', typed('Application/JSON')],
    ['only white space as code', body({ code: ' \n' })],
    ['one byte of code', body({ code: 'x' })],
    ['code of the largest size', body({ code: 'x'.repeat(CODE_LIMIT_BYTES) })],
    ['a NUL in the code, which is for Python to refuse', body({ code: 'a\0b' })],
    ['a pair of surrogates, escaped', body('{"code":"\\ud83d\\ude00"}')],
    ['a float that is whole', body('{"code":"1","timeoutSeconds":5.0}')],
    ['code from a ConfigMap', body({ codeFrom: { configMapKeyRef: { name: 'a', key: 'b' } } })],
    [
      'a trace that is none',
      {
        ...run({}),
        headers: { 'content-type': 'application/json', traceparent: '\u00ff;drop', baggage: 'x'.repeat(4000) },
      },
    ],
    [
      'a proxy that it says it is',
      { ...run({}), headers: { 'content-type': 'application/json', 'x-forwarded-for': 'evil', host: 'evil' } },
    ],
  ])('%s', async (_kind, request) => {
    const world = aWorld();
    const answer = await world.send(request);
    expect([answer.statusCode, world.allRuns().length]).toEqual([201, 1]);
  });
});

test('where a run is is said without the host that a request claims to be for', async () => {
  const headers = {
    'content-type': 'application/json',
    host: 'evil.example',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'gopher',
  };
  const answer = await aWorld().send({ ...run({ name: 'hello' }), headers });
  expect([answer.headers.location, JSON.stringify([answer.headers, answer.body]).includes('evil')]).toEqual([
    '/v1/runs/hello',
    false,
  ]);
});

describe('the id of a request', () => {
  test.each([
    ['a safe one is taken over', 'abc-123.DEF_4', true],
    ['one with a line break is not', 'abc\r\nx-evil: 1', false],
    ['a long one is not', 'x'.repeat(65), false],
    ['one with characters of a terminal is not', '\u001b[31mabcdefgh', false],
  ])('%s', async (_name, given, kept) => {
    const answer = await aWorld().send({ url: '/v1/runs', headers: { 'x-request-id': given } });
    expect(answer.headers['x-request-id'] === given).toBe(kept);
    expect(answer.headers['x-request-id']).toMatch(/^[A-Za-z0-9._-]{8,64}$/);
  });
});

test('another method than a path has is told which there are, HEAD included, whose answer has no body', async () => {
  const world = aWorld();
  const answers = await Promise.all(
    (['HEAD', 'PUT'] as const).map((method) => world.send({ method, url: '/v1/runs' })),
  );
  expect(answers.map(({ statusCode, headers }) => [statusCode, headers['allow']])).toEqual(
    Array(2).fill([405, 'POST, GET']),
  );
});

test('a web page of an allowed origin is answered', async () => {
  const world = aWorld({ config: { allowedOrigins: ['https://app.example'] } });
  const answer = await world.send({ url: '/v1/runs', headers: { origin: 'https://app.example' } });
  expect(answer.statusCode).toBe(200);
});

test('what fails inside is answered without its text, and logged with it', async () => {
  const world = aWorld({ identify: () => Promise.reject(new Error('10.0.0.1 is down')) });
  const answer = await world.get('/v1/runs');
  expect(problemOf(answer)).toMatchObject({ status: 500, code: 'Internal' });
  expect([answer.body.includes('10.0.0.1'), JSON.stringify(world.logged).includes('10.0.0.1')]).toEqual([false, true]);
});
