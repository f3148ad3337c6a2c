/** Calls and streams over a connection that fails in every way. */

import { expect, test } from 'vitest';
import { createKube, type KubeClient, type KubeOptions } from '../../../src/kube/client.ts';
import { CONFIG_MAPS } from '../../../src/kube/resources.ts';
import { FakeClock } from '../../support/clock.ts';
import { fixedCredentials } from '../../support/credentials.ts';
import {
  type Answer,
  answerJson,
  answerNever,
  answerReset,
  type HttpServer,
  startHttpServer,
} from '../../support/http-server.ts';

/** Whoever sleeps makes time pass. */
class SkippingClock extends FakeClock {
  override sleep(milliseconds: number): Promise<void> {
    return this.advance(milliseconds);
  }
}

interface Connected extends AsyncDisposable {
  kube: KubeClient;
  server: HttpServer;
  clock: SkippingClock;
}

async function connected(answers: Answer[], options: KubeOptions & { path?: string } = {}): Promise<Connected> {
  const server = await startHttpServer(...answers);
  const clock = new SkippingClock();
  const credentials = fixedCredentials(server.url + (options.path ?? ''), {
    headers: { authorization: 'Bearer SECRET' },
    tls: {},
  });
  const kube = createKube(credentials, { clock, random: () => 0, ...options });
  return {
    kube,
    server,
    clock,
    [Symbol.asyncDispose]: async () => {
      await kube.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

const OBJECT = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'a', namespace: 'ns', uid: 'u', resourceVersion: '1', creationTimestamp: '' },
};
const ok = answerJson(200, OBJECT);
const busy = answerJson(429, { status: 'Failure', code: 429 }, { 'retry-after': '1' });
const broken = answerJson(503, { status: 'Failure', code: 503 });

const get = ({ kube }: Connected) => kube.get(CONFIG_MAPS, 'ns', 'a');
const create = ({ kube }: Connected) => kube.create(CONFIG_MAPS, OBJECT);

test.each<[string, Answer[], (it: Connected) => Promise<unknown>, number]>([
  ['a GET that was refused for now', [busy, ok], get, 2],
  ['a GET that met a broken server', [broken, broken, broken, ok], get, 4],
  ['a GET whose connection was reset', [answerReset, ok], get, 2],
  ['a PUT that met a broken server', [broken, ok], ({ kube }) => kube.replaceStatus(CONFIG_MAPS, OBJECT), 2],
  ['a merge patch', [broken, ok], ({ kube }) => kube.patch(CONFIG_MAPS, 'ns', 'a', {}, { strategy: 'merge' }), 2],
  ['a DELETE', [broken, ok], ({ kube }) => kube.delete(CONFIG_MAPS, 'ns', 'a'), 2],
  ['a POST that the server says it did nothing of', [busy, ok], create, 2],
])('%s is sent again', async (_name, answers, call, requests) => {
  await using it = await connected(answers);
  await call(it);
  expect(it.server.requests).toHaveLength(requests);
  expect(new Set(it.server.requests.map((request) => request.body)).size).toBe(1);
});

test.each<[string, Answer, (it: Connected) => Promise<unknown>, number, object]>([
  ['a GET that fails for the fourth time', broken, get, 4, { code: 503 }],
  ['a POST that met a broken server', broken, create, 1, { code: 503 }],
  ['a POST whose connection was reset', answerReset, create, 1, { code: 0, reason: 'Unreachable' }],
  [
    'a JSON patch',
    broken,
    ({ kube }) => kube.patch(CONFIG_MAPS, 'ns', 'a', [], { strategy: 'json' }),
    1,
    { code: 503 },
  ],
  ['a GET with an answer that is no JSON', (response) => response.end('SECRET'), get, 1, { reason: 'InvalidResponse' }],
])('%s is not sent again', async (_name, answer, call, requests, error) => {
  await using it = await connected([answer]);
  await expect(call(it)).rejects.toMatchObject({ name: 'KubeError', ...error });
  expect(it.server.requests).toHaveLength(requests);
});

test('the server says how long to wait', async () => {
  await using it = await connected([busy, ok]);
  await get(it);
  expect(it.clock.monotonic()).toBe(1000);
});

test('no wait goes beyond the time of the whole call', async () => {
  const later = answerJson(429, {}, { 'retry-after': '9' });
  await using it = await connected([later], { timeoutMilliseconds: 20_000 });
  await expect(get(it)).rejects.toMatchObject({ code: 429, retryAfterMilliseconds: 9000 });
  expect(it.server.requests).toHaveLength(3);
});

test('an answer that never comes is given up', async () => {
  await using it = await connected([answerNever]);
  const rejected = expect(get(it)).rejects.toMatchObject({ code: 0, reason: 'Timeout' });
  await expect.poll(() => it.server.requests.length).toBe(1);
  await it.clock.advance(30_000);
  await rejected;
  expect(it.clock.pending).toBe(0);
});

test('a call leaves no timer behind', async () => {
  await using it = await connected([ok]);
  await get(it);
  expect(it.clock.pending).toBe(0);
});

test.each<[string, Answer]>([
  ['waits for an answer', answerNever],
  ['reads an answer', (response) => response.write('{')],
])('a list that %s ends when its signal aborts', async (_name, answer) => {
  await using it = await connected([answer]);
  const abort = new AbortController();
  const listing = it.kube.list(CONFIG_MAPS, { signal: abort.signal });
  const rejected = expect(listing).rejects.toMatchObject({ name: 'AbortError' });
  await expect.poll(() => it.server.requests.length).toBe(1);
  abort.abort();
  await rejected;
});

test('an answer over the limit is refused, and not asked for again', async () => {
  const limit = 1000;
  const answerOf = (bytes: number): Answer => answerJson(200, { ...OBJECT, data: 'x'.repeat(bytes) });
  await using it = await connected([answerOf(limit / 2), answerOf(limit)], { responseLimitBytes: limit });
  await get(it);
  await expect(get(it)).rejects.toMatchObject({ code: 0, reason: 'InvalidResponse' });
  expect(it.server.requests).toHaveLength(2);
});

test('credentials that can not be used are an error of the call', async () => {
  const unusable = [
    { headers: {}, tls: { cert: 'SECRET' } },
    { headers: { authorization: 'Bearer SECRET\n' }, tls: {} },
  ];
  for (const authentication of unusable) {
    const kube = createKube(fixedCredentials('https://127.0.0.1:9', authentication), { clock: new SkippingClock() });
    const { signal } = new AbortController();
    const errors = await Promise.all([
      kube.get(CONFIG_MAPS, 'ns', 'a').catch((error) => error),
      kube.attach('ns', 'p', 'c', signal).catch((error) => error),
      readAll(kube.readLog('ns', 'p', { container: 'c' })).catch((error) => error),
    ]);
    for (const error of errors) {
      expect(error).toMatchObject({ name: 'KubeError', code: 0 });
      expect(error.stack).not.toContain('SECRET');
    }
    await kube.close();
  }
});

test('no error shows a token or a body', async () => {
  const secret = { ...OBJECT, data: 'SECRET' };
  const refused = answerJson(422, { status: 'Failure', message: 'x: Invalid value: "SECRET": no' });
  for (const answer of [refused, broken, answerReset, ((response) => response.end('SECRET')) satisfies Answer]) {
    await using it = await connected([answer]);
    const error: Error = await it.kube.create(CONFIG_MAPS, secret).catch((reason) => reason);
    expect(`${error.stack} ${JSON.stringify(error)} ${error.cause}`).not.toContain('SECRET');
  }
});

test('an API server below a path is asked below it', async () => {
  await using it = await connected([ok], { path: '/clusters/c1/' });
  await get(it);
  expect(it.server.requests[0]?.url).toBe('/clusters/c1/api/v1/namespaces/ns/configmaps/a');
});

test('every request says who it is from, and a write who owns its fields', async () => {
  await using it = await connected([ok]);
  await it.kube.replace(CONFIG_MAPS, OBJECT);
  expect(it.server.requests[0]).toMatchObject({
    method: 'PUT',
    url: '/api/v1/namespaces/ns/configmaps/a?fieldManager=coderun',
    headers: { authorization: 'Bearer SECRET', 'user-agent': 'coderun', 'content-type': 'application/json' },
    body: JSON.stringify(OBJECT),
  });
});

test('calls share few connections, and streams take none of them', async () => {
  const follow: Answer = (response, request) =>
    request.url.includes('/log') ? response.write('x') : ok(response, request);
  await using it = await connected([follow], { connections: 2 });
  const abort = new AbortController();
  const options = { container: 'c', follow: true, signal: abort.signal };
  const logs = Array.from({ length: 8 }, () => it.kube.readLog('ns', 'p', options)[Symbol.asyncIterator]());
  await Promise.all(logs.map((log) => log.next()));
  for (let turn = 0; turn < 4; turn++) await Promise.all(Array.from({ length: 50 }, () => get(it)));
  expect(it.server.connections).toBe(8 + 2);
  abort.abort();
  expect(await Promise.all(logs.map((log) => log.next()))).toEqual(logs.map(() => ({ done: true, value: undefined })));
});

const readAll = async (log: AsyncIterable<Uint8Array>): Promise<string> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of log) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};

