/** Executions in a session: what the agent says is answered, and whatever breaks is told, once, and never done twice. */

import { describe, expect, test } from 'vitest';
import type { BridgeCommand, BridgeRequest } from '../../../src/sandbox/bridge-protocol.ts';
import { anExit, type Rule } from '../../support/bridge-agent.ts';
import { settle } from '../../support/clock.ts';
import { aSessionWorld, type SessionWorld } from '../../support/gateway-sessions.ts';
import { problemOf } from '../../support/gateway-world.ts';
import { TestStream } from '../../support/stream.ts';

const EXECUTE = '/v1/sessions/s1/execute';
const SSE = { accept: 'text/event-stream' };

/** An agent that says `events` about every execution, and that every other request is done. */
const saying =
  (...events: object[]): Rule =>
  (request, say) =>
    'execute' in request ? say(...events) : say({ done: {} });
const silent: Rule = (request, say) => ('execute' in request ? undefined : say({ done: {} }));

async function ready(rule?: Rule, options?: Parameters<typeof aSessionWorld>[1]): Promise<SessionWorld> {
  const world = aSessionWorld(rule, options);
  await world.session();
  return world;
}

const executions = ({ agent }: SessionWorld): BridgeRequest[] => agent.requests.filter((one) => 'execute' in one);

interface Sent {
  event: string;
  data: unknown;
}

const eventsOf = (text: string): Sent[] =>
  text
    .split('\n\n')
    .filter((block) => block.startsWith('event: '))
    .map((block) => {
      const [, event = '', data = ''] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? [];
      return { event, data: JSON.parse(data) };
    });

describe('an execution', () => {
  test('is sent with its defaults, and answered with all that was said', async () => {
    const mime = { 'text/plain': '42' };
    const world = await ready(
      saying(
        { started: { executionCount: 7 } },
        { stdout: 'a' },
        { stderr: 'e' },
        { stdout: 'b' },
        { result: { mime } },
        anExit(),
      ),
    );
    const answer = await world.post(EXECUTE, { code: 'x' });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({
      reason: 'Completed',
      message: 'The program ended with exit code 0.',
      exitCode: 0,
      stdout: 'ab',
      stderr: 'e',
      results: [{ mime }],
      output: { stdoutBytes: 0, stderrBytes: 0, stdoutTruncated: false, stderrTruncated: false },
      executionCount: 1,
      durationMilliseconds: 3,
      stateKept: true,
      usage: { cpuMilliseconds: 2, peakMemoryBytes: 1000 },
    });
    expect(executions(world)).toMatchObject([
      { execute: { language: 'python', code: 'x', timeoutSeconds: 30, detach: false } },
    ]);
  });

  test('carries what it was asked with', async () => {
    const world = await ready(saying(anExit()));
    const asked = { language: 'bash', code: 'cat', timeoutSeconds: 5, context: 'c', stdin: 'in', detach: true };
    await world.post(EXECUTE, asked);
    expect(executions(world)).toMatchObject([{ execute: asked }]);
  });

  test.each<[string, object, object]>([
    ['an exit code', { exitCode: 3 }, { reason: 'NonZeroExit', exitCode: 3 }],
    ['a signal', { exitCode: null, signal: 'SIGSEGV' }, { reason: 'Signalled', signal: 'SIGSEGV' }],
    ['its timeout', { exitCode: null, cause: 'Timeout' }, { reason: 'Timeout' }],
    ['an interrupt', { exitCode: null, cause: 'Interrupted' }, { reason: 'Cancelled' }],
    ['want of memory', { exitCode: 1, cause: 'OutOfMemory' }, { reason: 'OutOfMemory' }],
    ['a full disk', { exitCode: 1, cause: 'DiskLimit' }, { reason: 'DiskLimit' }],
    [
      'an error',
      { exitCode: 1, error: { name: 'E', value: 'v', traceback: 't' } },
      { reason: 'NonZeroExit', error: { name: 'E', value: 'v', traceback: 't' } },
    ],
    [
      'the end of its interpreter',
      { exitCode: 0, session: { executionCount: 9, stateKept: false } },
      { executionCount: 9, stateKept: false },
    ],
  ])('that ends by %s is no error of HTTP', async (_what, exit, expected) => {
    const answer = await (await ready(saying(anExit(exit)))).post(EXECUTE, { code: 'x' });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject(expected);
  });

  test('that says more than an answer holds is cut, and says so', async () => {
    const much = Array.from({ length: 3 }, () => ({ stdout: 'x'.repeat(500_000) }));
    const body = (await (await ready(saying(...much, anExit()))).post(EXECUTE, { code: 'x' })).json();
    expect([body.stdout.length, body.output]).toEqual([
      1024 * 1024,
      expect.objectContaining({ stdoutTruncated: true }),
    ]);
  });

  test('that was taken out of the queue is cancelled, and keeps the state', async () => {
    const world = await ready(saying({ failed: { reason: 'Interrupted', message: '' } }));
    expect((await world.post(EXECUTE, { code: 'x' })).json()).toMatchObject({ reason: 'Cancelled', stateKept: true });
  });

  test('is refused with 429 where too many wait', async () => {
    const answer = await (await ready(saying({ failed: { reason: 'Busy', message: '' } }))).post(EXECUTE, {
      code: 'x',
    });
    expect(problemOf(answer)).toMatchObject({ status: 429, code: 'SessionBusy', retrySafe: true });
    expect(answer.headers['retry-after']).toBe('1');
  });

  test.each<[string, object, string]>([
    ['no code', {}, 'code'],
    ['another language', { code: 'x', language: 'ruby' }, 'language'],
    ['no time', { code: 'x', timeoutSeconds: 0 }, 'timeoutSeconds'],
    ['a context that is no name', { code: 'x', context: '../x' }, 'context'],
    ['a field that there is not', { code: 'x', image: 'y' }, 'image'],
  ])('with %s is refused before the session hears of it', async (_what, body, field) => {
    const world = await ready(saying(anExit()));
    expect(problemOf(await world.post(EXECUTE, body))).toMatchObject({ status: 400, field });
    expect(world.agent.streams).toEqual([]);
  });
});

