/** The work queue: each key once, never twice at the same time, none lost, lanes in turn. */

import { describe, expect, test } from 'vitest';
import { splitKey } from '../../../src/runtime/keys.ts';
import { WorkQueue, type WorkQueueOptions } from '../../../src/runtime/workqueue.ts';
import { FakeClock, settle } from '../../support/clock.ts';
import { noJitter } from './support.ts';

function aQueue(options: Partial<WorkQueueOptions> = {}) {
  const clock = new FakeClock();
  return { clock, queue: new WorkQueue({ clock, random: noJitter, ...options }) };
}

/** What is handed out without anyone waiting longer: each key is done at once. */
async function takeAll(queue: WorkQueue): Promise<string[]> {
  const taken: string[] = [];
  while (queue.depth > 0) {
    const key = await queue.get();
    if (key === undefined) break;
    taken.push(key);
    queue.done(key);
  }
  return taken;
}

/** Whether a promise is settled, and with what. */
async function peek<T>(promise: Promise<T>): Promise<{ value: T } | 'pending'> {
  const pending = settle().then(() => 'pending' as const);
  return Promise.race([promise.then((value) => ({ value })), pending]);
}

describe('adding', () => {
  test('a key added many times before it is taken is taken once', async () => {
    const { queue } = aQueue();
    for (let times = 0; times < 3; times++) queue.add('a');
    expect(await takeAll(queue)).toEqual(['a']);
  });

  test('keys are taken in the order in which they were added', async () => {
    const { queue } = aQueue();
    for (const key of ['a', 'b', 'c', 'a']) queue.add(key);
    expect(await takeAll(queue)).toEqual(['a', 'b', 'c']);
  });

  test('a key added while it is in work is taken once more, after that work is done', async () => {
    const { queue } = aQueue();
    queue.add('a');
    expect(await queue.get()).toBe('a');
    queue.add('a');
    queue.add('a');
    const second = queue.get();
    expect(await peek(second)).toBe('pending');
    queue.done('a');
    expect(await peek(second)).toEqual({ value: 'a' });
    queue.done('a');
    expect(await peek(queue.get())).toBe('pending');
  });

  test('whoever waits gets the next key as soon as it is added, in the order of waiting', async () => {
    const { queue } = aQueue();
    const [first, second] = [queue.get(), queue.get()];
    queue.add('a');
    expect(await peek(first)).toEqual({ value: 'a' });
    expect(await peek(second)).toBe('pending');
    queue.add('b');
    expect(await peek(second)).toEqual({ value: 'b' });
  });

  test('lanes are taken in turn, so that one with many keys cannot starve another', async () => {
    const { queue } = aQueue({ laneOf: (key) => splitKey(key).namespace ?? '' });
    for (const key of ['busy/1', 'busy/2', 'busy/3', 'quiet/1']) queue.add(key);
    expect(await takeAll(queue)).toEqual(['busy/1', 'quiet/1', 'busy/2', 'busy/3']);
  });

  test('done for a key that is not in work is an error', () => {
    expect(() => aQueue().queue.done('a')).toThrow('done without get: a');
  });
});

