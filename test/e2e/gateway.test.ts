import { describe, expect, test } from 'vitest';
import type { CodeRun } from '../../src/api/coderun.ts';
import { API_VERSION, CODE_RUNS, SANDBOX_CLASSES, SANDBOX_NAMESPACE } from '../../src/api/group.ts';
import { eventually, GATEWAY, kube, newClass } from './support.ts';

interface Answer {
  status: number;
  type: string;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into, field by field, by the tests themselves
  body: any;
}

async function call(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(GATEWAY + path, {
    method,
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    signal: AbortSignal.timeout(90_000),
  });
  const type = response.headers.get('content-type') ?? '';
  const text = await response.text();
  return {
    status: response.status,
    type,
    headers: response.headers,
    body: type.includes('json') ? JSON.parse(text) : text,
  };
}

const execute = (body: unknown): Promise<Answer> => call('POST', '/execute', body);

describe('POST /execute', () => {
  test('answers what the program printed', async () => {
    expect((await execute({ code: 'print(6*7)' })).body).toEqual({
      success: true,
      stdout: '42\n',
      stderr: '',
      returncode: 0,
    });
  });

  test('answers a program that fails with its exit code and traceback', async () => {
    const { status, body } = await execute({ code: '1/0' });
    expect([status, body.success, body.returncode]).toEqual([200, false, 1]);
    expect(body.stderr).toContain('ZeroDivisionError');
  });

  test('answers a program that takes too long as timed out', async () => {
    const { body } = await execute({ code: 'print("a", flush=True)\nwhile True: pass', timeout: 1 });
    expect(body).toMatchObject({ success: false, returncode: -1, stdout: 'a\n' });
    expect(body.stderr).toMatch(/Execution timed out$/);
  });

  test('refuses the network where no class offers it, and gives it where one does', async () => {
    const internet = () =>
      kube.get(SANDBOX_CLASSES, undefined, 'internet').then(
        () => true,
        () => false,
      );
    expect(await internet()).toBe(false);
    expect((await execute({ code: 'print(1)', allow_network: true })).status).toBe(403);
    const like = await newClass({ network: 'Internet', runtimeClassName: 'gvisor' });
    const { spec } = await kube.get<CodeRun>(SANDBOX_CLASSES, undefined, like);
    await kube.create(SANDBOX_CLASSES, {
      apiVersion: API_VERSION,
      kind: 'SandboxClass',
      metadata: { name: 'internet' },
      ...{ spec },
    });
    try {
      const code = 'import socket; print([name for _, name in socket.if_nameindex()])';
      const answer = await eventually(async () => {
        const tried = await execute({ code, allow_network: true });
        return tried.status === 200 && tried;
      });
      expect(answer.body.stdout).toContain('eth0');
    } finally {
      await kube.delete(SANDBOX_CLASSES, undefined, 'internet');
    }
  });

  test('cancels the program of a client that goes away', async () => {
    const marker = `left-${Date.now()}`;
    const client = new AbortController();
    const body = JSON.stringify({ code: `import time # ${marker}\ntime.sleep(60)` });
    const gone = fetch(`${GATEWAY}/execute`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      signal: client.signal,
    });
    const find = async () =>
      (await kube.list<CodeRun>(CODE_RUNS, { namespace: SANDBOX_NAMESPACE })).items.find(({ spec }) =>
        spec.code?.includes(marker),
      );
    await eventually(find);
    client.abort();
    await expect(gone).rejects.toThrow();
    await eventually(async () => (await find())?.spec.cancelled);
  });
});

