import { request as httpRequest, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { aWorld, NAMESPACE, type WorldOptions } from '../../support/gateway-world.ts';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const task of cleanup.splice(0).reverse()) await task();
});

/** A gateway that listens on loopback, and what a client may do to it byte by byte. */
async function listening(options?: WorldOptions) {
  const world = aWorld(options);
  await world.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = world.app.server.address() as AddressInfo;
  cleanup.push(async () => {
    world.app.server.closeAllConnections();
    await world.app.close();
  });
  return {
    ...world,
    port,
    open: () => open(port),
    ask: (path: string, method?: string, body?: object, headers?: Record<string, string>) =>
      ask(port, path, { method, body, headers }),
  };
}

/** A connection that keeps what it receives. */
function open(port: number) {
  const socket: Socket = connect({ port, host: '127.0.0.1' });
  let received = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    received += chunk;
  });
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  cleanup.push(() => socket.destroy());
  return { socket, closed, received: () => received };
}

interface Asked {
  method?: string | undefined;
  body?: object | undefined;
  headers?: Record<string, string> | undefined;
}

/** A request whose answer is read as it comes; `destroy` leaves. */
function ask(port: number, path: string, { method = 'GET', body, headers = {} }: Asked) {
  const request = httpRequest({ port, host: '127.0.0.1', path, method, headers, agent: false });
  if (body) request.setHeader('content-type', 'application/json');
  request.end(body && JSON.stringify(body));
  const answer = new Promise<IncomingMessage>((resolve, reject) =>
    request.once('response', resolve).once('error', reject),
  );
  answer.catch(() => undefined);
  cleanup.push(() => request.destroy());
  return { request, answer, text: async () => textOf(await answer) };
}

async function textOf(message: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of message.setEncoding('utf8')) text += chunk;
  return text;
}

async function eventually(condition: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 300 && !condition(); attempt++) await sleep(10);
  expect(condition()).toBe(true);
}