describe('delays', () => {
  test('a delayed key is taken when its time has come, not before', async () => {
    const { clock, queue } = aQueue();
    queue.addAfter('a', 100);
    await clock.advance(99);
    expect(await takeAll(queue)).toEqual([]);
    await clock.advance(1);
    expect(await takeAll(queue)).toEqual(['a']);
  });

  test.each([
    ['the earlier first', 100, 200],
    ['the later first', 200, 100],
  ])('of two delays the earlier wins, %s, and the key is taken once', async (_order, one, other) => {
    const { clock, queue } = aQueue();
    queue.addAfter('a', one);
    queue.addAfter('a', other);
    await clock.advance(99);
    expect(await takeAll(queue)).toEqual([]);
    await clock.advance(1);
    expect(await takeAll(queue)).toEqual(['a']);
    await clock.advance(1_000);
    expect(await takeAll(queue)).toEqual([]);
  });

  test('a key that is added at once is not taken again for its earlier delay', async () => {
    const { clock, queue } = aQueue();
    queue.addAfter('a', 100);
    queue.add('a');
    expect(await takeAll(queue)).toEqual(['a']);
    await clock.advance(1_000);
    expect(await takeAll(queue)).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  test('a delay for a key that is queued already changes nothing', async () => {
    const { clock, queue } = aQueue();
    queue.add('a');
    queue.addAfter('a', 100);
    expect(await takeAll(queue)).toEqual(['a']);
    expect(clock.pending).toBe(0);
  });

  test.each([0, -5])('a delay of %d ms is none', async (milliseconds) => {
    const { queue } = aQueue();
    queue.addAfter('a', milliseconds);
    expect(await takeAll(queue)).toEqual(['a']);
  });

  test('a delay that ends while its key is in work lets it run once more', async () => {
    const { clock, queue } = aQueue();
    queue.add('a');
    await queue.get();
    queue.addAfter('a', 100);
    await clock.advance(100);
    queue.done('a');
    expect(await takeAll(queue)).toEqual(['a']);
  });

  test('retries wait twice as long each time, up to a maximum, until the key is forgotten', async () => {
    const { clock, queue } = aQueue({ backoff: { baseMilliseconds: 10, maximumMilliseconds: 40, jitter: 0 } });
    const waits: number[] = [];
    const measure = async (): Promise<void> => {
      const since = clock.monotonic();
      queue.addRateLimited('a');
      while (queue.depth === 0) await clock.advance(5);
      waits.push(clock.monotonic() - since);
      await takeAll(queue);
    };
    for (let times = 0; times < 4; times++) await measure();
    queue.forget('a');
    await measure();
    expect(waits).toEqual([10, 20, 40, 40, 10]);
  });
});

describe('shutdown', () => {
  test('without draining, queued and delayed keys are dropped, and whoever waits is let go', async () => {
    const { clock, queue } = aQueue();
    const waiting = queue.get();
    queue.add('taken');
    await waiting;
    const next = queue.get();
    queue.addAfter('delayed', 100);
    const isIdle = queue.shutDown({ drain: false });
    expect(await peek(next)).toEqual({ value: undefined });
    expect(await peek(queue.get())).toEqual({ value: undefined });
    expect(clock.pending).toBe(0);
    expect(await peek(isIdle)).toBe('pending');
    queue.done('taken');
    expect(await peek(isIdle)).toEqual({ value: undefined });
  });

  test('without draining, a key in work that was added again is not taken again', async () => {
    const { queue } = aQueue();
    queue.add('a');
    queue.add('b');
    await queue.get();
    queue.add('a');
    const isIdle = queue.shutDown({ drain: false });
    queue.done('a');
    expect(await peek(queue.get())).toEqual({ value: undefined });
    expect(await peek(isIdle)).toEqual({ value: undefined });
  });

  test('with draining, what is queued is still handed out, and what is in work runs once more if it was added', async () => {
    const { queue } = aQueue();
    for (const key of ['a', 'b']) queue.add(key);
    await queue.get();
    queue.add('a');
    const isIdle = queue.shutDown({ drain: true });
    expect(await queue.get()).toBe('b');
    queue.done('b');
    queue.done('a');
    expect(await peek(isIdle)).toBe('pending');
    expect(await queue.get()).toBe('a');
    queue.done('a');
    expect(await peek(isIdle)).toEqual({ value: undefined });
    expect(await peek(queue.get())).toEqual({ value: undefined });
  });

  test('a drain can be cut short', async () => {
    const { queue } = aQueue();
    queue.add('a');
    const isIdle = queue.shutDown({ drain: true });
    expect(await peek(isIdle)).toBe('pending');
    void queue.shutDown({ drain: false });
    expect(await peek(isIdle)).toEqual({ value: undefined });
  });

  test('nothing can be added afterwards', async () => {
    const { clock, queue } = aQueue();
    await queue.shutDown({ drain: true });
    queue.add('a');
    queue.addAfter('b', 10);
    queue.addRateLimited('c');
    await clock.advance(1_000);
    expect(queue.depth).toBe(0);
  });
});

describe('metrics', () => {
  test('count keys when they are queued, and time the waiting and the work', async () => {
    const told: [string, number?][] = [];
    const { clock, queue } = aQueue({
      metrics: {
        added: () => told.push(['added']),
        retried: () => told.push(['retried']),
        queueDuration: (seconds) => told.push(['queue', seconds]),
        workDuration: (seconds) => told.push(['work', seconds]),
      },
    });
    queue.add('a');
    queue.add('a');
    await clock.advance(2_000);
    await queue.get();
    queue.add('a');
    await clock.advance(3_000);
    expect([queue.depth, queue.unfinishedSeconds, queue.longestRunningSeconds]).toEqual([1, 3, 3]);
    queue.add('b');
    queue.add('c');
    await queue.get();
    await clock.advance(1_000);
    expect([queue.processing, queue.unfinishedSeconds, queue.longestRunningSeconds]).toEqual([['a', 'b'], 5, 4]);
    queue.done('a');
    queue.addRateLimited('b');
    expect(told).toEqual([
      ['added'],
      ['queue', 2],
      ['added'],
      ['added'],
      ['added'],
      ['queue', 0],
      ['work', 4],
      ['retried'],
    ]);
  });
});
