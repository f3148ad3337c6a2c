import { describe, expect, test } from 'vitest';
import type { CodeRun } from '../../src/api/coderun.ts';
import { type Fault, kindOf } from '../support/fault-rules.ts';
import {
  aboutRun,
  begin,
  controller,
  endState,
  expectNothingLeft,
  expectOnce,
  finished,
  LIVES,
  newName,
  poolIsFull,
  undisturbed,
} from './support.ts';

const { proxy } = controller;

/** More often than the client tries by itself. */
const OFTEN = 6;

interface Faulty {
  fault: Fault;
  times: number;
  /** Writes that can't meet it. */
  not?: RegExp;
}

const FAULTS: Record<string, Faulty> = {
  // To a deletion it says that another object has the name by now, which ends the matter.
  'a conflict': { fault: { type: 'answer', status: 409, reason: 'Conflict' }, times: 1, not: /^DELETE/ },
  'too many requests, with a time to wait': {
    fault: { type: 'answer', status: 429, reason: 'TooManyRequests', retryAfterSeconds: 1 },
    times: 2,
  },
  'too many requests': { fault: { type: 'answer', status: 429, reason: 'TooManyRequests' }, times: OFTEN },
  'an internal error': { fault: { type: 'answer', status: 500, reason: 'InternalError' }, times: OFTEN },
  'an unavailable server': { fault: { type: 'answer', status: 503, reason: 'ServiceUnavailable' }, times: OFTEN },
  'a connection cut on the way there': { fault: { type: 'cut', when: 'before' }, times: 2 },
  'a connection cut on the way back': { fault: { type: 'cut', when: 'after' }, times: 2 },
};

/** A run of which one kind of write meets a fault. */
async function harmed(life: keyof typeof LIVES, kind: string, { fault, times }: Faulty) {
  const name = newName();
  const isAboutRun = aboutRun(name);
  proxy.add({ match: (message) => isAboutRun(message) && kindOf(message) === kind, times, fault });
  return finished(LIVES[life], await begin(LIVES[life], name));
}

describe.each(Object.keys(LIVES) as (keyof typeof LIVES)[])('a %s run', (life) => {
  test.each(Object.entries(FAULTS))('ends as ever where its writes meet %s', async (_name, faulty) => {
    const { end, writes } = await undisturbed(life);
    await poolIsFull();
    const runs: { kind: string; run: CodeRun }[] = [];
    for (const kind of new Set(writes.filter((write) => !faulty.not?.test(write))))
      runs.push({ kind, run: await harmed(life, kind, faulty) });
    expect(runs.map(({ kind, run }) => ({ kind, ...endState(run) }))).toEqual(
      runs.map(({ kind }) => ({ kind, ...end })),
    );
    await expectOnce(
      LIVES[life],
      runs.map(({ run }) => run),
    );
    await expectNothingLeft(runs.map(({ run }) => run));
    proxy.heal();
  });
});
