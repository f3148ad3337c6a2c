import { describe, expect, test } from 'vitest';
import type { CodeRun } from '../../src/api/coderun.ts';
import { endState, expectNothingLeft, expectOnce, killedAt, LIVES, poolIsFull, undisturbed } from './support.ts';

describe.each(Object.keys(LIVES) as (keyof typeof LIVES)[])('a controller killed in the life of a %s run', (life) => {
  test('loses nothing and repeats nothing, whichever write was its last', { timeout: 900_000 }, async () => {
    const { end, writes } = await undisturbed(life);
    const runs: { where: string; run: CodeRun }[] = [];
    for (const when of ['before', 'after'] as const)
      for (const [index, write] of writes.entries()) {
        await poolIsFull();
        const where = `killed ${when} write ${index + 1}, ${write}`;
        runs.push({ where, run: await killedAt(life, index, when) });
      }
    expect(runs.map(({ where, run }) => ({ where, ...endState(run) }))).toEqual(
      runs.map(({ where }) => ({ where, ...end })),
    );
    await expectOnce(
      LIVES[life],
      runs.map(({ run }) => run),
    );
    await expectNothingLeft(runs.map(({ run }) => run));
  });
});