describe('the session of an execution', () => {
  test('that is starting is waited for, and its connection opened meanwhile', async () => {
    const world = aSessionWorld(saying(anExit()));
    await world.session('Queued');
    const pending = world.post(EXECUTE, { code: 'x' });
    await world.until(() => world.sessions.listening > 0);
    expect(world.agent.streams).toEqual([]);
    await world.stand('s1', 'Starting');
    await world.until(() => world.bridges.size === 1);
    expect(executions(world)).toEqual([]);
    await world.stand('s1', 'Ready');
    expect((await pending).json()).toMatchObject({ reason: 'Completed' });
    expect(world.agent.streams).toHaveLength(1);
  });

  test('may have no agent yet where its connection is opened ahead', async () => {
    const world = aSessionWorld(saying(anExit()));
    await world.session('Starting');
    const { onExec } = world.kube;
    world.kube.onExec = () => {
      throw new Error('the agent serves no bridge');
    };
    const pending = world.post(EXECUTE, { code: 'x' });
    await world.until(() => world.sessions.listening > 0);
    world.kube.onExec = onExec;
    await world.stand('s1', 'Ready');
    expect((await pending).json()).toMatchObject({ reason: 'Completed' });
  });

  test('may become ready before the connection that is opened ahead has failed', async () => {
    const world = aSessionWorld(saying(anExit()));
    await world.session('Starting');
    const { onExec } = world.kube;
    const stillborn = new TestStream();
    world.kube.onExec = () => stillborn;
    const pending = world.post(EXECUTE, { code: 'x' });
    await world.until(() => world.bridges.size === 1);
    world.kube.onExec = onExec;
    await world.stand('s1', 'Ready');
    await settle();
    stillborn.end();
    expect((await pending).json()).toMatchObject({ reason: 'Completed' });
  });

  test('that does not start in time is not waited for any longer', async () => {
    const world = aSessionWorld(saying(anExit()), { limits: { executeOverhead: 5000 } });
    await world.session('Starting');
    const pending = world.post(EXECUTE, { code: 'x' });
    await world.until(() => world.sessions.listening > 0);
    await world.clock.advance(5000);
    expect(problemOf(await pending)).toMatchObject({ status: 503, code: 'SessionStarting', retrySafe: true });
  });

  test('that ends while it is waited for is told as ended', async () => {
    const world = aSessionWorld();
    await world.session('Starting');
    const pending = world.post(EXECUTE, { code: 'x' });
    await world.until(() => world.sessions.listening > 0);
    await world.stand('s1', 'PendingTooLong');
    expect(problemOf(await pending)).toMatchObject({ status: 409, code: 'SessionEnded', retrySafe: true });
  });

  test('that has ended is told as ended, with its reason', async () => {
    const world = aSessionWorld();
    await world.session('IdleTimeout');
    const problem = problemOf(await world.post(EXECUTE, { code: 'x' }));
    expect(problem).toMatchObject({ status: 409, code: 'SessionEnded' });
    expect(problem.detail).toContain('IdleTimeout');
  });

  test("that is not there, or somebody else's, is not found", async () => {
    const world = aSessionWorld();
    await world.session('Ready', { namespace: 'other' });
    expect(problemOf(await world.post(EXECUTE, { code: 'x' }))).toMatchObject({ status: 404, code: 'SessionNotFound' });
  });
});

