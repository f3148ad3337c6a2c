import { describe, expect, test } from 'vitest';
import { CODE_RUNS, LABEL_SANDBOX } from '../../src/api/group.ts';
import type { KubernetesObject, Pod } from '../../src/api/object.ts';
import { reasonOf } from '../../src/core/coderun.ts';
import { isNotFound } from '../../src/kube/error.ts';
import { CONFIG_MAPS, EVENTS, PODS } from '../../src/kube/resources.ts';
import {
  createRun,
  eventually,
  hasReason,
  isFinished,
  journalOf,
  kube,
  newClass,
  newNamespace,
  podOf,
  runToEnd,
  temporary,
  until,
} from './support.ts';

const namespace = await newNamespace();

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

describe('a program that is run', () => {
  test('has its output, exit code and usage in the status', async () => {
    const run = await runToEnd(namespace, { code: 'import sys; print("out"); print("err", file=sys.stderr); 6 * 7' });
    expect(run.status).toMatchObject({
      conditions: [{ type: 'Succeeded', status: 'True', reason: 'Completed', observedGeneration: 1 }],
      exitCode: 0,
      stdout: 'out\n',
      stderr: 'err\n',
      output: { stdoutBytes: 4, stderrBytes: 4, stdoutTruncated: false, stderrTruncated: false },
      results: [{ mime: { 'text/plain': '42' } }],
      retrySafe: false,
      sandbox: {
        warm: false,
        runtimeClassName: 'gvisor-nonet',
        network: 'None',
        kernel: expect.stringContaining('gvisor'),
      },
    });
    expect(run.status?.usage?.peakMemoryBytes).toBeGreaterThan(1e6);
  });

  test('gets its standard input, arguments, environment and files, and gives artifacts back', async () => {
    const run = await runToEnd(namespace, {
      code: [
        'import os, sys',
        'print(sys.stdin.read(), sys.argv[1:], os.environ["A"], open("d/in.txt").read())',
        'open("out.bin", "wb").write(bytes(range(256)))',
      ].join('\n'),
      stdin: 'given',
      args: ['x', 'y z'],
      env: [{ name: 'A', value: 'b' }],
      files: [{ path: 'd/in.txt', content: 'file' }],
      artifacts: ['*.bin'],
    });
    expect(run.status?.stdout).toBe("given ['x', 'y z'] b file\n");
    const [artifact] = run.status?.artifacts ?? [];
    expect(artifact).toMatchObject({ path: 'out.bin', bytes: 256 });
    expect([...Buffer.from(artifact?.contentBase64 ?? '', 'base64')]).toEqual([...Array(256).keys()]);
  });

  test('may be in bash', async () => {
    const run = await runToEnd(namespace, { language: 'bash', code: 'echo "$1"; exit 3', args: ['hi'] });
    expect(run.status).toMatchObject({ exitCode: 3, stdout: 'hi\n' });
    expect(reasonOf(run)).toBe('NonZeroExit');
  });

  test('may come from a ConfigMap', async () => {
    await temporary(CONFIG_MAPS, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'code', namespace },
      ...{ data: { main: 'print(1)' } },
    });
    const run = await runToEnd(namespace, { codeFrom: { configMapKeyRef: { name: 'code', key: 'main' } } });
    expect(run.status?.stdout).toBe('1\n');
  });

  test('brings its figure back as a PNG', async () => {
    const code = 'import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])\nplt.show()';
    const run = await runToEnd(namespace, { code });
    expect(reasonOf(run)).toBe('Completed');
    const figures = run.status?.results?.flatMap(({ mime }) => mime['image/png'] ?? []) ?? [];
    expect(figures).toHaveLength(1);
    expect(Buffer.from(figures[0] ?? '', 'base64').subarray(0, 8)).toEqual(PNG);
  });

  test('has numpy, pandas, scipy and sympy at hand', async () => {
    const code =
      'import numpy, pandas, scipy, sympy, requests\nprint(numpy.arange(3).sum(), sympy.factorial(5))\npandas.DataFrame({"a": [1]})';
    const run = await runToEnd(namespace, { code, resources: { memory: '1Gi' } });
    expect(run.status?.stdout).toBe('3 120\n');
    expect(run.status?.results?.[0]?.mime['text/html']).toContain('<table');
  });

  test('leaves its journal in the log of its pod, which Kubernetes shows', async () => {
    const run = await runToEnd(namespace, { code: 'print("in the journal")' });
    expect(await journalOf(await podOf(run))).toContain(`{"id":"${run.metadata.uid}","stdout":"in the journal\\n"}`);
  });

  test('has a pod that it owns', async () => {
    const run = await runToEnd(namespace, { code: '1' });
    expect((await podOf(run)).metadata.ownerReferences).toMatchObject([{ kind: 'CodeRun', uid: run.metadata.uid }]);
  });
});