describe('/v1/runs', () => {
  test('creates a run, waits for it, and gives it back', async () => {
    const created = await call('POST', '/v1/runs?wait=60', { code: 'print("hi")', timeoutSeconds: 5 });
    expect(created.status).toBe(201);
    expect(created.body).toMatchObject({
      namespace: SANDBOX_NAMESPACE,
      state: 'succeeded',
      reason: 'Completed',
      stdout: 'hi\n',
    });
    expect(created.headers.get('location')).toBe(`/v1/runs/${created.body.name}`);
    const read = await call('GET', `/v1/runs/${created.body.name}`);
    expect(read.body).toMatchObject({ name: created.body.name, exitCode: 0, retrySafe: false });
  });

  test('holds a read until the run ends, but no longer than asked for', async () => {
    const { body } = await call('POST', '/v1/runs', { code: 'import time; time.sleep(3)' });
    const early = await call('GET', `/v1/runs/${body.name}?wait=1`);
    expect(['queued', 'starting', 'running']).toContain(early.body.state);
    expect((await call('GET', `/v1/runs/${body.name}?wait=30`)).body.state).toBe('succeeded');
  });

  test('streams the output as it comes, stdout and stderr apart', async () => {
    const code =
      'import sys, time\nfor i in range(3):\n  print(i, flush=True)\n  print("e", i, file=sys.stderr, flush=True)\n  time.sleep(0.3)';
    const { body } = await call('POST', '/v1/runs', { code });
    const logs = await call('GET', `/v1/runs/${body.name}/logs?follow=true&stream=stdout`);
    expect(logs.body).toBe('0\n1\n2\n');
    expect((await call('GET', `/v1/runs/${body.name}/logs?stream=stderr`)).body).toBe('e 0\ne 1\ne 2\n');
  });

  test('shows no forged lines in the output', async () => {
    const code = 'import os\nos.write(1, b\'{"id":"x","stdout":"forged"}\\n\')';
    const { body } = await call('POST', '/v1/runs?wait=60', { code });
    expect(body.stdout).toBe('{"id":"x","stdout":"forged"}\n');
    expect((await call('GET', `/v1/runs/${body.name}/logs`)).body).toBe('{"id":"x","stdout":"forged"}\n');
  });

  test('cancels a run by DELETE', async () => {
    const { body } = await call('POST', '/v1/runs', { code: 'import time; time.sleep(60)' });
    expect((await call('DELETE', `/v1/runs/${body.name}`)).status).toBeLessThan(300);
    expect((await call('GET', `/v1/runs/${body.name}?wait=30`)).body).toMatchObject({
      state: 'failed',
      reason: 'Cancelled',
    });
  });

  test('knows no run that is not there', async () => {
    const { status, type, body } = await call('GET', '/v1/runs/no-such-run');
    expect([status, type.split(';')[0]]).toEqual([404, 'application/problem+json']);
    expect(body).toMatchObject({ code: expect.any(String), requestId: expect.any(String) });
  });
});

test.each([
  ['bad JSON', '{"code":', 400],
  ['an unknown field', { code: '1', image: 'evil' }, 400],
  ['a wrong type', { code: ['1'] }, 400],
  ['no code', {}, 400],
  ['a timeout of nothing', { code: '1', timeout: 0 }, 400],
  ['too much', { code: 'x'.repeat(2_000_000) }, 413],
])('a request with %s makes no run', async (_what, body, status) => {
  const count = async () => (await kube.list(CODE_RUNS, { namespace: SANDBOX_NAMESPACE })).items.length;
  const before = await count();
  const answer = await execute(body);
  expect(answer).toMatchObject({ status, type: expect.stringContaining('application/problem+json') });
  expect(await count()).toBeLessThanOrEqual(before);
});

test('the gateway may not create pods', async () => {
  const reviews = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    plural: 'subjectaccessreviews',
    namespaced: false,
  };
  const spec = {
    user: 'system:serviceaccount:coderun-system:gateway',
    resourceAttributes: { verb: 'create', resource: 'pods', namespace: SANDBOX_NAMESPACE },
  };
  const { status } = await kube.create<{ status: { allowed: boolean } }>(reviews, {
    apiVersion: reviews.apiVersion,
    kind: reviews.kind,
    metadata: {},
    ...{ spec },
  });
  expect(status.allowed).toBe(false);
});
