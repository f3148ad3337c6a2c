import { describe, expect, test } from 'vitest';
import { Channels } from '../../../src/sandbox/channels.ts';
import type { Command } from '../../../src/sandbox/protocol.ts';
import { anExit, POD_UID, RUN_UID, SESSION_UID, T0 } from '../../support/builders.ts';
import { TestStream } from '../../support/stream.ts';

const hello = (run: { id: string; state: string } | null = null, more: object = {}) => ({
  hello: { protocol: 1, epoch: 1, kernel: '4.19.0-gvisor', gvisor: true, python: '3.13.0', run, ...more },
});

const execute = {
  execute: { id: RUN_UID, epoch: 1, language: 'python', code: '1', timeoutSeconds: 1, memoryBytes: 1 },
} satisfies Command;

/** Channels to one pod, whose attempts to attach take the given streams in turn; undefined is a refused attempt. */
function setUp(...streams: (TestStream | undefined)[]) {
  const timeout = new AbortController();
  const left = [...streams];
  let changed = Promise.withResolvers<void>();
  const channels = new Channels({
    attach: async (_namespace, _pod, signal) => {
      const stream = left.shift();
      if (!stream) throw new Error('container not running');
      signal.addEventListener('abort', () => stream.close());
      return stream;
    },
    now: () => T0,
    helloTimeout: () => timeout.signal,
  });
  return {
    channels,
    timeout,
    open: () =>
      channels.open({
        podUID: POD_UID,
        namespace: 'tenant',
        podName: 'pod',
        limits: { outputBytes: 100, resultBytes: 100 },
        epoch: 1,
        onChange: () => changed.resolve(),
      }),
    /** Resolves at the next change that a controller would be woken by. */
    change: async () => {
      await changed.promise;
      changed = Promise.withResolvers();
      return channels.view(POD_UID);
    },
  };
}

describe('a channel to a sandbox', () => {
  test('says hello and shows what the agent answers', async () => {
    const stream = new TestStream();
    const { open, change } = setUp(stream);
    open();
    stream.say(hello());
    expect(await change()).toMatchObject({ state: 'open', hello: { kernel: '4.19.0-gvisor', run: null } });
    expect(stream.written).toEqual(['{"hello":{"epoch":1}}\n']);
  });

  test('holds the whole of what a run said that it started', async () => {
    const stream = new TestStream();
    const { channels, open, change } = setUp(stream);
    open();
    stream.say(hello());
    await change();
    await channels.send(POD_UID, execute);
    stream.say({ id: RUN_UID, started: {} }, { id: RUN_UID, stdout: 'hi' }, anExit());
    expect((await change())?.transcript).toMatchObject({ stdout: 'hi', exit: { exitCode: 0 } });
  });

  test('holds the whole of a run that another leader started after the agent said that it was idle', async () => {
    const stream = new TestStream();
    const { open, change } = setUp(stream);
    open();
    stream.say(hello());
    await change();
    stream.say({ id: RUN_UID, started: {} }, { id: RUN_UID, stdout: 'hi' }, anExit());
    expect((await change())?.transcript).toMatchObject({ stdout: 'hi', exit: { exitCode: 0 } });
  });

  test('holds nothing of a run that it came too late for', async () => {
    const stream = new TestStream();
    const { open, change } = setUp(stream);
    open();
    stream.say(hello({ id: RUN_UID, state: 'running' }));
    await change();
    stream.say({ id: RUN_UID, stdout: 'the rest' }, anExit());
    expect((await change())?.transcript).toBeUndefined();
  });

  test('passes over what is no event', async () => {
    const stream = new TestStream();
    const { open, change } = setUp(stream);
    open();
    stream.say({ reboot: true }, hello());
    expect(await change()).toMatchObject({ hello: { run: null } });
  });

  test('is tried often at first where the container can not be attached to, and then ever more seldom', async () => {
    const { channels, open, change } = setUp();
    const waits: number[] = [];
    for (let attempt = 0; attempt < 30; attempt++) {
      open();
      waits.push(((await change())?.reopenAt.getTime() ?? 0) - T0.getTime());
    }
    expect(channels.view(POD_UID)?.state).toBe('closed');
    expect(waits.slice(0, 20)).toEqual(Array(20).fill(100));
    expect(waits.slice(20)).toEqual([200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000, 5000]);
  });

  test('is closed when the stream ends, and opened again without what was heard in part', async () => {
    const [broken, fresh] = [new TestStream(), new TestStream()];
    const { channels, open, change } = setUp(broken, fresh);
    open();
    broken.say(hello());
    await change();
    await channels.send(POD_UID, execute);
    broken.end();
    expect(await change()).toMatchObject({ state: 'closed' });
    open();
    fresh.say(hello({ id: RUN_UID, state: 'running' }));
    expect(await change()).toMatchObject({ state: 'open', transcript: undefined });
  });

  test('is given up where the agent does not answer hello in time', async () => {
    const { open, change, timeout, channels } = setUp(new TestStream());
    open();
    await new Promise(setImmediate);
    expect(channels.view(POD_UID)?.state).toBe('open');
    timeout.abort();
    expect((await change())?.state).toBe('closed');
  });

  test('is not given up by that clock once the agent has answered', async () => {
    const stream = new TestStream();
    const { open, change, timeout, channels } = setUp(stream);
    open();
    stream.say(hello());
    await change();
    timeout.abort();
    await new Promise(setImmediate);
    expect(channels.view(POD_UID)?.state).toBe('open');
  });

  test('takes no command before it is open', async () => {
    const { channels } = setUp();
    await expect(channels.send(POD_UID, execute)).rejects.toThrow('not open');
  });

  test('remembers since when its run is told to end', async () => {
    const stream = new TestStream();
    const { channels, open, change } = setUp(stream);
    open();
    stream.say(hello());
    await change();
    await channels.send(POD_UID, { interrupt: { id: RUN_UID, epoch: 1 } });
    expect(channels.view(POD_UID)?.interruptedAt).toEqual(T0);
  });

  test('is forgotten when it is closed by us, and wakes nobody', async () => {
    const stream = new TestStream();
    const { channels, open, change } = setUp(stream);
    open();
    stream.say(hello());
    await change();
    channels.close(POD_UID);
    await new Promise(setImmediate);
    expect(channels.size).toBe(0);
    expect(channels.view(POD_UID)).toBeUndefined();
  });
});