describe('a program that ends otherwise than well', () => {
  const endings: [reason: string, spec: Parameters<typeof runToEnd>[1], status: object][] = [
    ['NonZeroExit', { code: '1/0' }, { exitCode: 1, error: { name: 'ZeroDivisionError', value: 'division by zero' } }],
    [
      'NonZeroExit',
      { code: 'def f(:' },
      { error: { name: 'SyntaxError', traceback: expect.stringContaining('def f(:') } },
    ],
    ['Signalled', { code: 'import os; os.kill(os.getpid(), 9)' }, { signal: 'SIGKILL' }],
    ['OutOfMemory', { code: 'x = bytearray(10**9)' }, {}],
    ['OutOfMemory', { code: 'x = []\nwhile True: x.append(bytearray(10**6))' }, {}],
    ['DiskLimit', { code: 'f = open("x", "wb")\nwhile True: f.write(bytes(10**6))' }, {}],
    ['Timeout', { code: 'print("a", flush=True)\nwhile True: pass', timeoutSeconds: 2 }, { stdout: 'a\n' }],
    ['InvalidSpec', { code: '1', className: 'no-such-class' }, { retrySafe: true }],
    ['InvalidSpec', { code: '1', resources: { memory: '1Ti' } }, { retrySafe: true }],
    ['InvalidSpec', { code: '1', language: 'javascript' }, { retrySafe: true }],
    ['InvalidSpec', { codeFrom: { configMapKeyRef: { name: 'no-such-map', key: 'a' } } }, { retrySafe: true }],
    ['SessionEnded', { code: '1', sessionRef: { name: 'no-such-session' } }, { retrySafe: true }],
    ['PackageInstallFailed', { code: '1', packages: ['humanize==4.9.0'] }, { retrySafe: true }],
  ];

  test.each(endings)('is %s: %j', async (reason, spec, status) => {
    const run = await runToEnd(namespace, spec);
    expect(run.status).toMatchObject({ conditions: [{ reason }], ...status });
  });

  test('times out within two seconds of its timeout', async () => {
    const code = 'import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass';
    const run = await runToEnd(namespace, { code, timeoutSeconds: 2 });
    const { startTime = '', completionTime = '' } = run.status ?? {};
    expect(reasonOf(run)).toBe('Timeout');
    expect(Date.parse(completionTime) - Date.parse(startTime)).toBeLessThan(4000);
  });

  test('that prints a gigabyte has the beginning, and the true number of bytes', async () => {
    const code = 'import sys\nline = "x" * 999 + "\\n"\nfor _ in range(1_000_000): sys.stdout.write(line)';
    const run = await runToEnd(namespace, { code, timeoutSeconds: 60 }, 90);
    expect(run.status).toMatchObject({
      exitCode: 0,
      output: { stdoutBytes: 1_000_000_000, stdoutTruncated: true },
    });
    expect(run.status?.stdout).toHaveLength(65_536);
  });

  test('has an Event that says why', async () => {
    const run = await runToEnd(namespace, { code: 'raise SystemExit(4)' });
    const event = await eventually(async () => {
      const { items } = await kube.list<
        KubernetesObject & { reason: string; regarding: { uid: string }; note: string }
      >(EVENTS, { namespace });
      return items.find(({ reason, regarding }) => reason === 'NonZeroExit' && regarding.uid === run.metadata.uid);
    });
    expect(event).toMatchObject({ type: 'Warning', note: expect.stringContaining('exit code 4') });
  });

  test('is lost with its pod, and never run again', async () => {
    const run = await until(await createRun(namespace, { code: 'import time; time.sleep(60)' }), hasReason('Running'));
    await kube.delete(PODS, namespace, run.status?.sandbox?.podName ?? '', { gracePeriodSeconds: 0 });
    expect(reasonOf(await until(run, isFinished))).toBe('SandboxLost');
  });
});

