import { describe, expect, test } from 'vitest';
import type { CodeRunStatus } from '../../../src/api/coderun.ts';
import { CODE_RUNS } from '../../../src/api/group.ts';
import { anExit } from '../../support/builders.ts';
import { type Answer, aWorld, NAMESPACE, problemOf } from '../../support/gateway-world.ts';

const POD = 'hello-pod';
const STARTED: CodeRunStatus = { startTime: '2026-01-01T00:00:00Z', sandbox: { podName: POD } };
const EVENTS = '/v1/runs/hello/events';

interface Told {
  id?: string;
  event: string;
  // biome-ignore lint/suspicious/noExplicitAny: looked into by tests only
  data: any;
}

/** The events of a stream; comments are passed over. */
const eventsOf = ({ body }: Answer): Told[] =>
  body
    .split('\n\n')
    .filter((block) => block !== '' && !block.startsWith(':'))
    .map((block) => {
      const fields = Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/s).slice(0, 2)));
      return { ...fields, data: JSON.parse(fields.data) };
    });

const brief = (told: Told[]) =>
  told.map(({ event, data }) => [event, data.text ?? data.state ?? data.mime ?? data.name]);

/** Events of a stage hold the run as it stands when they are told. */
const comparable = (told: Told) => (['queued', 'started'].includes(told.event) ? { ...told, data: {} } : told);

/** A run `hello` whose pod's log is `events`, each with the run's id. */
async function aRunWith(...events: object[]) {
  const world = aWorld();
  await world.post('/v1/runs', { code: '1', name: 'hello' });
  const id = world.allRuns()[0]?.metadata.uid ?? '';
  const log = (...more: object[]) => Buffer.from(more.map((event) => `${JSON.stringify({ ...event, id })}\n`).join(''));
  world.kube.setLog(NAMESPACE, POD, log(...events));
  return { ...world, id, log };
}

const figure = { mime: { 'text/plain': '42' } };
const error = { name: 'ZeroDivisionError', value: 'division by zero', traceback: 'Traceback …' };
const JOURNAL = [
  { started: {} },
  { stdout: 'one\n' },
  { stderr: 'two\n' },
  { result: figure },
  { stdout: 'ä🙂\n' },
  anExit({}),
];
const STATUS = { ...STARTED, exitCode: 1, stdout: 'one\nä🙂\n', stderr: 'two\n', results: [figure], error };
const WHOLE = [
  ['queued', 'queued'],
  ['started', 'running'],
  ['stdout', 'one\n'],
  ['stderr', 'two\n'],
  ['result', figure.mime],
  ['stdout', 'ä🙂\n'],
  ['error', error.name],
  ['finished', 'failed'],
];

/** As seen by a client from before the start of the run to its end. */
async function followed(journal = JOURNAL) {
  const world = await aRunWith(...journal);
  const pending = world.get(EVENTS);
  await world.until(() => world.runs.listening === 1);
  await world.setStatus('Running', STARTED);
  await world.until(() => world.runs.listening === 1);
  await world.setStatus('NonZeroExit', STATUS);
  return { ...world, answer: await pending };
}