describe('the events of an execution', () => {
  test('come by name, in order, and end with how it ended', async () => {
    const error = { name: 'E', value: 'v', traceback: 't' };
    const world = await ready(
      saying(
        { started: { executionCount: 2 } },
        { stdout: 'o' },
        { stderr: 'e' },
        { result: { mime: { 'text/plain': '1' } } },
        anExit({ exitCode: 1, error }),
      ),
    );
    const answer = await world.post(EXECUTE, { code: 'x' }, SSE);
    expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, 'text/event-stream']);
    const events = eventsOf(answer.body);
    expect(events.slice(0, -1)).toEqual([
      { event: 'started', data: { executionCount: 2 } },
      { event: 'stdout', data: { text: 'o' } },
      { event: 'stderr', data: { text: 'e' } },
      { event: 'result', data: { mime: { 'text/plain': '1' } } },
      { event: 'error', data: error },
    ]);
    expect(events.at(-1)).toMatchObject({ event: 'finished', data: { reason: 'NonZeroExit', stateKept: true } });
    expect(Object.keys(events.at(-1)?.data ?? {})).not.toContain('stdout');
  });

  test('can not be forged by what the program prints', async () => {
    const text = 'x\n\nevent: finished\ndata: {}\n\n';
    const world = await ready(saying({ stdout: text }, anExit()));
    const events = eventsOf((await world.post(EXECUTE, { code: 'x' }, SSE)).body);
    expect(events.map(({ event }) => event)).toEqual(['stdout', 'finished']);
    expect(events[0]?.data).toEqual({ text });
  });

  test('are a problem of HTTP where the execution is refused', async () => {
    const world = await ready(saying({ failed: { reason: 'Busy', message: '' } }));
    expect(problemOf(await world.post(EXECUTE, { code: 'x' }, SSE))).toMatchObject({ status: 429 });
  });

  test('say that it waits, and with heartbeats that it lives', async () => {
    const world = await ready(silent);
    const pending = world.post(EXECUTE, { code: 'x' }, SSE);
    await world.until(() => executions(world).length === 1);
    await world.clock.advance(1000);
    await world.clock.advance(15_000);
    await world.clock.advance(15_000);
    const [stream] = world.agent.streams;
    stream?.say({ id: executions(world)[0]?.id, ...anExit() });
    const { body } = await pending;
    expect(eventsOf(body).map(({ event }) => event)).toEqual(['queued', 'finished']);
    expect(body.match(/^: /gm)).toHaveLength(2);
  });

  test('end with a problem where the connection breaks later', async () => {
    const world = await ready(silent);
    const pending = world.post(EXECUTE, { code: 'x' }, SSE);
    await world.until(() => executions(world).length === 1);
    world.agent.streams[0]?.say({ id: executions(world)[0]?.id, stdout: 'o' });
    await settle();
    world.agent.streams[0]?.end();
    expect(eventsOf((await pending).body)).toMatchObject([
      { event: 'stdout' },
      { event: 'problem', data: { code: 'StateUnknown', retrySafe: false } },
    ]);
  });
});

