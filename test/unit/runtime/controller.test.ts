/** The controller: what each outcome of a reconcile leads to, when it begins and how it stops. */

import { afterEach, describe, expect, test } from 'vitest';
import {
  Controller,
  type ControllerOptions,
  changesOf,
  type Reconciler,
  TerminalError,
} from '../../../src/runtime/controller.ts';
import { keyOf } from '../../../src/runtime/keys.ts';
import { LeadershipLostError } from '../../../src/runtime/lease-term.ts';
import { Store } from '../../../src/runtime/store.ts';
import { WorkQueue } from '../../../src/runtime/workqueue.ts';
import { FakeClock, settle } from '../../support/clock.ts';
import { aThing, noJitter, RecordingLogger, type Thing } from './support.ts';

class Conflict extends Error {}

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** A controller whose reconciles are written down with their times. */
function start(reconcile: Reconciler, options: Partial<ControllerOptions> = {}) {
  const clock = new FakeClock();
  const logger = new RecordingLogger();
  const told: [string, unknown?][] = [];
  const calls: [string, number][] = [];
  const queue = new WorkQueue({
    clock,
    random: noJitter,
    backoff: { baseMilliseconds: 5, maximumMilliseconds: 60_000, jitter: 0 },
  });
  const abort = new AbortController();
  const controller = new Controller({
    name: 'things',
    queue,
    sources: [],
    workers: 2,
    isConflict: (error) => error instanceof Conflict,
    clock,
    logger,
    metrics: {
      maxConcurrent: (workers) => told.push(['maxConcurrent', workers]),
      active: (workers) => told.push(['active', workers]),
      reconciled: (result, seconds) => told.push([result, seconds]),
      failed: () => told.push(['failed']),
      failedTerminally: () => told.push(['failedTerminally']),
    },
    ...options,
    reconcile: (key, signal) => {
      calls.push([key, clock.monotonic()]);
      return reconcile(key, signal);
    },
  });
  let isOver = false;
  const ended = controller.run(abort.signal).finally(() => {
    isOver = true;
  });
  const stop = (reason?: unknown): void => abort.abort(reason);
  stops.push(async () => {
    stop();
    await clock.advance(60_000);
  });
  return { clock, logger, queue, told, calls, ended, stop, isOver: () => isOver };
}

function aStore(...things: Thing[]): Store<Thing> {
  const store = new Store<Thing>({ logger: new RecordingLogger() });
  if (things.length > 0) store.replace(things, '50', { consistent: false });
  return store;
}

const done: Reconciler = async () => ({});

describe('what a reconcile leads to', () => {
  test('done: it waits for the next change', async () => {
    const { clock, queue, calls, told } = start(done);
    queue.add('a');
    await clock.advance(3_600_000);
    expect(calls).toEqual([['a', 0]]);
    expect(told).toEqual([
      ['maxConcurrent', 2],
      ['active', 1],
      ['active', 0],
      ['success', 0],
    ]);
  });

  test('after: it is called again then, and its failures are forgotten', async () => {
    const outcomes = ['fail', 'fail', 'wait', 'fail', 'done'];
    const { clock, queue, calls } = start(async () => {
      const outcome = outcomes.shift();
      if (outcome === 'fail') throw new Error('no');
      return outcome === 'wait' ? { after: 100 } : {};
    });
    queue.add('a');
    await clock.advance(3_600_000);
    expect(calls.map(([, at]) => at)).toEqual([0, 5, 15, 115, 120]);
  });

  test.each([
    ['an error', () => Promise.reject(new Error('no'))],
    ['something that is no Error', () => Promise.reject('no')],
    [
      'an error before the first await',
      () => {
        throw new Error('no');
      },
    ],
    ['a time that is none', () => Promise.resolve({ after: Number.NaN })],
    ['a time that never comes', () => Promise.resolve({ after: Number.POSITIVE_INFINITY })],
  ] as [string, Reconciler][])(
    '%s: it is logged, counted and tried again with growing delays',
    async (_what, reconcile) => {
      const { clock, queue, calls, told, logger } = start(reconcile);
      queue.add('a');
      await clock.advance(100);
      expect(calls.map(([, at]) => at)).toEqual([0, 5, 15, 35, 75]);
      expect(told.filter(([what]) => what === 'failed' || what === 'error')).toHaveLength(10);
      expect(logger.messages('error')).toHaveLength(5);
    },
  );

  test('a conflict: it is tried again quietly', async () => {
    const outcomes = [new Conflict(), new Conflict()];
    const { clock, queue, calls, told, logger } = start(async () => {
      const conflict = outcomes.shift();
      if (conflict) throw conflict;
      return {};
    });
    queue.add('a');
    await clock.advance(100);
    expect(calls.map(([, at]) => at)).toEqual([0, 5, 15]);
    expect(told.map(([what]) => what).filter((what) => what !== 'active')).toEqual([
      'maxConcurrent',
      'requeue',
      'requeue',
      'success',
    ]);
    expect(logger.messages('error')).toEqual([]);
  });

  test('a terminal error: it is logged and counted, and not tried again before the next change', async () => {
    const { clock, queue, calls, told, logger } = start(() => Promise.reject(new TerminalError('never')));
    queue.add('a');
    await clock.advance(3_600_000);
    expect(calls).toHaveLength(1);
    expect(told.map(([what]) => what)).toEqual(expect.arrayContaining(['failed', 'failedTerminally', 'error']));
    expect(logger.messages('error')).toEqual(['reconcile failed for good']);
    queue.add('a');
    await settle();
    expect(calls).toHaveLength(2);
  });

  test('a change while it runs: it runs once more, and a time it asked for before that change is not kept', async () => {
    const times = [{ after: 100 }, {}];
    const { clock, queue, calls } = start(async () => {
      await clock.sleep(10);
      return times.shift() ?? {};
    });
    queue.add('a');
    await clock.advance(5);
    queue.add('a');
    await clock.advance(3_600_000);
    expect(calls.map(([, at]) => at)).toEqual([0, 10]);
  });
});