const post = (path: string, body: string, headers = ''): string =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`;

describe('what is no proper request', () => {
  test.each([
    ['is not HTTP', 'EHLO example.org\r\n\r\n', 400, 'MalformedRequest'],
    [
      'has larger headers than are taken',
      `GET /v1/runs HTTP/1.1\r\nhost: x\r\nx-a: ${'a'.repeat(3000)}\r\n\r\n`,
      431,
      'HeadersTooLarge',
    ],
    [
      'says two lengths',
      'POST /execute HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
      'MalformedRequest',
    ],
    [
      'has two Content-Lengths',
      'POST /execute HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello',
      400,
      'MalformedRequest',
    ],
  ])('is answered with a problem and the end of the connection where it %s', async (_name, bytes, status, code) => {
    const world = await listening({ limits: { headerBytes: 2048 } });
    const { socket, closed, received } = world.open();
    socket.write(bytes);
    await closed;
    expect(received()).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(JSON.parse(received().split('\r\n\r\n')[1] ?? '')).toMatchObject({ status, code });
  });

  test.each([
    ['headers', 'POST /execute HTTP/1.1\r\nhost: x\r\n'],
    [
      'body',
      'POST /execute HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"code":',
    ],
    [
      'chunks',
      'POST /execute HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"cod\r\n',
    ],
  ])('is answered 408 where its %s come too slowly', async (_name, bytes) => {
    const world = await listening({ limits: { uploadTimeout: 200, headersTimeout: 200 } });
    const { socket, closed, received } = world.open();
    socket.write(bytes);
    await closed;
    expect(received()).toContain('HTTP/1.1 408 ');
    expect(world.allRuns()).toEqual([]);
  });

  test('is answered 408 where its body takes longer than a body may that is no file', async () => {
    const world = await listening();
    const { socket, closed, received } = world.open();
    socket.write(post('/execute', '{"code":"1"}').slice(0, -1));
    await eventually(() => world.clock.pending > 0);
    await world.clock.advance(30_000);
    await closed;
    expect(received()).toContain('HTTP/1.1 408 ');
    expect(world.allRuns()).toEqual([]);
  });

  test('costs nothing where its client leaves in the middle of the body', async () => {
    const world = await listening();
    const { socket } = world.open();
    socket.write(post('/execute', '{"code":"1"}').slice(0, -3), () => socket.destroy());
    await eventually(() => world.finished.length === 1 || socket.destroyed);
    expect(world.allRuns()).toEqual([]);
  });
});

test('requests that are sent before the answer to the first are answered in order', async () => {
  const world = await listening();
  const { socket, received } = world.open();
  socket.write(post('/v1/runs', '{"code":"1","name":"a"}') + post('/v1/runs', '{"code":"1","name":"b"}'));
  await eventually(() => received().split('HTTP/1.1 201').length === 3);
  expect(received().indexOf('"name":"a"')).toBeLessThan(received().indexOf('"name":"b"'));
});

const accept = { accept: 'text/event-stream' };

describe('a client that leaves', () => {
  test('cancels the run of its POST /execute', async () => {
    const world = await listening();
    const { request } = world.ask('/execute', 'POST', { code: '1' });
    await eventually(() => world.runs.listening === 1);
    request.destroy();
    await eventually(() => world.allRuns()[0]?.spec.cancelled === true);
    await eventually(() => world.held.at(-1) === 0 && world.runs.listening === 0);
    await eventually(() => world.finished.some(({ status }) => status === 499));
  });

  test.each([
    ['runs nothing', '/execute', 'POST', { code: '1' }],
    ['holds nothing', '/v1/runs/hello?wait=60', 'GET', undefined],
  ])('%s where it left before it was known who it was', async (_name, path, method, payload) => {
    const { promise: known, resolve } = Promise.withResolvers<void>();
    let asked = false;
    const world = await listening({
      identify: async () => {
        asked = true;
        await known;
        return { name: 'late', namespace: NAMESPACE };
      },
    });
    const { request } = world.ask(path, method, payload);
    await eventually(() => asked);
    request.destroy();
    await eventually(() => world.finished.length === 1);
    resolve();
    await sleep(50);
    expect([world.allRuns(), world.held, world.finished[0]?.status]).toEqual([[], [], 499]);
  });

  test('cancels its run even where it left while that was created', async () => {
    const world = await listening();
    const { promise: created, resolve } = Promise.withResolvers<void>();
    const create = world.kube.create.bind(world.kube);
    world.kube.create = async (type, object) => {
      await created;
      return create(type, object);
    };
    const { request } = world.ask('/execute', 'POST', { code: '1' });
    await eventually(() => world.held.at(-1) === 1);
    request.destroy();
    await eventually(() => world.held.at(-1) === 0);
    resolve();
    await eventually(() => world.allRuns()[0]?.spec.cancelled === true);
  });

  test('leaves the run of its POST /execute alone where it may come back with its Idempotency-Key', async () => {
    const world = await listening();
    const { request } = world.ask('/execute', 'POST', { code: '1' }, { 'idempotency-key': 'k' });
    await eventually(() => world.runs.listening === 1);
    request.destroy();
    await eventually(() => world.held.at(-1) === 0 && world.runs.listening === 0);
    await sleep(50);
    expect(world.allRuns()[0]?.spec.cancelled).toBe(false);
  });

  test.each([
    ['cancels a run whose events it followed, as asked', '?cancelOnDisconnect=true', true],
    ['leaves a run alone whose events it followed', '', false],
  ])('%s', async (_name, query, cancelled) => {
    const world = await listening();
    const { request, answer } = world.ask(`/v1/runs${query}`, 'POST', { code: '1' }, accept);
    await answer;
    await eventually(() => world.runs.listening === 1);
    request.destroy();
    await eventually(() => world.held.at(-1) === 0 && world.runs.listening === 0);
    await sleep(50);
    expect(world.allRuns()[0]?.spec.cancelled).toBe(cancelled);
  });

  test('does not cancel a run that it saw end', async () => {
    const world = await listening();
    const { text } = world.ask('/v1/runs?cancelOnDisconnect=true', 'POST', { code: '1' }, accept);
    await eventually(() => world.runs.listening === 1);
    await world.setStatus('Completed', { exitCode: 0 });
    expect(await text()).toContain('event: finished');
    await eventually(() => world.held.at(-1) === 0);
    expect(world.allRuns()[0]?.spec.cancelled).toBe(false);
  });

  test('leaves the run of its POST /v1/runs alone', async () => {
    const world = await listening();
    const { request } = world.ask('/v1/runs?wait=60', 'POST', { code: '1' });
    await eventually(() => world.runs.listening === 1);
    request.destroy();
    await eventually(() => world.held.at(-1) === 0 && world.runs.listening === 0);
    expect(world.allRuns()[0]?.spec.cancelled).toBe(false);
  });

  test('ends the reading of the log that it followed', async () => {
    const world = await listening();
    await world.post('/v1/runs', { code: '1', name: 'hello' });
    await world.setStatus('Running', { sandbox: { podName: 'pod' } });
    let signal: AbortSignal | undefined;
    world.kube.setLog(NAMESPACE, 'pod', async function* (options) {
      signal = options.signal;
      yield await new Promise<Uint8Array>((_resolve, reject) => options.signal?.addEventListener('abort', reject));
    });
    const { request, answer } = world.ask('/v1/runs/hello/logs?follow=true');
    expect((await answer).statusCode).toBe(200);
    await eventually(() => signal !== undefined);
    request.destroy();
    await eventually(() => signal?.aborted === true && world.held.at(-1) === 0);
  });
});

describe('a connection on which nothing moves', () => {
  test('stays open while its request is held, and closes otherwise', async () => {
    const world = await listening({ limits: { connectionTimeout: 150, keepAliveTimeout: 100_000 } });
    const idle = world.open();
    const held = world.ask('/v1/runs?wait=60', 'POST', { code: '1' });
    await idle.closed;
    await sleep(300);
    await world.setStatus('Completed');
    expect(JSON.parse(await held.text())).toMatchObject({ state: 'succeeded' });
  });
});

test('an output that nobody reads is not read either, and is let go in the end', async () => {
  const world = await listening({ limits: { stalledReaderTimeout: 5000 } });
  await world.post('/v1/runs', { code: '1', name: 'hello' });
  await world.setStatus('Running', { sandbox: { podName: 'pod' } });
  const id = world.allRuns()[0]?.metadata.uid;
  const chunk = Buffer.from(`${JSON.stringify({ id, stdout: 'x'.repeat(100_000) })}\n`);
  let written = 0;
  world.kube.setLog(NAMESPACE, 'pod', async function* () {
    for (; written < 5000; written++) yield chunk;
  });
  const { answer } = world.ask('/v1/runs/hello/logs?follow=true');
  (await answer).pause();
  await eventually(() => written > 0);
  await sleep(300);
  const before = written;
  await sleep(200);
  expect([written === before, before < 200]).toEqual([true, true]);
  await world.clock.advance(5000);
  await eventually(() => world.held.at(-1) === 0);
});

test('events that nobody reads are not read either, and are let go in the end', async () => {
  const world = await listening({ limits: { stalledReaderTimeout: 1000 } });
  await world.post('/v1/runs', { code: '1', name: 'loud' });
  const id = world.allRuns()[0]?.metadata.uid;
  let written = 0;
  world.kube.setLog(NAMESPACE, 'pod', async function* () {
    const line = Buffer.from(`${JSON.stringify({ id, stdout: 'x'.repeat(100_000) })}\n`);
    for (; written < 1000; written++) yield line;
    await new Promise(() => undefined);
  });
  await world.setStatus('Running', { startTime: '2026-01-01T00:00:00Z', sandbox: { podName: 'pod' } });
  const { socket } = world.open();
  socket.pause();
  socket.write('GET /v1/runs/loud/events HTTP/1.1\r\nhost: x\r\n\r\n');
  await eventually(() => world.held.at(-1) === 1 && written > 0);
  await sleep(300);
  expect(written).toBeLessThan(200);
  await world.clock.advance(1000);
  await eventually(() => world.held.at(-1) === 0);
});

describe('a method or protocol that there is not', () => {
  test.each([
    [
      'TRACE',
      'TRACE /v1/runs HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
      /^(HTTP\/1.1 40[045] .*problem\+json.*)?$/s,
    ],
    ['CONNECT', 'CONNECT 10.0.0.1:80 HTTP/1.1\r\nhost: x\r\n\r\n', /^(HTTP\/1.1 4.*)?$/s],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', /^HTTP\/1.1 400 .*problem\+json/s],
  ])('is refused: %s', async (_name, bytes, answer) => {
    const world = await listening();
    const { socket, closed, received } = world.open();
    socket.write(bytes);
    await closed;
    expect(received()).toMatch(answer);
  });

  test('is not switched to: WebSocket', async () => {
    const world = await listening();
    const { socket, closed, received } = world.open();
    socket.write(
      'GET /v1/runs HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    );
    await eventually(() => received().length > 0);
    expect(received()).not.toContain(' 101 ');
    socket.end();
    await closed;
  });
});

describe('a gateway that closes', () => {
  test('finishes what it holds and takes nothing new', async () => {
    const world = await listening();
    const held = world.ask('/execute', 'POST', { code: '1' });
    const { socket, received, closed } = world.open();
    socket.write(post('/v1/runs?wait=60', '{"code":"1","name":"held"}'));
    await eventually(() => world.runs.listening === 2);
    const closing = world.app.close();
    await sleep(50);
    socket.write(post('/v1/runs', '{"code":"1","name":"late"}'));
    await sleep(50);
    for (const { metadata } of world.allRuns()) await world.setStatus('Completed', { stdout: 'done' }, metadata.name);
    expect(JSON.parse(await held.text())).toMatchObject({ success: true, stdout: 'done' });
    await Promise.all([closing, closed]);
    expect(received()).toMatch(/^HTTP\/1.1 201 .*\r\nconnection: close\r\n/is);
    expect(world.allRuns().map(({ metadata }) => metadata.name)).not.toContain('late');
    expect(world.clock.pending).toBe(0);
  });

  test('answers a request that came too late with a problem', async () => {
    const world = await listening();
    const { socket, received, closed } = world.open();
    socket.write('GET /v1/runs HTTP/1.1\r\nhost: x\r\n');
    await sleep(50);
    const closing = world.app.close();
    await sleep(50);
    socket.write('\r\n');
    await Promise.all([closing, closed]);
    expect(received()).toMatch(/^HTTP\/1.1 503 .*\r\nconnection: close\r\n.*"code":"ShuttingDown"/is);
  });

  test('leaves runs alone whose events it had to break off: their clients come back to another', async () => {
    const world = await listening({ limits: { drainTimeout: 1000 } });
    const { answer, text } = world.ask('/v1/runs?cancelOnDisconnect=true', 'POST', { code: '1' }, accept);
    await answer;
    const broken = text().catch((error: unknown) => error);
    await eventually(() => world.runs.listening === 1);
    const closed = world.app.close();
    await sleep(50);
    await world.clock.advance(1000);
    expect(await broken).toBeInstanceOf(Error);
    await closed;
    expect(world.allRuns()[0]?.spec.cancelled).toBe(false);
  });

  test('lets go of what does not end in time, and leaves the runs to their end', async () => {
    const world = await listening({ limits: { drainTimeout: 1000 } });
    const executed = world.ask('/execute', 'POST', { code: '1' });
    const created = world.ask('/v1/runs?wait=60', 'POST', { code: '1' });
    await eventually(() => world.runs.listening === 2);
    const closed = world.app.close();
    await sleep(50);
    await world.clock.advance(1000);
    expect(JSON.parse(await executed.text())).toMatchObject({ status: 503, code: 'ShuttingDown', retrySafe: false });
    expect([(await created.answer).statusCode, JSON.parse(await created.text()).state]).toEqual([201, 'queued']);
    await closed;
    expect(world.allRuns().map(({ spec }) => spec.cancelled)).toEqual([false, false]);
  });
});
