import { describe, expect, test } from 'vitest';
import { type ServerSentEvent, sseText, wantsEvents, withHeartbeats } from '../../../src/gateway/sse.ts';
import { FakeClock, settle } from '../../support/clock.ts';

test('an event is one line of JSON, whatever the text in it', () => {
  const hostile = 'a\n\ndata: {"forged":true}\r\nevent: x\u2028';
  const text = sseText({ id: '7', event: 'stdout', data: { text: hostile } });
  expect(text.split('\n')).toEqual(['id: 7', 'event: stdout', expect.stringMatching(/^data: /), '', '']);
  expect(JSON.parse(text.split('\n')[2]?.slice('data: '.length) ?? '')).toEqual({ text: hostile });
});

test.each([
  [undefined, false],
  ['*/*', false],
  ['application/json', false],
  ['text/event-stream', true],
  ['application/json, Text/Event-Stream;q=0.9', true],
  ['text/event-streams', false],
])('a client that accepts %s wants events: %s', (accept, wanted) => {
  expect(wantsEvents(accept)).toBe(wanted);
});

describe('heartbeats', () => {
  const event = (name: string): ServerSentEvent => ({ event: name, data: {} });

  async function reading(source: AsyncIterable<ServerSentEvent>, clock: FakeClock) {
    const read: string[] = [];
    const done = (async () => {
      for await (const text of withHeartbeats(source, clock, 15_000)) read.push(text);
    })();
    done.catch(() => undefined);
    await settle();
    return { read, done };
  }

  test('come while nothing else does, and events come all the same', async () => {
    const clock = new FakeClock();
    const { promise, resolve } = Promise.withResolvers<void>();
    async function* source() {
      yield event('queued');
      await promise;
      yield event('finished');
    }
    const { read, done } = await reading(source(), clock);
    await clock.advance(31_000);
    resolve();
    await done;
    const beat = expect.stringMatching(/^: .*\n\n$/);
    expect(read).toEqual([expect.stringContaining('queued'), beat, beat, expect.stringContaining('finished')]);
    expect(clock.pending).toBe(0);
  });

  test('end with a source that fails', async () => {
    const clock = new FakeClock();
    // biome-ignore lint/correctness/useYield: it fails before the first event
    async function* source(): AsyncGenerator<ServerSentEvent> {
      throw new Error('gone');
    }
    await expect((await reading(source(), clock)).done).rejects.toThrow('gone');
    expect(clock.pending).toBe(0);
  });

  test('let go of a source that is left early, once it has what it waits for', async () => {
    const clock = new FakeClock();
    const { promise, resolve } = Promise.withResolvers<void>();
    let released = false;
    async function* source() {
      try {
        yield event('queued');
        await promise;
        yield event('late');
      } finally {
        released = true;
      }
    }
    const stream = withHeartbeats(source(), clock, 15_000);
    await stream.next();
    const beat = stream.next();
    await clock.advance(15_000);
    expect((await beat).value).toMatch(/^: /);
    await stream.return(undefined);
    resolve();
    await settle();
    expect(released).toBe(true);
  });
});