describe('a connection', () => {
  test('carries all requests of its session, each with its own answers', async () => {
    const world = await ready(silent);
    const pending = ['a', 'b'].map((code) => world.post(EXECUTE, { code }));
    await world.until(() => executions(world).length === 2);
    const [stream] = world.agent.streams;
    const ids = executions(world).map(({ id }) => id);
    stream?.say({ id: ids[1], stdout: 'of b' }, { id: ids[0], stdout: 'of a' });
    stream?.say(...ids.map((id) => ({ id, ...anExit() })));
    expect((await Promise.all(pending)).map((answer) => answer.json().stdout)).toEqual(['of a', 'of b']);
    expect(world.agent.streams).toHaveLength(1);
  });

  test('is closed a minute after its last use, and opened again by the next', async () => {
    const world = await ready(saying(anExit()));
    await world.post(EXECUTE, { code: 'x' });
    await world.clock.advance(59_000);
    await world.post(EXECUTE, { code: 'x' });
    await world.clock.advance(59_999);
    expect([world.bridges.size, world.agent.streams.length]).toEqual([1, 1]);
    await world.clock.advance(1);
    expect([world.bridges.size, world.clock.pending]).toEqual([0, 0]);
    expect(await world.agent.streams[0]?.ended).toMatchObject({ kind: 'closed' });
    await world.post(EXECUTE, { code: 'x' });
    expect(world.agent.streams).toHaveLength(2);
  });

  test('that broke while nobody used it is not seen by anybody', async () => {
    const world = await ready(saying(anExit()));
    await world.post(EXECUTE, { code: 'x' });
    world.agent.streams[0]?.end();
    await settle();
    expect((await world.post(EXECUTE, { code: 'x' })).json()).toMatchObject({ reason: 'Completed' });
    expect(executions(world)).toHaveLength(2);
  });

  test('that can not be opened says that nothing was done', async () => {
    const world = await ready();
    world.kube.onExec = () => {
      throw new Error('container not found');
    };
    const pending = world.post(EXECUTE, { code: 'x' });
    await world.until(() => world.sessions.listening > 0);
    await world.clock.advance(3000);
    expect(problemOf(await pending)).toMatchObject({ status: 503, code: 'SandboxUnreachable', retrySafe: true });
    expect(world.bridges.size).toBe(0);
  });

  test('whose agent does not answer is given up', async () => {
    const world = await ready();
    const connect = world.agent.connect.bind(world.agent);
    world.kube.onExec = () => Object.assign(connect(), { write: async () => undefined });
    const pending = world.post(EXECUTE, { code: 'x' });
    await world.until(() => world.agent.streams.length === 1);
    await world.clock.advance(10_000);
    await world.clock.advance(3000);
    expect(problemOf(await pending)).toMatchObject({ code: 'SandboxUnreachable' });
  });

  test('makes room for another where too many are unused, and none where all are used', async () => {
    const world = aSessionWorld(silent);
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) await world.session('Ready', { name });
    const ask = (name: string) => world.post(`/v1/sessions/${name}/execute`, { code: 'x' });
    const finish = () => {
      for (const stream of world.agent.streams)
        for (const request of stream.requests) stream.say({ id: request.id, ...anExit() });
    };
    const first = ask('a');
    await world.until(() => executions(world).length === 1);
    finish();
    await first;
    const held = ['b', 'c', 'd', 'e'].map(ask);
    await world.until(() => executions(world).length === 5);
    expect(await world.agent.streams[0]?.ended).toMatchObject({ kind: 'closed' });
    const refused = await ask('f');
    expect(problemOf(refused)).toMatchObject({ status: 503, code: 'TooManyWaiting' });
    finish();
    await Promise.all(held);
    expect(world.bridges.size).toBe(4);
  });

  test('is closed with the gateway', async () => {
    const world = await ready(saying(anExit()));
    await world.post(EXECUTE, { code: 'x' });
    await world.app.close();
    expect(await world.agent.streams[0]?.ended).toMatchObject({ kind: 'closed' });
    expect(world.clock.pending).toBe(0);
  });
});

