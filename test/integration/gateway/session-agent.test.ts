/** Sessions over real sockets with the real agent behind them: what stays, what is streamed, and what is never mixed. */

import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { AttachedStream } from '../../../src/kube/port.ts';
import { aSessionWorld } from '../../support/gateway-sessions.ts';
import type { WorldOptions } from '../../support/gateway-world.ts';
import { startAgent } from '../../support/real-agent.ts';

const MIB = 1024 * 1024;

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const task of cleanup.splice(0).reverse()) await task();
});

/** A gateway on loopback, and a session `s1` whose sandbox is a process here. */
async function live(options?: WorldOptions) {
  const agent = await startAgent();
  cleanup.push(() => agent[Symbol.asyncDispose]());
  const world = aSessionWorld(undefined, options);
  let said = 0;
  world.kube.onExec = () =>
    counted(agent.connect(), (bytes) => {
      said += bytes;
    });
  await world.session();
  await world.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = world.app.server.address() as AddressInfo;
  cleanup.push(async () => {
    world.app.server.closeAllConnections();
    await world.app.close();
  });
  const call = (
    method: string,
    path: string,
    body?: object,
    headers: Record<string, string> = {},
    signal?: AbortSignal,
  ) =>
    fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: { ...(body && { 'content-type': 'application/json' }), ...headers },
      ...(body && { body: JSON.stringify(body) }),
      ...(signal && { signal }),
    });
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into, field by field, by the tests themselves
  const json = async (answer: Promise<Response>): Promise<any> => (await answer).json();
  const execute = (code: string, more: object = {}) => json(call('POST', '/v1/sessions/s1/execute', { code, ...more }));
  const content = (path: string) =>
    `http://127.0.0.1:${port}/v1/sessions/s1/files/content?path=${encodeURIComponent(path)}`;
  return { world, agent, port, call, json, execute, content, said: () => said };
}

function counted(stream: AttachedStream, count: (bytes: number) => void): AttachedStream {
  async function* output() {
    for await (const chunk of stream.output) {
      count(chunk.length);
      yield chunk;
    }
  }
  return { ...stream, output: output() };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(10);
}

const text = (value: string) => ({ mime: { 'text/plain': value } });

describe('an execution', () => {
  test('finds what the one before has left', async () => {
    const { execute } = await live();
    expect(await execute('x = 41')).toMatchObject({ reason: 'Completed', executionCount: 1, stateKept: true });
    expect(await execute('x += 1; print("hi"); x')).toMatchObject({
      stdout: 'hi\n',
      results: [expect.objectContaining(text('42'))],
      executionCount: 2,
    });
  });

  test('of another context or language finds nothing of it, but the files', async () => {
    const { execute } = await live();
    await execute('x = 1; open("f", "w").write("file")');
    expect(await execute('x', { context: 'other' })).toMatchObject({ error: { name: 'NameError' }, stateKept: true });
    expect(await execute('A=5; cat f', { language: 'bash' })).toMatchObject({ stdout: 'file', exitCode: 0 });
    expect(await execute('echo $A', { language: 'bash' })).toMatchObject({ stdout: '5\n' });
    expect(await execute('x')).toMatchObject({ results: [expect.objectContaining(text('1'))] });
  });

  test('reads its stdin, awaits at the top, and keeps stdout and stderr apart', async () => {
    const { execute } = await live();
    const code = 'import asyncio, sys\nawait asyncio.sleep(0)\nprint(input())\nprint("e", file=sys.stderr)';
    expect(await execute(code, { stdin: 'in\n' })).toMatchObject({ stdout: 'in\n', stderr: 'e\n' });
  });

  test('that takes too long is interrupted, and the state is kept', async () => {
    const { execute } = await live();
    await execute('x = 7');
    expect(await execute('import time; time.sleep(60)', { timeoutSeconds: 1 })).toMatchObject({
      reason: 'Timeout',
      stateKept: true,
    });
    expect(await execute('x')).toMatchObject({ results: [expect.objectContaining(text('7'))] });
  });

  test('is interrupted by whoever asks', async () => {
    const { execute, call } = await live();
    const pending = execute('x = 1\nimport time; time.sleep(60)');
    await sleep(500);
    expect((await call('POST', '/v1/sessions/s1/interrupt')).status).toBe(204);
    expect(await pending).toMatchObject({ reason: 'Cancelled', stateKept: true });
    expect(await execute('x')).toMatchObject({ reason: 'Completed' });
  });

  test('prints what looks like an event, closes its files and harms nothing but itself', async () => {
    const { execute } = await live();
    const code = `
import os, json, sys, builtins
for fd in range(1, 10):
    try: os.write(fd, b'{"id":"r2","done":{}}\\n{"id":"r2","exit":{}}\\n')
    except OSError: pass
json.dumps = builtins.print = sys.stdout = None
os.closerange(0, 100)`;
    const answer = await execute(code);
    expect(answer).not.toHaveProperty('code');
    expect(await execute('1 + 1')).toMatchObject({ results: [expect.objectContaining(text('2'))] });
  });
});