test('a log comes whole, and asks for what its options say', async () => {
  await using it = await connected([(response) => response.end('one\ntwo\n')]);
  expect(await readAll(it.kube.readLog('ns', 'p', { container: 'c', limitBytes: 10 }))).toBe('one\ntwo\n');
  expect(it.server.requests[0]?.url).toBe('/api/v1/namespaces/ns/pods/p/log?container=c&limitBytes=10');
});

test('a log that is cut is an error, not an end', async () => {
  const cut: Answer = (response) => response.write('x', () => response.socket?.resetAndDestroy());
  await using it = await connected([cut]);
  const reading = readAll(it.kube.readLog('ns', 'p', { container: 'c', follow: true }));
  await expect(reading).rejects.toMatchObject({ code: 0, reason: 'Unreachable' });
});

test('a log that is refused says why', async () => {
  await using it = await connected([answerJson(404, { status: 'Failure', code: 404, reason: 'NotFound' })]);
  await expect(readAll(it.kube.readLog('ns', 'p', { container: 'c' }))).rejects.toMatchObject({ reason: 'NotFound' });
});

test('a log that is followed may be silent for longer than any call', async () => {
  await using it = await connected([answerNever], { timeoutMilliseconds: 20 });
  const followed = readAll(it.kube.readLog('ns', 'p', { container: 'c', follow: true }));
  followed.catch(() => undefined);
  await expect(readAll(it.kube.readLog('ns', 'p', { container: 'c' }))).rejects.toMatchObject({ reason: 'Timeout' });
  expect(await Promise.race([followed, 'open'])).toBe('open');
});