describe('a sandbox that can not be started', () => {
  test('fails the run at once where its image can have no such name', async () => {
    const className = await newClass({ image: 'Not An Image' });
    const run = await runToEnd(namespace, { code: '1', className });
    expect(run.status).toMatchObject({ conditions: [{ reason: 'SandboxStartFailed' }], retrySafe: true });
  });

  test('fails the run at once where its RuntimeClass does not exist', async () => {
    const className = await newClass({ runtimeClassName: 'gvisor-no-such' });
    const run = await runToEnd(namespace, { code: '1', className });
    expect(reasonOf(run)).toBe('SandboxStartFailed');
  });

  test('waits for quota, says so, and starts when there is room', async () => {
    const tight = await newNamespace();
    const quotas = { apiVersion: 'v1', kind: 'ResourceQuota', plural: 'resourcequotas', namespaced: true };
    const quota = (pods: string) => ({
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'tight', namespace: tight },
      ...{ spec: { hard: { pods } } },
    });
    await kube.create(quotas, quota('0'));
    await eventually(async () => {
      const { status } = await kube.get<KubernetesObject & { status?: { hard?: object } }>(quotas, tight, 'tight');
      return status?.hard !== undefined;
    });
    const run = await until(await createRun(tight, { code: 'print(1)' }), hasReason('QuotaExceeded'));
    expect(run.status?.conditions?.[0]).toMatchObject({
      status: 'Unknown',
      message: expect.stringContaining('exceeded quota'),
    });
    await kube.patch(quotas, tight, 'tight', { spec: { hard: { pods: '10' } } }, { strategy: 'merge' });
    expect((await until(run, isFinished)).status?.stdout).toBe('1\n');
  });
});

describe('a run that is told to end', () => {
  const cancel = (name: string) =>
    kube.patch(CODE_RUNS, namespace, name, { spec: { cancelled: true } }, { strategy: 'merge' });

  test('is cancelled while it runs, and keeps what it printed', async () => {
    const code = 'import time\nprint("before", flush=True)\ntime.sleep(60)';
    const run = await until(await createRun(namespace, { code }), hasReason('Running'));
    await new Promise((resolve) => setTimeout(resolve, 500));
    await cancel(run.metadata.name);
    const ended = await until(run, isFinished);
    expect(ended.status).toMatchObject({ conditions: [{ reason: 'Cancelled' }], stdout: 'before\n' });
  });

  test('can not be set back', async () => {
    const run = await createRun(namespace, { code: '1', cancelled: true });
    const back = kube.patch(
      CODE_RUNS,
      namespace,
      run.metadata.name,
      { spec: { cancelled: false } },
      { strategy: 'merge' },
    );
    await expect(back).rejects.toThrow('a cancelled run cannot be set back');
  });

  test('takes its pod along when it is deleted', async () => {
    const run = await until(await createRun(namespace, { code: 'import time; time.sleep(60)' }), hasReason('Running'));
    await kube.delete(CODE_RUNS, namespace, run.metadata.name);
    await eventually(async () => podOf(run).then(() => false, isNotFound), 10);
  });

  test('is deleted after its time to live, pod and all', async () => {
    const run = await runToEnd(namespace, { code: '1', ttlSecondsAfterFinished: 1 });
    await eventually(() => kube.get(CODE_RUNS, namespace, run.metadata.name).then(() => false, isNotFound), 10);
    await eventually(() => podOf(run).then(() => false, isNotFound), 10);
  });
});

test('many runs at once each have their own result', async () => {
  const runs = await Promise.all(
    Array.from({ length: 12 }, (_, i) => runToEnd(namespace, { code: `print(${i})` }, 120)),
  );
  expect(runs.map(({ status }) => status?.stdout)).toEqual(runs.map((_, i) => `${i}\n`));
  const { items } = await kube.list<Pod>(PODS, { namespace, labelSelector: LABEL_SANDBOX });
  expect(items.filter(({ status }) => status?.phase === 'Failed' && status.reason)).toEqual([]);
}, 180_000);
