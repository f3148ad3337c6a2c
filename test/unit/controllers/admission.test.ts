import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CodeRun } from '../../../src/api/coderun.ts';
import type { ReplSession } from '../../../src/api/replsession.ts';
import { Admission, sessionAt, sessionPlace } from '../../../src/controllers/admission.ts';
import { aClaimedRun, aClass, aReadySession } from '../../support/builders.ts';

function setUp({ maxStarting = 2, runs = [] as CodeRun[], sessions = [] as ReplSession[] } = {}) {
  const woken: string[] = [];
  const there = { runs: () => runs, sessions: () => sessions, defaultClass: () => 'default' };
  return { woken, admission: new Admission({ maxStarting, ...there, wake: (key) => void woken.push(key) }) };
}

const cold = (admission: Admission, ...keys: string[]) => keys.map((key) => admission.admit(key, aClass(), false));

test('no more runs are starting at once than may', () => {
  const { admission } = setUp();
  expect(cold(admission, 'a/1', 'a/2', 'a/3')).toEqual([true, true, false]);
  expect(admission.queued).toBe(1);
});

test('a run that was admitted stays so however often it is asked', () => {
  const { admission } = setUp({ maxStarting: 1 });
  expect(cold(admission, 'a/1', 'a/1', 'a/1')).toEqual([true, true, true]);
});

test('a run that runs makes room for one that starts', () => {
  const { admission, woken } = setUp({ maxStarting: 1 });
  cold(admission, 'a/1', 'a/2');
  admission.follow('a/1', 'Running');
  expect(woken).toEqual(['a/2']);
  expect(cold(admission, 'a/2')).toEqual([true]);
  expect(admission.queued).toBe(0);
});

test.each(['Completed', 'Timeout', undefined] as const)('a run that ends as %s makes room', (reason) => {
  const { admission, woken } = setUp({ maxStarting: 1 });
  cold(admission, 'a/1', 'a/2');
  admission.follow('a/1', reason);
  expect(woken).toEqual(['a/2']);
});

test('a namespace with many runs keeps no other waiting', () => {
  const { admission, woken } = setUp({ maxStarting: 1 });
  cold(admission, 'a/1', 'a/2', 'a/3', 'b/1');
  admission.follow('a/1', 'Running');
  expect(woken).toEqual(['a/2', 'b/1']);
});

test('a sandbox that waits needs no place among those that start', () => {
  const { admission } = setUp({ maxStarting: 1 });
  cold(admission, 'a/1');
  expect(admission.admit('a/2', aClass(), true)).toBe(true);
});

test('no more runs of a namespace hold a sandbox than its class allows, warm ones included', () => {
  const { admission, woken } = setUp();
  const limited = aClass({ maxConcurrentPerNamespace: 1 });
  expect(admission.admit('a/1', limited, true)).toBe(true);
  expect(admission.hasRoom('a/2', limited)).toBe(false);
  expect(admission.admit('a/2', limited, true)).toBe(false);
  expect(admission.admit('b/1', limited, true)).toBe(true);
  admission.follow('a/1', 'Running');
  expect(admission.admit('a/2', limited, true)).toBe(false);
  admission.follow('a/1', 'Completed');
  expect(woken).toContain('a/2');
  expect(admission.admit('a/2', limited, true)).toBe(true);
});

test('runs that a leader before us has started hold their places', () => {
  const run = aClaimedRun();
  const { admission } = setUp({ runs: [run] });
  expect(admission.hasRoom('tenant/other', aClass({ maxConcurrentPerNamespace: 1 }))).toBe(false);
});

test('sessions count with runs, and each has a place of its own though their names are the same', () => {
  const limited = aClass({ maxConcurrentPerNamespace: 2 });
  const { admission, woken } = setUp({ maxStarting: 1 });
  const place = sessionPlace('a/1');
  expect(admission.admit(place, limited, false)).toBe(true);
  expect(admission.admit('a/1', limited, false)).toBe(false);
  admission.followSession('a/1', 'Ready');
  expect(woken).toEqual(['a/1']);
  expect(admission.admit('a/1', limited, false)).toBe(true);
  expect(admission.hasRoom('a/2', limited)).toBe(false);
  admission.follow('a/1', 'Completed');
  expect(admission.hasRoom('a/2', limited)).toBe(true);
  admission.followSession('a/1', 'IdleTimeout');
  expect(admission.admit(sessionPlace('a/3'), limited, false)).toBe(true);
});

test.each(['IdleTimeout', 'OutOfMemory', undefined] as const)('a session that ends as %s makes room', (reason) => {
  const { admission, woken } = setUp({ maxStarting: 1 });
  cold(admission, sessionPlace('a/1'), sessionPlace('a/2'));
  admission.followSession('a/1', reason);
  expect(woken.map(sessionAt)).toEqual(['a/2']);
});

test('sessions that a leader before us has started hold their places, and runs in them none', () => {
  const run = aClaimedRun({ sessionRef: { name: 'notebook' } });
  const { admission } = setUp({ runs: [run], sessions: [aReadySession()] });
  expect(admission.hasRoom('tenant/other', aClass({ maxConcurrentPerNamespace: 1 }))).toBe(false);
  expect(admission.hasRoom('tenant/other', aClass({ maxConcurrentPerNamespace: 2 }))).toBe(true);
});

test('the place of a session leads back to it, and that of a run to none', () => {
  expect([sessionAt(sessionPlace('a/b')), sessionAt('a/b')]).toEqual(['a/b', undefined]);
});

test('a run that leaves the queue is woken no more', () => {
  const { admission, woken } = setUp({ maxStarting: 1 });
  cold(admission, 'a/1', 'a/2');
  admission.follow('a/2', 'Cancelled');
  admission.follow('a/1', 'Running');
  expect(woken).toEqual([]);
});

test('as many of a namespace are woken as sandboxes wait there', () => {
  const { admission, woken } = setUp({ maxStarting: 1 });
  cold(admission, 'a/1', 'a/2', 'a/3', 'a/4', 'b/1');
  admission.wakeFor('a', 2);
  expect(woken).toEqual(['a/2', 'a/3']);
});

test('whatever comes and goes, all who wait get a place in the end', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.stringMatching(/^[abc]\/[0-9]{1,3}$/), { minLength: 1 }),
      fc.integer({ min: 1, max: 3 }),
      (keys, maxStarting) => {
        const { admission } = setUp({ maxStarting });
        const left = new Set(keys);
        for (let turn = 0; turn <= keys.length && left.size > 0; turn++) {
          const admitted = [...left].filter((key) => admission.admit(key, aClass(), false));
          expect(admitted.length).toBeLessThanOrEqual(maxStarting);
          for (const key of admitted) {
            admission.follow(key, 'Completed');
            left.delete(key);
          }
        }
        expect(left.size).toBe(0);
        expect(admission.queued).toBe(0);
      },
    ),
  );
});