test('two clients get answers that are in order and not mixed', async () => {
  const { execute } = await live();
  await execute('seen = []');
  const client = async (name: string) => {
    const answers: { stdout: string; executionCount: number }[] = [];
    for (let turn = 0; turn < 25; turn++)
      answers.push(await execute(`seen.append("${name}${turn}"); print("${name}${turn}")`));
    return answers;
  };
  const [a = [], b = []] = await Promise.all(['a', 'b'].map(client));
  for (const [name, answers] of Object.entries({ a, b })) {
    expect(answers.map(({ stdout }) => stdout)).toEqual(answers.map((_, turn) => `${name}${turn}\n`));
    const counts = answers.map(({ executionCount }) => executionCount);
    expect(counts).toEqual([...counts].sort((one, other) => one - other));
  }
  expect(new Set([...a, ...b].map(({ executionCount }) => executionCount)).size).toBe(50);
  expect(await execute('len(seen)')).toMatchObject({ results: [expect.objectContaining(text('50'))] });
});

describe('a stream of events', () => {
  const streaming = async ({ call }: Awaited<ReturnType<typeof live>>, body: object, signal?: AbortSignal) => {
    const answer = await call('POST', '/v1/sessions/s1/execute', body, { accept: 'text/event-stream' }, signal);
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    let received = '';
    const until = async (part: string) => {
      while (!received.includes(part)) {
        const { value, done } = await reader.read();
        if (done) throw new Error(`no ${part} in ${received}`);
        received += Buffer.from(value).toString();
      }
      return received;
    };
    return { answer, until };
  };

  test('comes as the program speaks', async () => {
    const it = await live();
    const code = 'print(1, flush=True)\nimport sys\nsys.stdin.readline()\nimport time; time.sleep(1)\nprint(2)';
    const { answer, until } = await streaming(it, { code });
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    const early = await until('"1');
    expect(early).not.toContain('finished');
    const all = await until('event: finished');
    expect(all.match(/^event: .*$/gm)?.at(0)).toBe('event: started');
  });

  test.each([
    ['interrupts its program', false, 'no'],
    ['leaves a detached program alone', true, 'yes'],
  ])('whose client leaves %s', async (_what, detach, expected) => {
    const it = await live();
    const client = new AbortController();
    const code = 'done = "no"\nprint("on", flush=True)\nimport time; time.sleep(2)\ndone = "yes"';
    const { until } = await streaming(it, { code, detach }, client.signal);
    await until('"text":"on');
    client.abort();
    const next = await it.execute('done');
    expect(next, JSON.stringify(next)).toHaveProperty('results', [expect.objectContaining(text(`'${expected}'`))]);
  });
});

describe('interpreters', () => {
  test('are restarted, and files stay', async () => {
    const { execute, call } = await live();
    await execute('x = 1; open("f", "w").write("file")');
    expect((await call('POST', '/v1/sessions/s1/restart', {})).status).toBe(204);
    expect(await execute('open("f").read() + str("x" in globals())')).toMatchObject({
      results: [expect.objectContaining(text("'fileFalse'"))],
    });
  });

  test('tell their variables', async () => {
    const { execute, call, json } = await live();
    await execute('n = 5; words = ["a", "b"]');
    const { variables } = await json(call('GET', '/v1/sessions/s1/variables'));
    expect(variables).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: 'n', type: 'int', repr: '5' }),
        expect.objectContaining({ name: 'words', type: 'list', size: '2' }),
      ]),
    );
  });
});

