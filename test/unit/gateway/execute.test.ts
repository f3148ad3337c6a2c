import { describe, expect, test } from 'vitest';
import { CODE_RUNS, SANDBOX_CLASSES } from '../../../src/api/group.ts';
import { REASONS, type Reason } from '../../../src/api/reasons.ts';
import { KubeError } from '../../../src/kube/error.ts';
import { aWorld, NAMESPACE, problemOf, type WorldOptions } from '../../support/gateway-world.ts';

/** POST /execute, and the end of its run with `reason`. */
async function execute(reason: Reason, status: object = {}, body: object = {}) {
  const world = aWorld();
  const pending = world.post('/execute', { code: 'print(1)', ...body });
  await world.until(() => world.runs.listening === 1);
  await world.setStatus(reason, status);
  return { world, answer: await pending };
}

async function waiting(options?: WorldOptions) {
  const world = aWorld(options);
  const pending = world.post('/execute', { code: 'print(1)' });
  await world.until(() => world.runs.listening === 1);
  return { world, pending };
}

describe('POST /execute', () => {
  test('makes a CodeRun of the four fields, with their defaults', async () => {
    const { world } = await execute('Completed');
    expect(world.allRuns()[0]).toMatchObject({
      metadata: { name: expect.stringMatching(/^execute-[a-z2-7]{10}$/), namespace: NAMESPACE },
      spec: {
        code: 'print(1)',
        language: 'python',
        timeoutSeconds: 60,
        resources: { memory: '512Mi' },
        ttlSecondsAfterFinished: 300,
      },
    });
    expect(world.allRuns()[0]?.spec).not.toHaveProperty('className');
  });

  const out = { stdout: 'o', stderr: 'e\n' };
  test.each<[Reason, object, object]>([
    ['Completed', { ...out, exitCode: 0 }, { success: true, stdout: 'o', stderr: 'e\n', returncode: 0 }],
    ['Completed', {}, { success: true, stdout: '', stderr: '', returncode: 0 }],
    ['NonZeroExit', { ...out, exitCode: 3 }, { success: false, stdout: 'o', stderr: 'e\n', returncode: 3 }],
    ['Signalled', { signal: 'SIGKILL' }, { success: false, stdout: '', stderr: '', returncode: -9 }],
    ['Signalled', { signal: 'SIGSEGV' }, { success: false, stdout: '', stderr: '', returncode: -11 }],
    ['Signalled', { signal: 'SIGSYS' }, { success: false, stdout: '', stderr: '', returncode: -31 }],
    ['Signalled', { signal: 'SIGRTMIN+3' }, { success: false, stdout: '', stderr: '', returncode: -9 }],
    [
      'Timeout',
      { ...out, signal: 'SIGKILL' },
      { success: false, stdout: 'o', stderr: 'e\nExecution timed out', returncode: -1 },
    ],
    ['Timeout', {}, { success: false, stdout: '', stderr: 'Execution timed out', returncode: -1 }],
    [
      'OutOfMemory',
      { stderr: 'no newline', exitCode: 1 },
      { success: false, stdout: '', stderr: `no newline\n${REASONS.OutOfMemory.sentence}`, returncode: 137 },
    ],
    ['DiskLimit', { exitCode: 1 }, { success: false, stdout: '', stderr: REASONS.DiskLimit.sentence, returncode: 1 }],
    ['Cancelled', {}, { success: false, stdout: '', stderr: REASONS.Cancelled.sentence, returncode: -15 }],
    [
      'NonZeroExit',
      { exitCode: 1, output: { stdoutBytes: 9, stderrBytes: 0, stdoutTruncated: true, stderrTruncated: false } },
      { success: false, stdout: '', stderr: '[stdout is cut: the program wrote 9 bytes]', returncode: 1 },
    ],
  ])('answers a run that ended with %s and %o', async (reason, status, expected) => {
    const { answer } = await execute(reason, status);
    expect([answer.statusCode, answer.json()]).toEqual([200, expected]);
  });

  test.each<[Reason, number, boolean, string | undefined]>([
    ['SandboxStartFailed', 503, true, '5'],
    ['PendingTooLong', 503, true, '5'],
    ['SandboxLost', 500, false, undefined],
    ['Evicted', 500, false, undefined],
    ['InvalidSpec', 422, true, undefined],
    ['PackageInstallFailed', 422, true, undefined],
    ['SessionEnded', 409, true, undefined],
  ])('answers %s with a problem of status %i', async (reason, status, retrySafe, retryAfter) => {
    const { answer } = await execute(reason);
    expect(problemOf(answer)).toMatchObject({ status, code: reason, retrySafe, detail: REASONS[reason].sentence });
    expect(answer.headers['retry-after']).toBe(retryAfter);
  });

  test.each<[Reason | undefined, number, string]>([
    [undefined, 504, 'Queued'],
    ['Starting', 504, 'Starting'],
    ['Running', 504, 'Running'],
    ['QuotaExceeded', 503, 'QuotaExceeded'],
  ])('cancels a run that stands at %s when its time is over, and answers %i', async (reason, status, code) => {
    const { world, pending } = await waiting();
    if (reason) await world.setStatus(reason);
    await world.clock.advance(60_000 + 330_000);
    expect(problemOf(await pending)).toMatchObject({ status, code, retrySafe: false });
    expect(world.allRuns()[0]?.spec.cancelled).toBe(true);
  });

  test('answers 504 even where the cancellation fails', async () => {
    const { world, pending } = await waiting();
    world.kube.fail('patch', new KubeError(500, 'InternalError', 'oops'));
    await world.clock.advance(60_000 + 330_000);
    expect(problemOf(await pending)).toMatchObject({ status: 504 });
  });

  test('says so when the run is deleted meanwhile', async () => {
    const { world, pending } = await waiting();
    await world.kube.delete(CODE_RUNS, NAMESPACE, world.allRuns()[0]?.metadata.name ?? '');
    expect(problemOf(await pending)).toMatchObject({ status: 410, code: 'RunDeleted' });
  });

  test('refuses network where no class offers it, and runs nothing', async () => {
    const world = aWorld();
    const answer = await world.post('/execute', { code: '1', allow_network: true });
    expect(problemOf(answer)).toMatchObject({ status: 403, code: 'NetworkNotAllowed', field: 'allow_network' });
    expect(world.allRuns()).toEqual([]);
  });

  test('gives network from the class internet where there is one', async () => {
    const world = aWorld();
    const metadata = { name: 'internet' };
    await world.kube.create(SANDBOX_CLASSES, {
      apiVersion: SANDBOX_CLASSES.apiVersion,
      kind: 'SandboxClass',
      metadata,
    });
    const pending = world.post('/execute', { code: '1', allow_network: true, memory_mb: 64, timeout: 5 });
    await world.until(() => world.runs.listening === 1);
    await world.setStatus('Completed');
    expect((await pending).json().success).toBe(true);
    expect(world.allRuns()[0]?.spec).toMatchObject({
      className: 'internet',
      resources: { memory: '64Mi' },
      timeoutSeconds: 5,
    });
  });

  test.each([
    ['out of reach', new KubeError(0, '', 'x'), 503, 'ClusterUnavailable', false],
    [
      'too busy',
      new KubeError(429, 'TooManyRequests', 'x', { retryAfterMilliseconds: 2500 }),
      503,
      'ClusterUnavailable',
      true,
    ],
    ['out of quota for runs', new KubeError(403, 'Forbidden', 'exceeded quota: count'), 429, 'TooManyRuns', true],
    ['not allowing it', new KubeError(403, 'Forbidden', 'x'), 403, 'Forbidden', true],
    [
      'without the namespace',
      new KubeError(404, 'NotFound', 'namespaces "tenant" not found'),
      503,
      'ClusterUnavailable',
      false,
    ],
    [
      'refusing the object',
      new KubeError(422, 'Invalid', 'CodeRun.coderun.dev "x" is invalid: spec.env[0].name: Invalid value: x'),
      422,
      'RefusedByCluster',
      true,
    ],
    ['storing no such size', new KubeError(500, '', 'etcdserver: request is too large'), 413, 'BodyTooLarge', true],
    [
      'not even sending it',
      new KubeError(500, '', 'trying to send message larger than max'),
      413,
      'BodyTooLarge',
      true,
    ],
  ])('answers a cluster that is %s', async (_name, error, status, code, retrySafe) => {
    const world = aWorld();
    world.kube.fail('create', error);
    const answer = await world.post('/execute', { code: '1' });
    expect(problemOf(answer)).toMatchObject({ status, code, retrySafe });
    expect(answer.body).not.toContain(error.message);
    expect(answer.headers['retry-after'] !== undefined).toBe(retrySafe && (status === 503 || status === 429));
  });

  test('does not say that a failed look at the cluster may be repeated, since it can not tell how far it came', async () => {
    const world = aWorld();
    world.kube.fail('get', new KubeError(500, '', 'x'));
    const answer = await world.post('/execute', { code: '1', allow_network: true });
    expect(problemOf(answer)).toMatchObject({ status: 503, code: 'ClusterUnavailable', retrySafe: false });
  });

  test('names the field that the cluster refused', async () => {
    const world = aWorld();
    world.kube.fail(
      'create',
      new KubeError(
        422,
        'Invalid',
        'CodeRun.coderun.dev "x" is invalid: [spec.env[0].name: Invalid value: no, spec.b: Required value]',
      ),
    );
    expect(problemOf(await world.post('/execute', { code: '1' })).field).toBe('env.0.name');
  });
});
