import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { CodeRun } from '../../src/api/coderun.ts';
import { isFinished, until } from '../e2e/support.ts';
import { begin, controller, endState, expectNothingLeft, expectOnce, LIVES, poolIsFull } from './support.ts';

const KILLS = Number(process.env['CODERUN_FAULTS_KILLS'] ?? 100);
const AT_ONCE = 10;
const LONGEST_LIFE_MILLISECONDS = 4000;
const SECONDS_FOR_A_RUN = 240;

test(`runs under load each end once, while their controller is killed ${KILLS} times`, {
  timeout: 3_600_000,
}, async () => {
  await poolIsFull();
  const ended: { life: 'cold' | 'warm'; run: CodeRun }[] = [];
  let isOver = false;
  const submit = async (life: 'cold' | 'warm') => {
    while (!isOver) ended.push({ life, run: await until(await begin(LIVES[life]), isFinished, SECONDS_FOR_A_RUN) });
  };
  const load = Promise.all(Array.from({ length: AT_ONCE }, (_, index) => submit(index % 2 === 0 ? 'cold' : 'warm')));
  try {
    for (let kill = 0; kill < KILLS; kill++) {
      await controller.leads();
      await sleep(randomInt(LONGEST_LIFE_MILLISECONDS));
      await controller.restart();
    }
  } finally {
    isOver = true;
  }
  await load;
  for (const life of ['cold', 'warm'] as const) {
    const runs = ended.filter((one) => one.life === life).map(({ run }) => run);
    expect(runs.map((run) => endState(run).reason)).toEqual(runs.map(() => 'Completed'));
    expect(runs.map((run) => endState(run).stdout)).toEqual(runs.map(() => 'the program began\nand ended\n'));
    await expectOnce(LIVES[life], runs);
  }
  await expectNothingLeft(ended.map(({ run }) => run));
});