describe('a channel to the sandbox of a session', () => {
  const open: Command = { open: { id: SESSION_UID, epoch: 1, memoryBytes: 1 } };
  const order = (id: string): Command => ({ execute: { ...execute.execute, id } });
  const exit = (id: string) => ({ ...anExit(), id });

  /** A channel over which the sandbox was opened. */
  async function opened() {
    const stream = new TestStream();
    const world = setUp(stream);
    world.open();
    stream.say(hello());
    await world.change();
    await world.channels.send(POD_UID, open);
    stream.say({ id: SESSION_UID, opened: { cause: null, message: '' } });
    await world.change();
    return { ...world, stream, view: (id?: string) => world.channels.view(POD_UID, id) };
  }

  test('shows that it was opened, and for whom', async () => {
    const { view } = await opened();
    expect(view()).toMatchObject({ wasToldToOpen: true, opened: { id: SESSION_UID, cause: null } });
  });

  test('holds what each execution said apart', async () => {
    const { channels, stream, change, view } = await opened();
    for (const id of ['a', 'b']) await channels.send(POD_UID, order(id));
    stream.say({ id: 'a', started: {} }, { id: 'a', stdout: 'of a' }, exit('a'), { id: 'b', started: {} });
    await change();
    expect(view('a')).toMatchObject({
      isWhole: true,
      startedAt: T0,
      transcript: { stdout: 'of a', exit: { exitCode: 0 } },
    });
    expect(view('b')).toMatchObject({ transcript: { stdout: '', exit: undefined } });
    expect(view('c')).toMatchObject({ transcript: undefined, startedAt: undefined });
  });

  test('says of an order given again that the beginning may be missing', async () => {
    const { channels, view } = await opened();
    await channels.send(POD_UID, order('a'), { again: true });
    expect(view('a')?.isWhole).toBe(false);
  });

  test('lets go of an execution', async () => {
    const { channels, view } = await opened();
    await channels.send(POD_UID, order('a'));
    await channels.send(POD_UID, { interrupt: { id: 'a', epoch: 1 } });
    channels.forget(POD_UID, 'a');
    expect(view('a')).toMatchObject({ transcript: undefined, interruptedAt: undefined });
  });

  test('holds nothing of executions that were not ordered over it', async () => {
    const { stream, change, view } = await opened();
    stream.say({ id: 'x', started: {} }, { id: 'x', stdout: 'a flood' }, exit('x'));
    await change();
    expect([view('x')?.transcript, view()?.transcript]).toEqual([undefined, undefined]);
  });

  test('tells a refused execution from the others', async () => {
    const { channels, stream, change, view } = await opened();
    for (const id of ['a', 'b']) await channels.send(POD_UID, order(id));
    stream.say({ refused: { reason: 'Busy', message: 'full', id: 'a' } });
    await change();
    expect([view('a')?.refused?.reason, view('b')?.refused]).toEqual(['Busy', undefined]);
  });

  test('tells the refusal of an order that it knows nothing of from the others', async () => {
    const { channels, stream, change, view } = await opened();
    await channels.send(POD_UID, order('b'));
    stream.say({ refused: { reason: 'Invalid', message: 'not here', id: 'gone' } });
    await change();
    expect(view('b')?.refused).toBeUndefined();
  });

  test('shows the newest hello, when it came and when it was asked for', async () => {
    const { channels, stream, change, view } = await opened();
    await channels.send(POD_UID, { hello: { epoch: 1 } });
    const session = { id: SESSION_UID, state: 'open', executions: 2, busy: false, idleMilliseconds: 7 };
    stream.say(hello(null, { session }));
    await change();
    expect(view()).toMatchObject({ hello: { session }, helloAt: T0, askedAt: T0 });
  });

  test('is not put off by the refusal of an older leader, which everyone is told of', async () => {
    const { stream, change, view } = await opened();
    stream.say({ refused: { reason: 'StaleEpoch', message: 'epoch 1 has been seen', id: null } });
    await change();
    expect(view()?.refused).toBeUndefined();
  });

  test('knows by a hello to a newer leader that there is one', async () => {
    const { stream, change, view } = await opened();
    stream.say(hello(null, { epoch: 2 }));
    await change();
    expect(view('any')?.refused?.reason).toBe('StaleEpoch');
  });
});
