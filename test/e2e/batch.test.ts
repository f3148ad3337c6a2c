/** CodeBatches on a real cluster: many programs to their ends, over Kubernetes and over HTTP. */

import { beforeAll, describe, expect, test } from 'vitest';
import type { CodeBatch, CodeBatchSpecInput } from '../../src/api/codebatch.ts';
import type { CodeRun } from '../../src/api/coderun.ts';
import { API_VERSION, CODE_BATCHES, CODE_RUNS } from '../../src/api/group.ts';
import { batchReasonOf, isEndedBatch } from '../../src/core/batch.ts';
import { reasonOf } from '../../src/core/coderun.ts';
import { isNotFound } from '../../src/kube/error.ts';
import { eventually, GATEWAY, kube, newNamespace } from './support.ts';

let namespace: string;
beforeAll(async () => {
  namespace = await newNamespace();
});

const createBatch = (name: string, spec: CodeBatchSpecInput): Promise<CodeBatch> =>
  kube.create<CodeBatch>(CODE_BATCHES, {
    apiVersion: API_VERSION,
    kind: 'CodeBatch',
    metadata: { name, namespace },
    ...{ spec },
  });

const read = (name: string): Promise<CodeBatch> => kube.get<CodeBatch>(CODE_BATCHES, namespace, name);

const runsOf = async (name: string): Promise<CodeRun[]> =>
  (await kube.list<CodeRun>(CODE_RUNS, { namespace, labelSelector: `coderun.dev/batch=${name}` })).items;

const ended = (name: string, seconds = 90): Promise<CodeBatch> =>
  eventually(async () => {
    const batch = await read(name);
    return isEndedBatch(batch.status) && batch;
  }, seconds);

const reasons = ({ status }: CodeBatch) => status?.items?.map(({ name, reason }) => `${name} ${reason}`);

describe('a CodeBatch', () => {
  test('runs every item, records how each ended, and is deleted together with its runs', async () => {
    await createBatch('mixed', {
      template: { args: ['hi'] },
      items: [
        { name: 'good', code: 'import sys; print(sys.argv[1])' },
        { name: 'bad', code: '1/0' },
        { name: 'own', code: 'import sys; print(sys.argv[1:])', args: [] },
      ],
    });
    const batch = await ended('mixed');
    expect(batchReasonOf(batch.status)).toBe('ItemsFailed');
    expect(reasons(batch)).toEqual(['good Completed', 'bad NonZeroExit', 'own Completed']);
    expect(batch.status).toMatchObject({
      counts: { total: 3, queued: 0, running: 0, succeeded: 2, failed: 1 },
      items: [{ exitCode: 0, durationMilliseconds: expect.any(Number) }, { exitCode: 1 }, { exitCode: 0 }],
    });
    const outputs = await Promise.all(
      (batch.status?.items ?? []).map(({ runName }) => kube.get<CodeRun>(CODE_RUNS, namespace, runName)),
    );
    expect(outputs.map(({ status }) => status?.stdout)).toEqual(['hi\n', '', '[]\n']);
    await kube.delete(CODE_BATCHES, namespace, 'mixed', { propagationPolicy: 'Background' });
    await eventually(async () => (await runsOf('mixed')).length === 0);
  });

  test('runs no more at once than its parallelism, and is cancelled as a whole', async () => {
    const items = Array.from({ length: 6 }, (_, n) => ({ name: `i${n}`, code: 'import time; time.sleep(60)' }));
    await createBatch('long', { items, parallelism: 2 });
    await eventually(async () => (await runsOf('long')).filter((run) => reasonOf(run) === 'Running').length === 2, 60);
    expect((await runsOf('long')).length).toBe(2);
    await kube.patch(CODE_BATCHES, namespace, 'long', { spec: { cancelled: true } }, { strategy: 'merge' });
    const batch = await ended('long');
    expect(batchReasonOf(batch.status)).toBe('Cancelled');
    expect(batch.status?.counts).toMatchObject({ succeeded: 0, failed: 6 });
    expect((await runsOf('long')).length).toBe(2);
  });

  test('that fails fast cancels the rest', async () => {
    const items = [
      { name: 'bad', code: 'raise SystemExit(3)' },
      { name: 'slow', code: 'import time; time.sleep(60)' },
      { name: 'never', code: 'print(1)' },
    ];
    await createBatch('hasty', { items, parallelism: 2, failFast: true });
    const batch = await ended('hasty');
    expect(batchReasonOf(batch.status)).toBe('ItemsFailed');
    expect(reasons(batch)).toEqual(['bad NonZeroExit', 'slow Cancelled', 'never Cancelled']);
  });

  test('makes no second run in place of one that was deleted', async () => {
    await createBatch('lost', { items: [{ name: 'a', code: 'import time; time.sleep(60)' }] });
    const [run] = await eventually(async () => {
      const runs = await runsOf('lost');
      return runs[0] && reasonOf(runs[0]) === 'Running' && runs;
    }, 60);
    await kube.delete(CODE_RUNS, namespace, run?.metadata.name ?? '');
    expect(reasons(await ended('lost'))).toEqual(['a SandboxLost']);
    expect(await runsOf('lost')).toEqual([]);
  });

  test('is gone after its time to live', async () => {
    await createBatch('brief', { items: [{ name: 'a', code: '1' }], ttlSecondsAfterFinished: 1 });
    await eventually(async () => {
      const gone = await read('brief').then(() => false, isNotFound);
      return gone && (await runsOf('brief')).length === 0;
    }, 60);
  });
});

describe('over HTTP', () => {
  const call = async (method: string, path: string, body?: object) => {
    const response = await fetch(GATEWAY + path, {
      method,
      ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      signal: AbortSignal.timeout(90_000),
    });
    const text = await response.text();
    return { status: response.status, location: response.headers.get('location'), text };
  };

  test('results come in the order of completion', async () => {
    const items = [
      { name: 'slow', code: 'import time; time.sleep(6); print("slow")' },
      { name: 'quick', code: 'print("quick")' },
    ];
    const created = await call('POST', '/v1/batches', { items });
    expect(created.status).toBe(201);
    const results = await call('GET', `${created.location}/results`);
    const told = results.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(told.map(({ item, stdout }) => [item, stdout])).toEqual([
      ['quick', 'quick\n'],
      ['slow', 'slow\n'],
    ]);
    expect(JSON.parse((await call('GET', `${created.location}`)).text)).toMatchObject({
      state: 'succeeded',
      counts: { succeeded: 2 },
    });
  });

  test('a list of what POST /execute takes runs as one batch', async () => {
    const created = await call('POST', '/execute/batch', [{ code: 'print(1)' }, { code: '1/0', timeout: 5 }]);
    expect(created.status).toBe(201);
    const { text } = await call('GET', `${created.location}?wait=60`);
    expect(JSON.parse(text)).toMatchObject({ state: 'failed', counts: { total: 2, succeeded: 1, failed: 1 } });
  });
});
