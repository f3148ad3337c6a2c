/** The shortest form of the suite: one instant of each kind. */

import { expect, test } from 'vitest';
import type { CodeRun } from '../../src/api/coderun.ts';
import { endState, expectNothingLeft, expectOnce, killedAt, LIVES, poolIsFull, undisturbed } from './support.ts';

test.each(['cold', 'warm'] as const)(
  'a %s run survives its controller, killed around its claim, its order and its next write',
  async (life) => {
    const { end, writes } = await undisturbed(life);
    const runs: CodeRun[] = [];
    const order = writes.lastIndexOf('STDIN pods/attach');
    for (const [index, when] of [
      [order - 1, 'before'],
      [order - 1, 'after'],
      [order, 'after'],
      [order + 1, 'before'],
    ] as const) {
      await poolIsFull();
      runs.push(await killedAt(life, index, when));
    }
    expect(runs.map(endState)).toEqual(runs.map(() => end));
    await expectOnce(LIVES[life], runs);
    await expectNothingLeft(runs);
  },
);
