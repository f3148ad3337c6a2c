import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import type { CodeRun } from '../../../src/api/coderun.ts';
import { CODE_RUNS } from '../../../src/api/group.ts';
import { isEnded } from '../../../src/gateway/run-view.ts';
import { waitFor } from '../../../src/gateway/wait.ts';
import { aStatus } from '../../support/builders.ts';
import { FakeClock } from '../../support/clock.ts';
import { FakeKube } from '../../support/fake-kube.ts';
import { FakeRunWatch } from '../../support/gateway-world.ts';

async function aWait({ milliseconds }: { milliseconds: number | undefined } = { milliseconds: 1000 }) {
  const clock = new FakeClock();
  const kube = new FakeKube();
  const runs = new FakeRunWatch(kube);
  const create = () =>
    kube.create<CodeRun>(CODE_RUNS, {
      apiVersion: CODE_RUNS.apiVersion,
      kind: 'CodeRun',
      metadata: { name: 'hello', namespace: 'tenant' },
    });
  const end = async () => {
    const run = await kube.get<CodeRun>(CODE_RUNS, 'tenant', 'hello');
    return kube.replaceStatus(CODE_RUNS, { ...run, status: aStatus('Completed', { stdout: 'x' }) });
  };
  const controller = new AbortController();
  const waited = waitFor({ kube, runs, clock }, await create(), {
    wanted: isEnded,
    milliseconds,
    signal: controller.signal,
  });
  const left = () => [runs.listening, clock.pending + getEventListeners(controller.signal, 'abort').length];
  return { clock, kube, runs, controller, waited, create, end, left };
}

describe('waitFor', () => {
  test('answers a run that is as wanted already', async () => {
    const { kube, runs, clock, end } = await aWait();
    const run = await end();
    const options = { wanted: isEnded, milliseconds: 1, signal: new AbortController().signal };
    expect(await waitFor({ kube, runs, clock }, run, options)).toMatchObject({ kind: 'met' });
    expect(await kube.get(CODE_RUNS, 'tenant', 'hello')).toEqual(run);
  });

  test('answers when the run is as wanted', async () => {
    const { waited, end, left } = await aWait();
    await end();
    expect([(await waited).kind, ...left()]).toEqual(['met', 0, 0]);
  });

  test('answers all of a run that ended before the wait began, of which the watch has kept a part', async () => {
    const { kube, runs, clock, create, end } = await aWait();
    await kube.delete(CODE_RUNS, 'tenant', 'hello');
    const first = await create();
    const whole = await end();
    const options = { wanted: isEnded, milliseconds: 1000, signal: new AbortController().signal };
    expect(await waitFor({ kube, runs, clock }, first, options)).toMatchObject({ kind: 'met', run: whole });
  });

  test('says that a run is deleted of which the watch has kept a part, and another has its name', async () => {
    const { kube, runs, clock, create, end } = await aWait();
    await kube.delete(CODE_RUNS, 'tenant', 'hello');
    const first = await create();
    await end();
    runs.lags = true;
    await kube.delete(CODE_RUNS, 'tenant', 'hello');
    const options = { wanted: isEnded, milliseconds: 1000, signal: new AbortController().signal };
    expect((await waitFor({ kube, runs, clock }, first, options)).kind).toBe('deleted');
    await create();
    expect((await waitFor({ kube, runs, clock }, first, options)).kind).toBe('deleted');
  });

  test('answers when the time is over', async () => {
    const { waited, clock, left } = await aWait();
    await clock.advance(1000);
    expect([(await waited).kind, ...left()]).toEqual(['timedOut', 0, 0]);
  });

  test('answers when it is aborted, even before it began', async () => {
    const { waited, controller, left, kube, runs, clock } = await aWait();
    controller.abort();
    const { kind, run } = await waited;
    const again = await waitFor({ kube, runs, clock }, run, {
      wanted: isEnded,
      milliseconds: 1,
      signal: controller.signal,
    });
    expect([kind, again.kind, ...left()]).toEqual(['aborted', 'aborted', 0, 0]);
  });

  test('answers when the run is deleted', async () => {
    const { waited, kube, left } = await aWait();
    await kube.delete(CODE_RUNS, 'tenant', 'hello');
    expect([(await waited).kind, ...left()]).toEqual(['deleted', 0, 0]);
  });

  test('does not take a new run of the same name for the one that it waits for', async () => {
    const { waited, kube, runs, create, end } = await aWait();
    runs.lags = true;
    await kube.delete(CODE_RUNS, 'tenant', 'hello');
    await create();
    await end();
    runs.look();
    expect((await waited).kind).toBe('deleted');
  });

  test('does not take an old run of the same name for the one that it waits for', async () => {
    const { kube, runs, create, end, clock } = await aWait();
    await end();
    runs.lags = true;
    await kube.delete(CODE_RUNS, 'tenant', 'hello');
    const fresh = await create();
    const options = { wanted: isEnded, milliseconds: 1000, signal: new AbortController().signal };
    const waited = waitFor({ kube, runs, clock }, fresh, options);
    runs.look();
    await end();
    runs.look();
    expect(await waited).toMatchObject({ kind: 'met', run: { metadata: { uid: fresh.metadata.uid } } });
  });

  test('waits for ever where no time is given', async () => {
    const { waited, clock, end } = await aWait({ milliseconds: undefined });
    await clock.advance(10_000_000);
    await end();
    expect((await waited).kind).toBe('met');
  });
});
