/** An attached stream ends once, with a reason, and pushes back, whatever the other side does. */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Agent, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { type AttachRequest, openAttach } from '../../../src/kube/attach.ts';
import { createKube } from '../../../src/kube/client.ts';
import type { ContainerStream } from '../../../src/kube/containerstream.ts';
import { Channel } from '../../../src/kube/frames.ts';
import { type AttachedPeer, type AttachServerOptions, startAttachServer } from '../../support/attach-server.ts';
import { FakeClock } from '../../support/clock.ts';
import { fixedCredentials } from '../../support/credentials.ts';

const MEBIBYTE = 1024 * 1024;

interface Attached extends AsyncDisposable {
  stream: ContainerStream;
  peer: AttachedPeer;
  clock: FakeClock;
}

const requestOf = (url: URL, changes: Partial<AttachRequest> = {}): AttachRequest => ({
  url: new URL('/attach', url),
  headers: { authorization: 'Bearer t' },
  agent: new Agent(),
  clock: new FakeClock(),
  timeoutMilliseconds: 30_000,
  pingMilliseconds: 15_000,
  signal: new AbortController().signal,
  ...changes,
});

async function attached(options: AttachServerOptions = {}, changes: Partial<AttachRequest> = {}): Promise<Attached> {
  const server = await startAttachServer(options);
  const clock = new FakeClock();
  const stream = await openAttach(requestOf(server.url, { clock, ...changes }));
  return { stream, peer: await server.next(), clock, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

async function textOf(stream: ContainerStream): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream.output) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Sends for ever, as fast as the client takes it. */
function flood(peer: AttachedPeer): { frames: number } {
  const sent = { frames: 0 };
  const send = async (): Promise<void> => {
    for (;;) {
      await peer.send(Channel.stdout, Buffer.alloc(MEBIBYTE / 2));
      sent.frames++;
    }
  };
  send().catch(() => undefined);
  return sent;
}

/** Resolves when `read` gives what it gave a while before. */
async function untilSteady(read: () => number): Promise<void> {
  let before = -1;
  const isSteady = (): boolean => {
    const now = read();
    const same = now === before;
    before = now;
    return same;
  };
  await expect.poll(isSteady, { interval: 100 }).toBe(true);
}

const successful = JSON.stringify({ metadata: {}, status: 'Success' });

test('the handshake asks for the protocol, and carries the credentials', async () => {
  await using it = await attached();
  const { url, headers } = it.peer.request;
  expect(url).toBe('/attach');
  expect(headers).toMatchObject({ authorization: 'Bearer t', 'sec-websocket-protocol': 'v5.channel.k8s.io' });
  expect(headers['sec-websocket-extensions']).toBeUndefined();
});

test('a client attaches to stdin and stdout of one container', async () => {
  await using server = await startAttachServer();
  const credentials = fixedCredentials(`${server.url}below`, { headers: { authorization: 'Bearer t' }, tls: {} });
  const stream = await createKube(credentials).attach('ns', 'p', 'c', new AbortController().signal);
  const { request } = await server.next();
  expect(request.url).toBe('/below/api/v1/namespaces/ns/pods/p/attach?container=c&stdin=true&stdout=true');
  expect(request.headers).toMatchObject({ authorization: 'Bearer t', 'user-agent': 'coderun' });
  stream.close();
});

test('a client starts a command in one container, word by word', async () => {
  await using server = await startAttachServer();
  const credentials = fixedCredentials(server.url.href, { headers: { authorization: 'Bearer t' }, tls: {} });
  const { signal } = new AbortController();
  const command = ['python3', '-c', 'a & b=c\n', ''];
  const stream = await createKube(credentials).exec('ns', 'p', 'c', command, signal);
  const { request } = await server.next();
  const { pathname, searchParams } = new URL(request.url ?? '', server.url);
  expect(pathname).toBe('/api/v1/namespaces/ns/pods/p/exec');
  expect(searchParams.getAll('command')).toEqual(command);
  expect([...searchParams].filter(([name]) => name !== 'command')).toEqual([
    ['container', 'c'],
    ['stdin', 'true'],
    ['stdout', 'true'],
  ]);
  stream.close();
});

test('a command that can not be started says so', async () => {
  const answer = (socket: Duplex) => {
    const body = JSON.stringify({ status: 'Failure', code: 404, reason: 'NotFound', message: 'pods "p" not found' });
    socket.end(`HTTP/1.1 404 Not Found\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  };
  await using server = await startAttachServer({ answer });
  const kube = createKube(fixedCredentials(server.url.href, { headers: {}, tls: {} }));
  const started = kube.exec('ns', 'p', 'c', ['true'], new AbortController().signal);
  await expect(started).rejects.toMatchObject({ name: 'KubeError', code: 404, reason: 'NotFound' });
});

test('output comes in order, from the first frame on, and without what other channels carry', async () => {
  const greet = (peer: AttachedPeer): void => {
    void peer.send(Channel.stdout, '');
    void peer.send(Channel.stdout, 'one ');
  };
  await using it = await attached({ greet });
  await it.peer.send(2, 'stderr');
  await it.peer.send(77, 'unknown');
  await it.peer.send(Channel.stdout, 'two');
  await it.peer.send(Channel.error, successful);
  it.peer.socket.close(1000);
  expect(await textOf(it.stream)).toBe('one two');
});

test('a write that has resolved has been sent, whole and in order', async () => {
  await using it = await attached();
  const large = Buffer.alloc(3 * MEBIBYTE, 'x');
  await Promise.all([it.stream.write('first\n'), it.stream.write(large), it.stream.write('last\n')]);
  it.stream.close();
  await once(it.peer.socket, 'close');
  expect(it.peer.stdin().equals(Buffer.concat([Buffer.from('first\n'), large, Buffer.from('last\n')]))).toBe(true);
});

test('the input can be closed while the output goes on', async () => {
  await using it = await attached();
  const received = once(it.peer.socket, 'message');
  await it.stream.closeInput();
  await received;
  expect(it.peer.frames).toEqual([Buffer.of(255, 0)]);
  await it.peer.send(Channel.stdout, 'more');
  const { value } = await it.stream.output[Symbol.asyncIterator]().next();
  expect(value?.toString()).toBe('more');
});

const failed = JSON.stringify({ status: 'Failure', message: 'container not found' });

test.each<[string, (peer: AttachedPeer) => unknown, string, string]>([
  ['a status of success', (peer) => peer.send(Channel.error, successful), 'ended', 'the process has ended'],
  ['a status of failure', (peer) => peer.send(Channel.error, failed), 'broken', 'container not found'],
  ['no status', () => undefined, 'ended', 'the server closed the stream without a status'],
])('a stream that is closed after %s ends with what it says', async (_name, say, kind, message) => {
  await using it = await attached();
  await say(it.peer);
  it.peer.socket.close(1000);
  expect(await it.stream.ended).toEqual({ kind, message });
  expect(await textOf(it.stream)).toBe('');
});

test.each<[string, (peer: AttachedPeer) => unknown, string]>([
  ['closed for an error of the server', (peer) => peer.socket.close(1011), 'the connection was lost'],
  ['cut', (peer) => peer.socket.terminate(), 'the connection was lost'],
  ['reset', (peer) => peer.reset(), 'the connection was lost'],
  [
    'broken by a frame over the limit',
    (peer) => peer.send(Channel.stdout, Buffer.alloc(2 * MEBIBYTE)),
    'Max payload size exceeded',
  ],
])('a connection that is %s breaks the stream, and what came before can be read', async (_name, act, message) => {
  await using it = await attached();
  await it.peer.send(Channel.stdout, 'before');
  const output = it.stream.output[Symbol.asyncIterator]();
  expect((await output.next()).value?.toString()).toBe('before');
  await act(it.peer);
  expect(await it.stream.ended).toEqual({ kind: 'broken', message });
  expect((await output.next()).done).toBe(true);
});

test('a server that says how the process ended but does not close is not waited for', async () => {
  await using it = await attached();
  await it.peer.send(Channel.error, successful);
  await it.peer.send(Channel.stdout, 'read');
  for await (const _ of it.stream.output) await it.clock.advance(2000);
  expect(await it.stream.ended).toMatchObject({ kind: 'ended' });
});

test('closing ends the stream at once, tells the server, and leaves no timer', async () => {
  await using it = await attached();
  it.stream.close();
  it.stream.close();
  expect(await it.stream.ended).toEqual({ kind: 'closed', message: 'closed on this side' });
  const [code] = await once(it.peer.socket, 'close');
  expect(code).toBe(1000);
  await expect.poll(() => it.clock.pending).toBe(0);
});

test('closing in the middle of a flood drops what still comes', async () => {
  await using it = await attached();
  const sent = flood(it.peer);
  await untilSteady(() => sent.frames);
  it.stream.close();
  const [code] = await once(it.peer.socket, 'close');
  expect(code).toBe(1000);
  await expect.poll(() => it.clock.pending).toBe(0);
});

test('a server that does not answer the close frame is cut off', async () => {
  const { promise: cut, resolve } = Promise.withResolvers<void>();
  const answer = (socket: Duplex, { headers }: IncomingMessage): void => {
    const accept = createHash('sha1').update(`${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
    const upgrade = `upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-protocol: v5.channel.k8s.io`;
    socket.write(`HTTP/1.1 101 OK\r\n${upgrade}\r\nsec-websocket-accept: ${accept.digest('base64')}\r\n\r\n`);
    socket.on('end', resolve).on('error', resolve).resume();
  };
  await using server = await startAttachServer({ answer });
  const clock = new FakeClock();
  const stream = await openAttach(requestOf(server.url, { clock }));
  stream.close();
  await clock.advance(2000);
  await cut;
});

test('the signal closes an open stream', async () => {
  const abort = new AbortController();
  await using it = await attached({}, { signal: abort.signal });
  abort.abort();
  expect(await it.stream.ended).toMatchObject({ kind: 'closed' });
});

test('leaving the loop over the output closes the stream', async () => {
  await using it = await attached();
  await it.peer.send(Channel.stdout, 'x');
  for await (const _ of it.stream.output) break;
  expect(await it.stream.ended).toMatchObject({ kind: 'closed' });
});

test('a write after the end rejects', async () => {
  await using it = await attached();
  it.peer.reset();
  await it.stream.ended;
  await expect(it.stream.write('x')).rejects.toMatchObject({ name: 'KubeError', code: 0, reason: 'StreamEnded' });
});

test('a write that the server never took rejects when the connection breaks', async () => {
  await using it = await attached();
  it.peer.socket.pause();
  const write = it.stream.write(Buffer.alloc(32 * MEBIBYTE));
  const rejected = expect(write).rejects.toMatchObject({ reason: 'StreamEnded' });
  it.peer.reset();
  await rejected;
});

test('a flood is held back at the sender until it is read, and then comes whole', async () => {
  await using it = await attached();
  const chunk = Buffer.alloc(MEBIBYTE / 2, 'flood ');
  const expected = createHash('sha256');
  let taken = 0;
  const sending = (async () => {
    for (let turn = 0; turn < 200; turn++) {
      await it.peer.send(Channel.stdout, chunk);
      expected.update(chunk);
      taken += chunk.length;
    }
    it.peer.socket.close(1000);
  })();
  await untilSteady(() => taken);
  // What was taken so far lies in the buffers of the kernel: some MiB each way.
  expect(taken).toBeLessThan(20 * MEBIBYTE);
  const received = createHash('sha256');
  for await (const part of it.stream.output) received.update(part);
  await sending;
  expect(taken).toBe(100 * MEBIBYTE);
  expect(received.digest('hex')).toBe(expected.digest('hex'));
});

test('a server that answers pings keeps its stream, though nothing else comes', async () => {
  await using it = await attached();
  for (let turn = 0; turn < 3; turn++) {
    const pinged = once(it.peer.socket, 'ping');
    await it.clock.advance(15_000);
    await pinged;
    // While another stream opens, the answer arrives.
    await using _ = await attached();
  }
  expect(await Promise.race([it.stream.ended, 'open'])).toBe('open');
});

test('output is a sign of life as well as an answered ping', async () => {
  await using it = await attached({ answersPings: false });
  const output = it.stream.output[Symbol.asyncIterator]();
  for (let turn = 0; turn < 3; turn++) {
    await it.clock.advance(15_000);
    await it.peer.send(Channel.stdout, 'x');
    expect((await output.next()).done).toBe(false);
  }
});

test('a server that falls silent breaks the stream within two pings', async () => {
  await using it = await attached({ answersPings: false });
  const pinged = once(it.peer.socket, 'ping');
  await it.clock.advance(15_000);
  await pinged;
  await it.clock.advance(15_000);
  expect(await it.stream.ended).toEqual({ kind: 'broken', message: 'the server did not answer a ping' });
  expect(it.clock.pending).toBe(0);
});

test('silence is not held against the server while the output is not read', async () => {
  await using it = await attached({ answersPings: false });
  const sent = flood(it.peer);
  await untilSteady(() => sent.frames);
  await it.clock.advance(60_000);
  expect(await Promise.race([it.stream.ended, 'open'])).toBe('open');
});

const answering = (status: string, body: string): AttachServerOptions => ({
  answer: (socket) => socket.end(`HTTP/1.1 ${status}\r\ncontent-length: ${body.length}\r\n\r\n${body}`),
});

test.each([
  ['a pod that is not there', '404 Not Found', { status: 'Failure', code: 404, reason: 'NotFound' }, 'NotFound'],
  ['what RBAC does not allow', '403 Forbidden', { status: 'Failure', code: 403, reason: 'Forbidden' }, 'Forbidden'],
  ['a proxy that is lost', '502 Bad Gateway', {}, ''],
])('%s is refused with its code', async (_name, status, body, reason) => {
  await using server = await startAttachServer(answering(status, JSON.stringify(body)));
  await expect(openAttach(requestOf(server.url))).rejects.toMatchObject({ code: Number.parseInt(status, 10), reason });
});

test('a refusal that is cut in its body is a connection that failed', async () => {
  await using server = await startAttachServer({
    answer: (socket) => {
      socket.write('HTTP/1.1 500 Oops\r\ncontent-length: 100\r\n\r\nhalf');
      setImmediate(() => socket.destroy());
    },
  });
  await expect(openAttach(requestOf(server.url))).rejects.toMatchObject({ code: 0, reason: 'Unreachable' });
});

test('a server that speaks another protocol is refused', async () => {
  await using server = await startAttachServer({ answer: (socket) => socket.end('nonsense\r\n\r\n') });
  await expect(openAttach(requestOf(server.url))).rejects.toMatchObject({ code: 0, reason: 'Unreachable' });
});

test('a server that is not there is unreachable', async () => {
  const server = await startAttachServer();
  await server[Symbol.asyncDispose]();
  await expect(openAttach(requestOf(server.url))).rejects.toMatchObject({ code: 0, reason: 'Unreachable' });
});

test('a handshake that takes too long is given up', async () => {
  const asked = Promise.withResolvers<void>();
  await using server = await startAttachServer({ answer: () => asked.resolve() });
  const clock = new FakeClock();
  const attaching = openAttach(requestOf(server.url, { clock }));
  const rejected = expect(attaching).rejects.toMatchObject({ code: 0, reason: 'Timeout' });
  await asked.promise;
  await clock.advance(30_000);
  await rejected;
});

test('a signal that aborts before or during the handshake is an AbortError', async () => {
  const asked = Promise.withResolvers<void>();
  await using server = await startAttachServer({ answer: () => asked.resolve() });
  const abort = new AbortController();
  const attaching = openAttach(requestOf(server.url, { signal: abort.signal }));
  const rejected = expect(attaching).rejects.toMatchObject({ name: 'AbortError' });
  await asked.promise;
  abort.abort();
  await rejected;
  const late = openAttach(requestOf(server.url, { signal: abort.signal }));
  await expect(late).rejects.toMatchObject({ name: 'AbortError' });
});