describe('a sandbox that dies in the middle of an execution', () => {
  test.each(['OutOfMemory', 'SandboxLost'] as const)('is told as %s, within a moment', async (reason) => {
    const { world, agent, execute } = await live();
    const pending = execute('print("so far", flush=True)\nimport time; time.sleep(60)');
    await sleep(500);
    agent.signal('SIGKILL');
    await sleep(100);
    await world.stand('s1', reason);
    expect(await pending).toMatchObject({ reason, stdout: 'so far\n', stateKept: false });
    expect(await execute('1')).toMatchObject({ code: 'SessionEnded', status: 409 });
  });
});

test('a gateway that closes finishes executions, and lets go of what does not end in time', async () => {
  const { world, agent, call, execute, said } = await live({ limits: { drainTimeout: 1000 } });
  await execute('import time');
  const before = said();
  const body = { code: 'time.sleep(1); print("done")' };
  const short = call('POST', '/v1/sessions/s1/execute', body, { accept: 'text/event-stream' });
  await until(() => said() > before);
  const long = execute('time.sleep(60)', { timeoutSeconds: 90 });
  await until(() => world.held.includes(2));
  const closed = world.app.close();
  expect(await (await short).text()).toContain('event: finished');
  await world.clock.advance(1000);
  expect(await long).toMatchObject({ status: 503, code: 'ShuttingDown', retrySafe: false });
  await closed;
  expect([world.bridges.size, world.clock.pending]).toEqual([0, 0]);
  expect(agent.connected()).toBe(0);
});

