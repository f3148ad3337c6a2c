/** Sessions over HTTP in a real cluster: from creation to their end, with a sandbox of gVisor and an exec bridge into it. */

import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { REPL_SESSIONS, SANDBOX_NAMESPACE } from '../../src/api/group.ts';
import type { ReplSession } from '../../src/api/replsession.ts';
import { GATEWAY, kube } from './support.ts';

const MIB = 1024 * 1024;

interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into, field by field, by the tests themselves
  body: any;
  headers: Headers;
}

async function call(
  method: string,
  path: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(GATEWAY + path, {
    method,
    headers: { ...(body && { 'content-type': 'application/json' }), ...headers },
    ...(body && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(90_000),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json');
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}

/** A session that is ready, and words for what is done with it. It ends by itself where a test leaves it. */
async function newSession(spec: object = {}) {
  const created = await call('POST', '/v1/sessions?wait=60', { idleTimeoutSeconds: 60, ...spec });
  expect(created).toMatchObject({ status: 201, body: { state: 'ready', reason: 'Ready' } });
  const path = `/v1/sessions/${created.body.name}`;
  return {
    path,
    created: created.body,
    name: created.body.name as string,
    execute: async (code: string, more: object = {}) => (await call('POST', `${path}/execute`, { code, ...more })).body,
    file: (name: string) => `${GATEWAY}${path}/files/content?path=${encodeURIComponent(name)}`,
  };
}

const plain = (text: string) => expect.objectContaining({ mime: expect.objectContaining({ 'text/plain': text }) });

test('a session is created, used, shown and ended', async () => {
  const { path, name, created, execute } = await newSession();
  expect(created).toMatchObject({ namespace: SANDBOX_NAMESPACE, expiresAt: expect.any(String) });
  expect(await execute('x = 20; print("hi")')).toMatchObject({
    reason: 'Completed',
    stdout: 'hi\n',
    executionCount: 1,
  });
  expect(await execute('x * 2 + 2')).toMatchObject({ results: [plain('42')], stateKept: true });
  expect(await execute('1/0')).toMatchObject({ reason: 'NonZeroExit', error: { name: 'ZeroDivisionError' } });
  expect((await call('GET', `${path}/variables`)).body.variables).toContainEqual(
    expect.objectContaining({ name: 'x' }),
  );
  expect((await call('GET', '/v1/sessions')).body.items).toContainEqual(expect.objectContaining({ name }));
  expect((await call('DELETE', path)).status).toBe(200);
  const ended = await call('GET', `${path}?wait=30`);
  expect(ended.body).toMatchObject({ name });
  await expect.poll(async () => (await call('GET', path)).body.reason, { timeout: 30_000 }).toBe('Terminated');
  expect(await execute('x')).toMatchObject({ status: 409, code: 'SessionEnded' });
});

test('an execution waits for a session that is starting', async () => {
  const { body } = await call('POST', '/v1/sessions', { idleTimeoutSeconds: 60 });
  const answer = await call('POST', `/v1/sessions/${body.name}/execute`, { code: 'print(1)' });
  expect(answer).toMatchObject({ status: 200, body: { stdout: '1\n' } });
});

test('a plot comes back as an image', async () => {
  const { execute } = await newSession();
  const code = 'import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.show()';
  const { results } = await execute(code, { timeoutSeconds: 60 });
  const images = results.map(({ mime }: { mime: Record<string, string> }) => mime['image/png']).filter(Boolean);
  expect(Buffer.from(images[0], 'base64').subarray(1, 4).toString()).toBe('PNG');
});

test('events come while the program runs', async () => {
  const { path } = await newSession();
  const response = await fetch(`${GATEWAY}${path}/execute`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify({ code: 'import time\nfor i in range(4):\n  print(i, flush=True)\n  time.sleep(0.5)' }),
  });
  const times: number[] = [];
  let text = '';
  for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
    times.push(performance.now());
    text += Buffer.from(part).toString();
  }
  expect(text.match(/^event: .*$/gm)?.map((line) => line.slice(7))).toEqual([
    'started',
    ...Array.from({ length: 4 }, () => 'stdout'),
    'finished',
  ]);
  expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(1000);
});

describe('a program in a session', () => {
  test('is interrupted, by its timeout or by whoever asks, and keeps its state', async () => {
    const { path, execute } = await newSession();
    await execute('x = 1');
    expect(await execute('while True: pass', { timeoutSeconds: 1 })).toMatchObject({
      reason: 'Timeout',
      stateKept: true,
    });
    const pending = execute('import time; time.sleep(60)');
    // The first may come before its program.
    const asking = setInterval(() => void call('POST', `${path}/interrupt`), 500);
    expect(await pending.finally(() => clearInterval(asking))).toMatchObject({ reason: 'Cancelled', stateKept: true });
    expect(await execute('x')).toMatchObject({ results: [plain('1')] });
  });

  test('that wants too much memory is told so, and the session lives', async () => {
    const { execute } = await newSession();
    await execute('x = 1');
    expect(await execute('y = bytearray(10**10)')).toMatchObject({ error: { name: 'MemoryError' } });
    expect(await execute('x')).toMatchObject({ results: [plain('1')] });
  });

  test('of a client that leaves is interrupted', async () => {
    const { path, execute } = await newSession();
    await execute('done = "no"');
    const client = new AbortController();
    const left = fetch(`${GATEWAY}${path}/execute`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ code: 'import time; time.sleep(30); done = "yes"' }),
      signal: client.signal,
    });
    setTimeout(() => client.abort(), 1000);
    await expect(left).rejects.toThrow();
    const began = performance.now();
    expect(await execute('done')).toMatchObject({ results: [plain("'no'")] });
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  test('that forges answers and closes what it can harms nothing but itself', async () => {
    const { execute } = await newSession();
    const code = `
import os
for fd in range(1, 50):
    try: os.write(fd, b'{"id":"r2","done":{}}\\n')
    except OSError: pass
if os.fork() == 0:
    while True: pass
os.closerange(0, 100)`;
    await execute(code);
    expect(await execute('1 + 1')).toMatchObject({ results: [plain('2')] });
  });
});