describe('in the middle of an execution', () => {
  async function running(options?: Parameters<typeof aSessionWorld>[1], rule = silent) {
    const world = await ready(rule, options);
    const pending = world.post(EXECUTE, { code: 'x', timeoutSeconds: 10 });
    await world.until(() => executions(world).length === 1);
    const [stream] = world.agent.streams;
    const [request] = executions(world);
    if (!stream || !request) throw new Error('nothing was sent');
    return { ...world, world, pending, stream, id: request.id };
  }
  /** The sandbox is dead: no connection to it can be opened. */
  const die = ({ kube }: SessionWorld) => {
    kube.onExec = () => {
      throw new Error('container not running');
    };
  };

  test.each<['OutOfMemory' | 'SandboxLost' | 'Evicted' | 'Terminated', string]>([
    ['OutOfMemory', 'OutOfMemory'],
    ['SandboxLost', 'SandboxLost'],
    ['Evicted', 'Evicted'],
    ['Terminated', 'Cancelled'],
  ])('a sandbox that is gone ends it as the session ends: %s', async (end, reason) => {
    const { world, pending, stream, id, stand } = await running();
    stream.say({ id, started: { executionCount: 4 } }, { id, stdout: 'so far' });
    await settle();
    die(world);
    stream.end();
    await stand('s1', end);
    const answer = await pending;
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject({ reason, stdout: 'so far', executionCount: 4, stateKept: false });
  });

  test('a sandbox that is gone without a word is told as lost, after three seconds', async () => {
    const { world, pending, stream, clock, sessions, until } = await running();
    die(world);
    stream.end();
    await until(() => sessions.listening > 0);
    await clock.advance(3000);
    expect((await pending).json()).toMatchObject({ reason: 'SandboxLost', stateKept: false });
  });

  test('a session that has ended while its connection stands is not waited for', async () => {
    const { pending, stand, clock, world } = await running();
    die(world);
    await stand('s1', 'LifetimeExceeded');
    await clock.advance(500);
    expect((await pending).json()).toMatchObject({ reason: 'Cancelled', stateKept: false });
  });

  test('an end that is told in time is the answer, even where the session has ended with it', async () => {
    const { pending, stand, stream, id } = await running();
    await stand('s1', 'OutOfMemory');
    stream.say({ id, ...anExit({ exitCode: 1, cause: 'OutOfMemory' }) });
    expect((await pending).json()).toMatchObject({ reason: 'OutOfMemory', exitCode: 1 });
  });

  test('a connection that breaks alone leaves its state unknown, and it is not sent again', async () => {
    const { world, pending, stream } = await running();
    stream.end();
    expect(problemOf(await pending)).toMatchObject({ status: 502, code: 'StateUnknown', retrySafe: false });
    expect(executions(world)).toHaveLength(1);
  });

  test.each([
    ['bytes that are no line', '\x00\xff\xfe'.repeat(1000)],
    ['a line that is no JSON', '{{{\n'],
    ['a line that is no event', '{"id":"r2","exit":{}}\n'],
    ['an event with a wrong value', '{"id":"r2","started":{"executionCount":-1}}\n'],
    ['a line without end', 'x'.repeat(1024 * 1024 + 1)],
  ])('%s from the sandbox end in a problem', async (_what, bytes) => {
    const { pending, stream } = await running();
    stream.babble(bytes);
    stream.end();
    expect(problemOf(await pending)).toMatchObject({ status: 502, code: 'StateUnknown' });
  });

  test('an end without an exit leaves its state unknown', async () => {
    const { pending, stream, id } = await running();
    stream.say({ id, done: {} });
    expect(problemOf(await pending)).toMatchObject({ code: 'StateUnknown' });
  });

  test('an agent that never answers is interrupted and given up, after the timeout and a grace', async () => {
    const { world, pending, stream, id, clock } = await running();
    stream.say({ id, started: { executionCount: 1 } });
    await settle();
    await clock.advance(24_999);
    expect(world.agent.requests).toHaveLength(1);
    await clock.advance(1);
    expect(problemOf(await pending)).toMatchObject({ code: 'StateUnknown', retrySafe: false });
    expect(world.agent.requests.at(-1)).toMatchObject({ interrupt: { id } });
  });
});

