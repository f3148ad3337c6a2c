import { describe, expect, test } from 'vitest';
import type { CodeRunStatus } from '../../../src/api/coderun.ts';
import { KubeError } from '../../../src/kube/error.ts';
import type { LogOptions } from '../../../src/kube/port.ts';
import { anExit } from '../../support/builders.ts';
import { aWorld, NAMESPACE, problemOf } from '../../support/gateway-world.ts';

const POD = 'hello-pod';
const CLAIMED: CodeRunStatus = { sandbox: { podName: POD } };

/** A run `hello` whose pod's log is `events`, each with the run's id. */
async function aRunWith(...events: object[]) {
  const world = aWorld();
  await world.post('/v1/runs', { code: '1', name: 'hello' });
  const id = world.allRuns()[0]?.metadata.uid ?? '';
  const log = (...more: object[]) => Buffer.from(more.map((event) => `${JSON.stringify({ ...event, id })}\n`).join(''));
  world.kube.setLog(NAMESPACE, POD, log(...events));
  return { ...world, id, log };
}

const exit = anExit({ exitCode: 0 });
const journal = [{ started: {} }, { stdout: 'a\n' }, { stderr: 'b\n' }, { stdout: 'ä\n' }];

describe('GET /v1/runs/{name}/logs', () => {
  test.each([
    ['both streams as they came', '', 'a\nb\nä\n'],
    ['one stream', '?stream=stdout', 'a\nä\n'],
    ['the other', '?stream=stderr', 'b\n'],
  ])('answers %s as plain text', async (_name, query, expected) => {
    const world = await aRunWith(...journal);
    await world.setStatus('Running', CLAIMED);
    const answer = await world.get(`/v1/runs/hello/logs${query}`);
    expect([answer.statusCode, answer.body]).toEqual([200, expected]);
    expect(answer.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'x-content-type-options': 'nosniff',
    });
  });

  test('answers nothing for a run that has not started', async () => {
    const world = await aRunWith();
    expect((await world.get('/v1/runs/hello/logs')).body).toBe('');
  });

  test('answers nothing while the container starts', async () => {
    const world = await aRunWith();
    await world.setStatus('Starting', CLAIMED);
    world.kube.fail('readLog', new KubeError(400, 'BadRequest', 'container is waiting to start: ContainerCreating'));
    expect((await world.get('/v1/runs/hello/logs')).body).toBe('');
  });

  test('answers what the status holds when the pod is gone', async () => {
    const world = await aRunWith();
    await world.setStatus('Completed', { sandbox: { podName: 'gone' }, stdout: 'kept\n', stderr: 'too\n' });
    expect((await world.get('/v1/runs/hello/logs')).body).toBe('kept\ntoo\n');
    expect((await world.get('/v1/runs/hello/logs?stream=stderr')).body).toBe('too\n');
  });

  test('answers more than the status holds while the pod is there', async () => {
    const world = await aRunWith({ stdout: 'the whole output' }, exit);
    await world.setStatus('Completed', { ...CLAIMED, stdout: 'the whole' });
    expect((await world.get('/v1/runs/hello/logs')).body).toBe('the whole output');
  });

  test('follows a run from before its start to its end', async () => {
    const world = await aRunWith();
    const asked: LogOptions[] = [];
    world.kube.setLog(NAMESPACE, POD, async function* (options) {
      asked.push(options);
      yield world.log({ stdout: 'one\n' });
      yield world.log({ stdout: 'two\n' }, exit);
      await new Promise(() => undefined);
    });
    const pending = world.get('/v1/runs/hello/logs?follow=true');
    await world.until(() => world.runs.listening === 1);
    await world.setStatus('Running', CLAIMED);
    expect((await pending).body).toBe('one\ntwo\n');
    expect(asked).toEqual([expect.objectContaining({ container: 'sandbox', follow: true })]);
  });

  test('goes on where it was when a journal that is followed breaks off', async () => {
    const world = await aRunWith({ stdout: 'one\n' });
    await world.setStatus('Running', CLAIMED);
    const pending = world.get('/v1/runs/hello/logs?follow=true');
    await world.until(() => world.runs.listening === 1);
    world.kube.setLog(NAMESPACE, POD, world.log({ stdout: 'one\n' }, { stdout: 'two\n' }));
    await world.clock.advance(1000);
    await world.until(() => world.runs.listening === 1);
    world.kube.setLog(NAMESPACE, POD, world.log({ stdout: 'one\n' }, { stdout: 'two\n' }, { stdout: 'three\n' }, exit));
    await world.setStatus('Completed', CLAIMED);
    expect((await pending).body).toBe('one\ntwo\nthree\n');
    expect([world.runs.listening, world.clock.pending]).toEqual([0, 0]);
  });

  test('ends with the run where its sandbox was lost', async () => {
    const world = await aRunWith({ stdout: 'one\n' });
    await world.setStatus('Running', CLAIMED);
    const pending = world.get('/v1/runs/hello/logs?follow=true');
    await world.until(() => world.runs.listening === 1);
    await world.setStatus('SandboxLost', CLAIMED);
    expect((await pending).body).toBe('one\n');
  });

  test('answers a problem where the log can not be read at all', async () => {
    const world = await aRunWith(...journal);
    await world.setStatus('Running', CLAIMED);
    world.kube.fail('readLog', new KubeError(502, '', 'dial tcp 10.0.0.1:10250'));
    const answer = await world.get('/v1/runs/hello/logs');
    expect(problemOf(answer)).toMatchObject({ status: 503, code: 'ClusterUnavailable' });
    expect(answer.body).not.toContain('10.0.0.1');
  });

  test('answers 404 for a run that is not there', async () => {
    expect(problemOf(await aWorld().get('/v1/runs/nothing/logs')).code).toBe('RunNotFound');
  });

  test('refuses a stream too many before it reads anything', async () => {
    const world = aWorld({ limits: { heldRequests: 0 } });
    await world.post('/v1/runs', { code: '1', name: 'hello' });
    expect(problemOf(await world.get('/v1/runs/hello/logs')).code).toBe('TooManyWaiting');
  });
});