describe('the events of a run', () => {
  test('tell how it goes, in order, and end with it', async () => {
    const { answer } = await followed();
    expect(answer.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-accel-buffering': 'no',
    });
    expect(brief(eventsOf(answer))).toEqual(WHOLE);
    expect(eventsOf(answer).at(-1)?.data).toMatchObject({ reason: 'NonZeroExit', exitCode: 1, stderr: 'two\n' });
    expect(new Set(eventsOf(answer).map(({ id }) => id)).size).toBe(WHOLE.length);
  });

  test.each(WHOLE.map((_, index) => index))('go on after event %i, from the journal or the status', async (index) => {
    const world = await followed();
    const all = eventsOf(world.answer);
    const headers = { 'last-event-id': all[index]?.id ?? '' };
    const rest = await world.get(EVENTS, headers);
    expect(eventsOf(rest).map(comparable)).toEqual(all.slice(index + 1).map(comparable));
    expect(rest.statusCode).toBe(index === all.length - 1 ? 204 : 200);
    await world.setStatus('NonZeroExit', { ...STATUS, sandbox: { podName: 'gone' } });
    const { stdout, stderr, result, ...once } = Object.groupBy(all.slice(index + 1), ({ event }) => event);
    const fromStatus = Object.groupBy(eventsOf(await world.get(EVENTS, headers)), ({ event }) => event);
    const textOf = (told: Told[] = []) => told.map(({ data }) => data.text).join('');
    expect(textOf(fromStatus['stdout'])).toBe(textOf(stdout));
    expect(textOf(fromStatus['stderr'])).toBe(textOf(stderr));
    expect(fromStatus['result']?.map(({ data }) => data)).toEqual(result?.map(({ data }) => data));
    expect(Object.keys(once).sort()).toEqual(
      Object.keys(fromStatus)
        .filter((event) => !['stdout', 'stderr', 'result'].includes(event))
        .sort(),
    );
  });

  test('of a run that has ended without starting tell no start', async () => {
    const world = await aRunWith();
    await world.setStatus('PendingTooLong');
    expect(brief(eventsOf(await world.get(EVENTS)))).toEqual([
      ['queued', 'failed'],
      ['finished', 'failed'],
    ]);
  });

  test('come from the status where the pod is gone', async () => {
    const world = await aRunWith();
    await world.setStatus('NonZeroExit', { ...STATUS, sandbox: { podName: 'gone' } });
    expect(brief(eventsOf(await world.get(EVENTS)))).toEqual([
      ['queued', 'failed'],
      ['started', 'failed'],
      ['stdout', 'one\nä🙂\n'],
      ['stderr', 'two\n'],
      ['result', figure.mime],
      ['error', error.name],
      ['finished', 'failed'],
    ]);
  });

  test('go on from a journal that broke off, and say nothing twice', async () => {
    const world = await aRunWith({ stdout: 'one\n' });
    await world.setStatus('Running', STARTED);
    const pending = world.get(EVENTS);
    await world.until(() => world.runs.listening === 1);
    world.kube.setLog(NAMESPACE, POD, world.log({ stdout: 'one\n' }, { stdout: 'two\n' }, anExit({})));
    await world.clock.advance(1000);
    await world.until(() => world.runs.listening === 1);
    await world.setStatus('Completed', { ...STARTED, exitCode: 0, stdout: 'one\ntwo\n' });
    const texts = eventsOf(await pending).flatMap(({ data }) => data.text ?? []);
    expect(texts).toEqual(['one\n', 'two\n']);
  });

  test('are only those of the run, whatever its program writes into the log', async () => {
    const world = await aRunWith();
    const forged = '{"id":"other","stdout":"forged"}\n\nevent: finished\ndata: {}\n\n';
    world.kube.setLog(NAMESPACE, POD, Buffer.concat([Buffer.from(forged), world.log({ stdout: forged }, anExit({}))]));
    await world.setStatus('Completed', { ...STARTED, exitCode: 0 });
    const told = eventsOf(await world.get(EVENTS));
    expect(told.map(({ event }) => event)).toEqual(['queued', 'started', 'stdout', 'finished']);
    expect(told[2]?.data).toEqual({ text: forged });
  });

  test('say with a comment that they are alive while nothing happens', async () => {
    const world = await aRunWith();
    const pending = world.get(EVENTS);
    await world.until(() => world.runs.listening === 1);
    await world.clock.advance(31_000);
    await world.setStatus('PendingTooLong');
    expect((await pending).body.match(/^: .*$/gm)).toHaveLength(2);
  });

  test('of a run that is deleted break off', async () => {
    const world = await aRunWith();
    const pending = world.get(EVENTS).catch((failure: unknown) => failure);
    await world.until(() => world.runs.listening === 1);
    await world.kube.delete(CODE_RUNS, NAMESPACE, 'hello');
    expect(await pending).toBeInstanceOf(Error);
  });

  test.each(['x', '9-0-0-0', '1-0-0', '1--1-0-0', '1-0-0-0\n', '1-00-0-0', '1-9999999999-0-0'])(
    'do not go on after %j, which is no id',
    async (id) => {
      const world = await aRunWith();
      const answer = await world.get(EVENTS, { 'last-event-id': encodeURI(id) });
      expect([problemOf(answer).code, problemOf(answer).field]).toEqual(['InvalidRequest', 'last-event-id']);
    },
  );

  test('are not there for a run that is not there', async () => {
    expect(problemOf(await aWorld().get(EVENTS)).code).toBe('RunNotFound');
  });
});

describe('POST /v1/runs for a client that accepts events', () => {
  const ACCEPT = { accept: 'text/event-stream' };

  test('creates the run and tells how it goes', async () => {
    const world = aWorld();
    const pending = world.post('/v1/runs', { code: '1', name: 'hello' }, ACCEPT);
    await world.until(() => world.runs.listening === 1);
    await world.setStatus('Completed', { ...STARTED, exitCode: 0, stdout: '1\n' });
    const answer = await pending;
    expect([answer.statusCode, answer.headers.location]).toEqual([201, '/v1/runs/hello']);
    expect(brief(eventsOf(answer))).toEqual([
      ['queued', 'queued'],
      ['started', 'succeeded'],
      ['stdout', '1\n'],
      ['finished', 'succeeded'],
    ]);
  });

  test('is told what is wrong as any other', async () => {
    const answer = await aWorld().post('/v1/runs', { code: '' }, ACCEPT);
    expect([answer.statusCode, problemOf(answer).field]).toEqual([400, 'code']);
  });
});