test('leaving the loop over a log ends its request', async () => {
  const closed = Promise.withResolvers<void>();
  await using it = await connected([
    (response) => {
      response.on('close', closed.resolve);
      response.write('x');
    },
  ]);
  for await (const _ of it.kube.readLog('ns', 'p', { container: 'c', follow: true })) break;
  await closed.promise;
});

test('a watch that outlives its time is broken off', async () => {
  await using it = await connected([(response) => response.flushHeaders()]);
  const { signal } = new AbortController();
  const next = it.kube
    .watch(CONFIG_MAPS, { resourceVersion: '1', timeoutSeconds: 300, signal })
    [Symbol.asyncIterator]()
    .next();
  const rejected = expect(next).rejects.toMatchObject({ code: 0, reason: 'Timeout' });
  await expect.poll(() => it.server.requests.length).toBe(1);
  await it.clock.advance(309_000);
  expect(await Promise.race([next, 'open'])).toBe('open');
  await it.clock.advance(1000);
  await rejected;
  expect(it.server.requests[0]?.url).toBe(
    '/api/v1/configmaps?resourceVersion=1&timeoutSeconds=300&watch=true&allowWatchBookmarks=true',
  );
});

test('a client that is closed breaks off what goes on, and takes nothing more', async () => {
  await using it = await connected([answerNever]);
  const rejected = expect(get(it)).rejects.toMatchObject({ code: 0, reason: 'Closed' });
  await expect.poll(() => it.server.requests.length).toBe(1);
  await it.kube.close();
  await rejected;
  await expect(get(it)).rejects.toMatchObject({ code: 0, reason: 'Closed' });
});
