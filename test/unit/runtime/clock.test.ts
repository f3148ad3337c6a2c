/** Time, real and fake: timers fire in order, and waiting can be given up. */

import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AbortError, orAborted } from '../../../src/runtime/abort.ts';
import { systemClock, TimeoutError, within } from '../../../src/runtime/clock.ts';
import { FakeClock, settle } from '../../support/clock.ts';

describe('FakeClock', () => {
  test('timers fire in the order of their times, each at its own time, also those set meanwhile', async () => {
    const clock = new FakeClock();
    const fired: [string, number][] = [];
    const note = (name: string) => () => fired.push([name, clock.monotonic()]);
    clock.after(20, note('second'));
    clock.after(10, () => {
      note('first')();
      clock.after(5, note('set meanwhile'));
    });
    clock.after(31, note('too late'));
    await clock.advance(30);
    expect(fired).toEqual([
      ['first', 10],
      ['set meanwhile', 15],
      ['second', 20],
    ]);
    expect(clock.monotonic()).toBe(30);
    expect(clock.now()).toEqual(new Date('2026-01-01T00:00:00.030Z'));
  });

  test('a timer that was disposed of does not fire', async () => {
    const clock = new FakeClock();
    let fired = false;
    clock
      .after(10, () => {
        fired = true;
      })
      [Symbol.dispose]();
    await clock.advance(20);
    expect(fired).toBe(false);
  });
});

describe('sleep', () => {
  test('is given up at once when its signal aborts, with the reason, and leaves no timer behind', async () => {
    const clock = new FakeClock();
    const abort = new AbortController();
    const sleep = clock.sleep(1_000, abort.signal);
    abort.abort('reason');
    await expect(sleep).rejects.toEqual(new AbortError('reason'));
    await expect(sleep).rejects.toMatchObject({ cause: 'reason' });
    expect(clock.pending).toBe(0);
  });

  test('does not begin when its signal has aborted already', async () => {
    await expect(new FakeClock().sleep(1_000, AbortSignal.abort())).rejects.toBeInstanceOf(AbortError);
  });

  test('ends when its time has come', async () => {
    const clock = new FakeClock();
    let isOver = false;
    const sleep = clock.sleep(1_000, new AbortController().signal).then(() => {
      isOver = true;
    });
    await clock.advance(999);
    expect(isOver).toBe(false);
    await clock.advance(1);
    await sleep;
  });
});

describe('within', () => {
  test('gives what the promise gives, and leaves no timer behind', async () => {
    const clock = new FakeClock();
    await expect(within(clock, 10, Promise.resolve('done'))).resolves.toBe('done');
    await expect(within(clock, 10, Promise.reject(new Error('no')))).rejects.toThrow('no');
    await settle();
    expect(clock.pending).toBe(0);
  });

  test('rejects after its time, and ignores what comes of the work later', async () => {
    const clock = new FakeClock();
    const work = Promise.withResolvers<void>();
    const outcome = within(clock, 10, work.promise);
    const expectation = expect(outcome).rejects.toBeInstanceOf(TimeoutError);
    await clock.advance(10);
    await expectation;
    work.reject(new Error('late'));
    await settle();
  });
});

describe('orAborted', () => {
  test('is given up when its signal aborts, and a late error is ignored', async () => {
    const abort = new AbortController();
    const work = Promise.withResolvers<void>();
    const outcome = orAborted(work.promise, abort.signal);
    abort.abort();
    await expect(outcome).rejects.toBeInstanceOf(AbortError);
    work.reject(new Error('late'));
    await settle();
  });

  test('is given up at once when its signal has aborted already', async () => {
    await expect(orAborted(new Promise(() => undefined), AbortSignal.abort())).rejects.toBeInstanceOf(AbortError);
  });

  test('gives what the promise gives, and leaves no listener behind', async () => {
    const { signal } = new AbortController();
    await expect(orAborted(Promise.resolve('done'), signal)).resolves.toBe('done');
    await expect(orAborted(Promise.reject(new Error('no')), signal)).rejects.toThrow('no');
    await settle();
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('systemClock', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('waits longer than setTimeout can', () => {
    const days = 24 * 3600 * 1000;
    const fired: string[] = [];
    systemClock.after(60 * days, () => fired.push('after'));
    vi.advanceTimersByTime(60 * days - 1);
    expect(fired).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(fired).toEqual(['after']);
  });

  test('a long timer can be disposed of after it was rearmed', () => {
    const days = 24 * 3600 * 1000;
    const fired: string[] = [];
    const timer = systemClock.after(60 * days, () => fired.push('after'));
    vi.advanceTimersByTime(50 * days);
    timer[Symbol.dispose]();
    vi.advanceTimersByTime(50 * days);
    expect(fired).toEqual([]);
  });
});