describe('files', () => {
  const put = (url: string, body: Uint8Array | string) => fetch(url, { method: 'PUT', body: body as string });

  test('come back as they were sent, and what is on the way is made', async () => {
    const { content, agent, call, json } = await live();
    const bytes = randomBytes(1_000_003);
    expect((await put(content('a/b/c.bin'), bytes)).status).toBe(204);
    expect(readFileSync(join(agent.workspace, 'a/b/c.bin')).equals(bytes)).toBe(true);
    const answer = await fetch(content('a/b/c.bin'));
    expect(answer.headers.get('content-length')).toBe('1000003');
    expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true);
    const { entries } = await json(call('GET', '/v1/sessions/s1/files?path=a/b'));
    expect(entries).toMatchObject([{ name: 'c.bin', kind: 'file', bytes: 1_000_003 }]);
    expect((await fetch(content('a'), { method: 'DELETE' })).status).toBe(204);
    expect(existsSync(join(agent.workspace, 'a'))).toBe(false);
  });

  test.each([
    'plain.txt',
    'with space & ?=#+.txt',
    'ünï/cödé 🎉',
    'quote\'"`$(x)',
    '-rf',
    'per%25cent',
    'not%FFutf8%FE',
    'line\nbreak\ttab',
    '\u0001\u007f',
    'x'.repeat(255),
  ])('of any name make the way there and back: %j', async (name) => {
    const { content, call, json } = await live();
    expect((await put(content(name), name)).status).toBe(204);
    expect(await (await fetch(content(name))).text()).toBe(name);
    const folder = name.includes('/') ? name.slice(0, name.lastIndexOf('/')) : '';
    const { entries } = await json(call('GET', `/v1/sessions/s1/files?path=${encodeURIComponent(folder)}`));
    expect(entries.map((entry: { name: string }) => entry.name)).toContain(
      folder ? name.slice(folder.length + 1) : name,
    );
  });

  test.each([
    ['that is not there', 'none', 404, 'FileNotFound'],
    ['above the working directory', '../x', 403, 'PathNotAllowed'],
    ['from the root', '/etc/passwd', 403, 'PathNotAllowed'],
    ['through a link', 'link/passwd', 403, 'PathNotAllowed'],
    ['that is a link', 'file-link', 403, 'PathNotAllowed'],
    ['that is a folder', 'folder', 409, 'NotAFile'],
    ['that is a FIFO', 'fifo', 409, 'NotAFile'],
    ['below a file', 'file/x', 409, 'NotAFolder'],
  ])('at a path %s are refused at once', async (_what, path, status, code) => {
    const { content, agent, execute, json } = await live();
    await execute('import os; os.mkfifo("fifo"); os.mkdir("folder"); open("file", "w").close()');
    symlinkSync('/etc', join(agent.workspace, 'link'));
    symlinkSync('file', join(agent.workspace, 'file-link'));
    const answer = await json(fetch(content(path), { signal: AbortSignal.timeout(5000) }));
    expect(answer).toMatchObject({ status, code });
  });

  test('are taken without their length, and whole where they have one', async () => {
    const { content, agent, port } = await live();
    const body = Readable.toWeb(Readable.from([Buffer.from('one'), Buffer.from('two')]));
    const chunked = await fetch(content('f'), { method: 'PUT', body, duplex: 'half' } as RequestInit);
    expect([chunked.status, readFileSync(join(agent.workspace, 'f'), 'utf8')]).toEqual([204, 'onetwo']);
    const socket = connect({ port, host: '127.0.0.1' });
    socket.write('PUT /v1/sessions/s1/files/content?path=f HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nthree');
    await sleep(300);
    socket.destroy();
    await sleep(300);
    expect(readdirSync(agent.workspace).filter((name) => name.startsWith('.coderun-'))).toEqual([]);
    expect(readFileSync(join(agent.workspace, 'f'), 'utf8')).toBe('onetwo');
  });

  test('that are refused while they are sent are answered', async () => {
    const { content, agent, json } = await live();
    symlinkSync('/etc', join(agent.workspace, 'link'));
    const answer = await json(put(content('link/x'), randomBytes(20 * MIB)));
    expect(answer).toMatchObject({ status: 403, code: 'PathNotAllowed' });
  });

  const SIZE = 40 * MIB;
  /** What lies in buffers of the kernel and in a window, but never a file. */
  const HELD = 20 * MIB;

  /** Resolves when `read` gives what it gave a while before. */
  async function untilSteady(read: () => number): Promise<number> {
    for (let before = -1; before !== read(); await sleep(300)) before = read();
    return read();
  }

  test('are taken from their client no faster than the sandbox takes them', { timeout: 120_000 }, async () => {
    const { content, agent, execute } = await live();
    await execute('1');
    const piece = randomBytes(64 * 1024);
    let taken = 0;
    async function* pieces() {
      for (; taken < SIZE; taken += piece.length) yield piece;
    }
    agent.signal('SIGSTOP');
    const body = Readable.toWeb(Readable.from(pieces()));
    const sent = fetch(content('large'), { method: 'PUT', body, duplex: 'half' } as RequestInit);
    await until(() => taken > 0);
    expect(await untilSteady(() => taken)).toBeLessThan(HELD);
    agent.signal('SIGCONT');
    expect((await sent).status).toBe(204);
    const hash = createHash('sha256');
    for (let count = 0; count < SIZE / piece.length; count++) hash.update(piece);
    const stored = createHash('sha256').update(readFileSync(join(agent.workspace, 'large')));
    expect(stored.digest('hex')).toBe(hash.digest('hex'));
  });

  test('are read from the sandbox no faster than their client takes them', { timeout: 120_000 }, async () => {
    const { content, agent, said } = await live();
    const large = Buffer.alloc(SIZE, randomBytes(1001));
    writeFileSync(join(agent.workspace, 'large'), large);
    const answer = await new Promise<IncomingMessage>((resolve) => get(content('large'), resolve));
    await until(() => said() > 0);
    expect(await untilSteady(said)).toBeLessThan(HELD);
    const hash = createHash('sha256');
    for await (const part of answer) hash.update(part);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(large).digest('hex'));
  });
});

test('the session of an id stays, and its end is told', async () => {
  const { world, call, json } = await live();
  world.kube.onWrite(() => {
    for (const { metadata, status } of world.allSessions()) if (!status) void world.stand(metadata.name, 'Ready');
  });
  const execute = (code: string) => json(call('POST', '/repl/execute', { session_id: 'me', code }));
  expect(await execute('x = 5')).toMatchObject({ success: true, new_session: true });
  expect(await execute('print(x)')).toMatchObject({ stdout: '5\n', returncode: 0, new_session: false });
  expect(await execute('1/0')).toMatchObject({
    success: false,
    returncode: 1,
    stderr: expect.stringContaining('ZeroDivisionError'),
    error: { name: 'ZeroDivisionError' },
  });
});
