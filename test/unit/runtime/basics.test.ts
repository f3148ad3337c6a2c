/** The small parts: keys, resource versions, backoff, lanes, the watchdog. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backoffDelay, Failures } from '../../../src/runtime/backoff.ts';
import { keyOf, splitKey } from '../../../src/runtime/keys.ts';
import { Fifo, Lanes } from '../../../src/runtime/lanes.ts';
import { compareResourceVersions, isNewer } from '../../../src/runtime/resource-version.ts';
import { Watchdog } from '../../../src/runtime/watchdog.ts';
import { FakeClock } from '../../support/clock.ts';
import { noJitter } from './support.ts';

describe('keys', () => {
  test.each([
    ['default', 'a', 'default/a'],
    [undefined, 'a', 'a'],
  ])('an object in namespace %s named %s has the key %s, and back', (namespace, name, key) => {
    expect(
      keyOf({
        metadata: { ...(namespace && { namespace }), name, uid: '', resourceVersion: '', creationTimestamp: '' },
      }),
    ).toBe(key);
    expect(splitKey(key)).toEqual({ namespace, name });
  });
});

describe('resource versions', () => {
  test('are ordered as numbers of any size', () => {
    const version = fc.bigInt({ min: 0n, max: 2n ** 80n });
    fc.assert(
      fc.property(version, version, (a, b) => {
        expect(Math.sign(compareResourceVersions(String(a), String(b)))).toBe(a < b ? -1 : a > b ? 1 : 0);
      }),
    );
  });

  test.each([
    ['10', '9', true],
    ['9', '10', false],
    ['9', '9', false],
    ['9007199254740993', '9007199254740992', true],
  ])('%s is newer than %s: %s', (a, b, want) => {
    expect(isNewer(a, b)).toBe(want);
  });
});

describe('backoff', () => {
  const backoff = { baseMilliseconds: 100, maximumMilliseconds: 1_000, jitter: 0.5 };

  test.each([
    [1, 100],
    [2, 200],
    [4, 800],
    [5, 1_000],
    [5_000, 1_000],
  ])('after %d failures the delay is %d ms, and half as much more with jitter', (failures, milliseconds) => {
    expect(backoffDelay(backoff, failures, noJitter)).toBe(milliseconds);
    expect(backoffDelay(backoff, failures, () => 1)).toBe(milliseconds * 1.5);
  });

  test('failures are counted per key until they are forgotten', () => {
    const failures = new Failures(backoff, noJitter);
    expect([failures.next('a'), failures.next('a'), failures.next('b')]).toEqual([100, 200, 100]);
    failures.forget('a');
    expect([failures.count('a'), failures.next('a'), failures.count('b')]).toEqual([0, 100, 1]);
  });
});

describe('lanes', () => {
  test('take turns, and each is first in, first out', () => {
    const lanes = new Lanes((key) => splitKey(key).namespace ?? '');
    for (const key of ['a/1', 'a/2', 'a/3', 'b/1', 'c/1', 'b/2']) lanes.push(key);
    const taken = Array.from({ length: 7 }, () => lanes.shift());
    expect(taken).toEqual(['a/1', 'b/1', 'c/1', 'a/2', 'b/2', 'a/3', undefined]);
    expect(lanes.isEmpty).toBe(true);
  });

  test('a Fifo gives back what was put in, in order, however the two are mixed', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.integer())), (operations) => {
        const fifo = new Fifo<number>();
        const model: number[] = [];
        for (const item of operations) {
          if (item === null) expect(fifo.shift()).toBe(model.shift());
          else {
            fifo.push(item);
            model.push(item);
          }
          expect(fifo.size).toBe(model.length);
        }
      }),
    );
  });
});

describe('watchdog', () => {
  test('aborts after silence only, and says so', async () => {
    const clock = new FakeClock();
    using watchdog = new Watchdog(clock, 100, new AbortController().signal);
    await clock.advance(99);
    watchdog.touch();
    await clock.advance(99);
    expect(watchdog.signal.aborted).toBe(false);
    await clock.advance(1);
    expect([watchdog.signal.aborted, watchdog.hasBarked]).toEqual([true, true]);
  });

  test('aborts with its parent, and leaves no timer behind', () => {
    const clock = new FakeClock();
    const parent = new AbortController();
    const watchdog = new Watchdog(clock, 100, parent.signal);
    parent.abort('why');
    expect([watchdog.signal.reason, watchdog.hasBarked]).toEqual(['why', false]);
    watchdog[Symbol.dispose]();
    expect(clock.pending).toBe(0);
  });
});