describe('a client that leaves', () => {
  const leave = async (body: object) => {
    const world = await ready(silent);
    const headers = { 'content-type': 'application/json', ...SSE };
    const pending = world.app.inject({ method: 'POST', url: EXECUTE, payload: body, headers, payloadAsStream: true });
    await world.until(() => executions(world).length === 1);
    world.agent.streams[0]?.say({ id: executions(world)[0]?.id, stdout: 'o' });
    const answer = await pending;
    answer.stream().destroy();
    answer.raw.res.destroy();
    await settle();
    return world.agent.requests.slice(1).map(({ id: _, ...command }): BridgeCommand => command);
  };

  test('interrupts its execution, and no other', async () => {
    expect(await leave({ code: 'x' })).toEqual([{ interrupt: { id: 'r2' } }]);
  });

  test('leaves a detached one alone', async () => {
    expect(await leave({ code: 'x', detach: true })).toEqual([]);
  });
});

test('a client that does not read what its program says is let go of, and its program interrupted', async () => {
  const world = await ready(silent);
  const headers = { 'content-type': 'application/json', ...SSE };
  const payload = { code: 'x' };
  const pending = world.app.inject({ method: 'POST', url: EXECUTE, payload, headers, payloadAsStream: true });
  await world.until(() => executions(world).length === 1);
  const [stream] = world.agent.streams;
  const id = executions(world)[0]?.id;
  stream?.say({ id, stdout: 'o' });
  const answer = await pending;
  answer.stream().on('error', () => undefined);
  for (let turn = 0; turn < 20; turn++) stream?.say({ id, stdout: 'x'.repeat(500_000) });
  await world.until(() => world.agent.requests.length === 2);
  expect(world.agent.requests.at(-1)).toMatchObject({ interrupt: { id } });
});

describe('beside executions', () => {
  test('POST interrupt interrupts whatever runs', async () => {
    const world = await ready((_request, say) => say({ done: {} }));
    expect((await world.send({ method: 'POST', url: '/v1/sessions/s1/interrupt' })).statusCode).toBe(204);
    expect(world.agent.requests).toMatchObject([{ interrupt: {} }]);
  });

  test.each<[string, object | undefined, object]>([
    ['all interpreters', undefined, {}],
    ['one of them', { context: 'c' }, { context: 'c' }],
  ])('POST restart restarts %s', async (_what, body, restart) => {
    const world = await ready((_request, say) => say({ done: {} }));
    const url = '/v1/sessions/s1/restart';
    const answer = await (body ? world.post(url, body) : world.send({ method: 'POST', url }));
    expect(answer.statusCode).toBe(204);
    expect(world.agent.requests).toMatchObject([{ restart }]);
  });

  test('GET variables lists them', async () => {
    const variables = [{ name: 'x', type: 'int', size: '', repr: '1' }];
    const world = await ready((_request, say) => say({ done: { variables } }));
    expect((await world.get('/v1/sessions/s1/variables?context=c')).json()).toEqual({ variables, truncated: false });
    expect(world.agent.requests).toMatchObject([{ variables: { context: 'c' } }]);
  });

  test('an interpreter that is not there is not found', async () => {
    const world = await ready((_request, say) => say({ failed: { reason: 'NotFound', message: 'no\u0007 such' } }));
    const problem = problemOf(await world.get('/v1/sessions/s1/variables?context=c'));
    expect(problem).toMatchObject({ status: 404, code: 'ContextNotFound' });
    expect(problem.detail).toContain('(no  such)');
  });

  test('what needs no turn and is not answered is given up after half a minute', async () => {
    const world = await ready(() => undefined);
    const pending = world.send({ method: 'POST', url: '/v1/sessions/s1/interrupt' });
    await world.until(() => world.agent.requests.length === 1);
    await world.clock.advance(30_000);
    expect(problemOf(await pending)).toMatchObject({ status: 502, code: 'StateUnknown' });
  });
});