test('no more run at once than there are workers, and their number is told', async () => {
  const { clock, queue, calls, told } = start(() => clock.sleep(1_000).then(() => ({})));
  for (const key of ['a', 'b', 'c']) queue.add(key);
  await clock.advance(2_500);
  expect(calls).toEqual([
    ['a', 0],
    ['b', 0],
    ['c', 1_000],
  ]);
  expect(told.filter(([what]) => what === 'active').map(([, count]) => count)).toEqual([1, 2, 1, 2, 1, 0]);
  expect(told.filter(([what]) => what === 'success')).toEqual([
    ['success', 1],
    ['success', 1],
    ['success', 1],
  ]);
});

describe('sources', () => {
  test('bring what there is already, what changes, and what their keys are made of', async () => {
    const store = aStore(aThing('a', 1), aThing('b', 2));
    const owners = aStore(aThing('pod', 3, { value: 'default/owner' }));
    const sources = [
      changesOf(store, ({ object }) => [keyOf(object)]),
      changesOf(owners, ({ object }) => [object.value]),
    ];
    const { calls } = start(done, { sources });
    await settle();
    store.apply({ type: 'DELETED', object: aThing('a', 60) });
    await settle();
    expect(calls.map(([key]) => key)).toEqual(['default/a', 'default/b', 'default/owner', 'default/a']);
  });

  test('and caches are waited for before anything is reconciled', async () => {
    const [store, cache] = [aStore(), aStore()];
    const { calls } = start(done, { sources: [changesOf(store, ({ object }) => [keyOf(object)])], caches: [cache] });
    store.replace([aThing('a', 1)], '50', { consistent: false });
    await settle();
    expect(calls).toEqual([]);
    cache.replace([], '50', { consistent: false });
    await settle();
    expect(calls.map(([key]) => key)).toEqual(['default/a']);
  });

  test('are let go after the stop', async () => {
    const store = aStore(aThing('a', 1));
    let told = 0;
    const source = changesOf(store, ({ object }) => {
      told += 1;
      return [keyOf(object)];
    });
    const { stop, ended } = start(done, { sources: [source] });
    await settle();
    stop();
    await ended;
    store.apply({ type: 'MODIFIED', object: aThing('a', 60) });
    expect(told).toBe(1);
  });
});

describe('stopping', () => {
  test('before everything is synced ends it at once', async () => {
    const { stop, isOver } = start(done, { caches: [aStore()] });
    stop();
    await settle();
    expect(isOver()).toBe(true);
  });

  test('lets what runs come to its end, begins nothing new, and leaves no timer behind', async () => {
    let aborted = false;
    const { clock, queue, stop, calls, isOver } = start(async (_key, signal) => {
      await clock.sleep(10_000);
      aborted = signal.aborted;
      return { after: 5 };
    });
    for (const key of ['a', 'b', 'c']) queue.add(key);
    await settle();
    queue.add('a');
    stop();
    await clock.advance(9_999);
    expect(isOver()).toBe(false);
    await clock.advance(1);
    expect([isOver(), aborted, calls.length, clock.pending]).toEqual([true, false, 2, 0]);
  });

  test('aborts what still runs after the time for it, which is then no failure', async () => {
    const { clock, queue, stop, told, logger, isOver } = start(
      (_key, signal) => clock.sleep(3_600_000, signal).then(() => ({})),
      { drainMilliseconds: 5_000 },
    );
    queue.add('a');
    await settle();
    stop();
    await clock.advance(4_999);
    expect(isOver()).toBe(false);
    await clock.advance(1);
    expect(isOver()).toBe(true);
    expect(told.map(([what]) => what)).not.toContain('failed');
    expect(logger.messages('error')).toEqual([]);
  });

  test('does not wait for ever for a reconcile that heeds nothing, and says which it is', async () => {
    const { clock, queue, stop, logger, isOver } = start(() => new Promise(() => undefined), {
      drainMilliseconds: 5_000,
    });
    queue.add('a');
    await settle();
    stop();
    await clock.advance(6_000);
    expect(isOver()).toBe(true);
    expect(logger.lines).toEqual([
      {
        level: 'error',
        fields: { controller: 'things', keys: ['a'] },
        message: 'stopped with reconciles still running',
      },
    ]);
  });

  test('for lost leadership aborts what runs at once', async () => {
    const { clock, queue, stop, isOver } = start((_key, signal) => clock.sleep(3_600_000, signal).then(() => ({})));
    queue.add('a');
    await settle();
    stop(new LeadershipLostError('lost'));
    await clock.advance(0);
    expect(isOver()).toBe(true);
  });

  test('comes by itself, with the error, when a worker breaks', async () => {
    const { queue, ended } = start(done, {
      metrics: {
        maxConcurrent: () => undefined,
        active: () => {
          throw new Error('broken hook');
        },
        reconciled: () => undefined,
        failed: () => undefined,
        failedTerminally: () => undefined,
      },
    });
    const expectation = expect(ended).rejects.toThrow('broken hook');
    queue.add('a');
    await expectation;
    expect(await queue.get()).toBeUndefined();
  });
});