describe('GET /v1/runs/{name}/artifacts/{path}', () => {
  const content = Buffer.from('<script>alert(1)</script>');
  const artifact = { path: 'out/plot.html', bytes: content.length, contentBase64: content.toString('base64') };

  test.each(['out/plot.html', 'out%2Fplot.html'])('answers %s as a file, never as a page', async (path) => {
    const world = await aRunWith();
    await world.setStatus('Completed', { artifacts: [artifact] });
    const answer = await world.get(`/v1/runs/hello/artifacts/${path}`);
    expect([answer.statusCode, answer.rawPayload]).toEqual([200, content]);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-disposition': 'attachment',
      'x-content-type-options': 'nosniff',
    });
  });

  test('reads from the journal what the status has no room for', async () => {
    const half = content.subarray(0, 10);
    const chunk = (offset: number, part: Buffer) => ({
      artifact: { path: 'big', bytes: content.length, offset, contentBase64: part.toString('base64') },
    });
    const world = await aRunWith(chunk(0, half), chunk(10, content.subarray(10)), exit);
    await world.setStatus('Completed', {
      ...CLAIMED,
      artifacts: [{ path: 'big', bytes: content.length, inJournal: true }],
    });
    expect((await world.get('/v1/runs/hello/artifacts/big')).rawPayload).toEqual(content);
  });

  test.each([
    ['that the run does not have', 'other', 404, 'ArtifactNotFound'],
    ['whose journal is gone', 'journal', 410, 'ArtifactGone'],
    ['that was never held', 'none', 410, 'ArtifactGone'],
  ])('answers a problem for a file %s', async (_name, path, status, code) => {
    const world = await aRunWith();
    const artifacts = [
      { path: 'journal', bytes: 1, inJournal: true },
      { path: 'none', bytes: 1 },
    ];
    await world.setStatus('Completed', { sandbox: { podName: 'gone' }, artifacts });
    expect(problemOf(await world.get(`/v1/runs/hello/artifacts/${path}`))).toMatchObject({ status, code });
  });
});