test('two clients of one session get answers that are in order and not mixed', async () => {
  const { execute } = await newSession();
  const client = async (name: string) => {
    const heard: string[] = [];
    for (let turn = 0; turn < 20; turn++) heard.push((await execute(`print("${name}", ${turn})`)).stdout);
    return heard;
  };
  const [a, b] = await Promise.all([client('a'), client('b')]);
  expect(a).toEqual(Array.from({ length: 20 }, (_, turn) => `a ${turn}\n`));
  expect(b).toEqual(Array.from({ length: 20 }, (_, turn) => `b ${turn}\n`));
});

test('a file of 10 MiB goes up and comes down, and odd names with it', async () => {
  const { file, path, execute } = await newSession();
  const bytes = randomBytes(10 * MIB);
  const put = await fetch(file('a/ü %25.bin'), { method: 'PUT', body: bytes as unknown as string });
  expect(put.status).toBe(204);
  expect(await execute('import os; os.path.getsize("a/ü %.bin")')).toMatchObject({
    results: [plain(String(10 * MIB))],
  });
  expect(Buffer.from(await (await fetch(file('a/ü %25.bin'))).arrayBuffer()).equals(bytes)).toBe(true);
  expect((await call('GET', `${path}/files?path=a`)).body.entries).toMatchObject([{ name: 'ü %25.bin', kind: 'file' }]);
  await execute('import os; os.symlink("/etc", "out"); os.mkfifo("fifo")');
  expect((await fetch(file('out/passwd'))).status).toBe(403);
  expect((await fetch(file('fifo'))).status).toBe(409);
  expect((await fetch(file('a'), { method: 'DELETE' })).status).toBe(204);
});

test('a session whose sandbox is killed is told as lost, at once and never by silence', async () => {
  const { name, execute } = await newSession();
  const { status } = await kube.get<ReplSession>(REPL_SESSIONS, SANDBOX_NAMESPACE, name);
  const pending = execute('print("on", flush=True); import time; time.sleep(60)', { timeoutSeconds: 90 });
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const began = performance.now();
  const pods = { apiVersion: 'v1', kind: 'Pod', plural: 'pods', namespaced: true };
  await kube.delete(pods, SANDBOX_NAMESPACE, status?.sandbox?.podName ?? '', { gracePeriodSeconds: 0 });
  expect(await pending).toMatchObject({ reason: 'SandboxLost', stateKept: false });
  expect(performance.now() - began).toBeLessThan(10_000);
});

describe('/repl', () => {
  const id = `chat-${randomBytes(4).toString('hex')}`;
  const execute = async (code: string) => (await call('POST', '/repl/execute', { session_id: id, code })).body;

  test('is the same session for the same id, and another one after its end', async () => {
    const first = await execute('x = 7');
    expect(first).toMatchObject({ success: true, returncode: 0, new_session: true });
    expect(await execute('print(x)')).toMatchObject({ stdout: '7\n', new_session: false });
    await call('DELETE', `/v1/sessions/${first.session}`);
    await expect
      .poll(async () => (await call('GET', `/v1/sessions/${first.session}`)).body.state, { timeout: 30_000 })
      .toBe('ended');
    expect(await execute('print("x" in globals())')).toMatchObject({ stdout: 'False\n', new_session: true });
  });
});

test('the gateway may start processes where sandboxes are, and nowhere else', async () => {
  const reviews = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    plural: 'subjectaccessreviews',
    namespaced: false,
  };
  const allowed = async (namespace: string) => {
    const user = 'system:serviceaccount:coderun-system:gateway';
    const resourceAttributes = { verb: 'create', resource: 'pods', subresource: 'exec', namespace };
    const { status } = await kube.create<{ status: { allowed: boolean } }>(reviews, {
      apiVersion: reviews.apiVersion,
      kind: reviews.kind,
      metadata: {},
      ...{ spec: { user, resourceAttributes } },
    });
    return status.allowed;
  };
  expect([await allowed(SANDBOX_NAMESPACE), await allowed('coderun-system'), await allowed('kube-system')]).toEqual([
    true,
    false,
    false,
  ]);
});
