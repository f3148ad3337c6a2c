import { afterAll, expect, test } from 'vitest';
import type { CodeRun } from '../../src/api/coderun.ts';
import { eventually, hasReason, isFinished, journalOf, until } from '../e2e/support.ts';
import type { Fault, Message } from '../support/fault-rules.ts';
import { ControllerProcess, freeLease } from './controller-process.ts';
import {
  aboutRun,
  begin,
  controller,
  endState,
  executionsOf,
  expectNothingLeft,
  expectOnce,
  finished,
  LIVES,
  newName,
  POOL_SIZE,
  poolIsFull,
  scalePool,
  undisturbed,
  waitingPods,
} from './support.ts';

/** Takes over whenever the Lease is free. */
const rival = await ControllerProcess.create();
afterAll(() => rival[Symbol.asyncDispose]());

/** The rival leads, and what the first leader has sent is delivered only when `isLate`. */
const deposing = (isLate: () => Promise<unknown>): Extract<Fault, { type: 'call' }> => ({
  type: 'call',
  when: 'before',
  call: async () => {
    controller.pause();
    try {
      await rival.start();
      await freeLease();
      await rival.leads();
      await isLate();
    } finally {
      controller.resume();
    }
    return undefined;
  },
});

/** The first leader again, alone. */
async function restore(): Promise<void> {
  await rival.kill();
  controller.proxy.heal();
  await controller.restart();
  await controller.leads();
}

const isClaim = ({ method, resource, body }: Message): boolean =>
  method === 'PUT' && resource === 'coderuns' && body.includes('"Running"');
const isOrder = ({ method, body }: Message): boolean => method === 'STDIN' && body.startsWith('{"execute"');

test.each([
  ['claim', isClaim, 'warm'],
  ['claim', isClaim, 'cold'],
  ['order to execute', isOrder, 'warm'],
  ['order to execute', isOrder, 'cold'],
] as const)('the %s of a leader that was deposed meanwhile does nothing (%#)', async (_what, isIt, life) => {
  const slow = { ...LIVES[life], program: LIVES[life].program.replace('sleep(0.3)', 'sleep(6)') };
  const { end } = await undisturbed(life);
  await poolIsFull();
  const name = newName();
  const isAboutRun = aboutRun(name);
  const { promise, resolve } = Promise.withResolvers<void>();
  const created = begin(slow, name);
  const fault = deposing(async () => {
    const run = await created;
    await eventually(async () => executionsOf(slow, run) > 0, 60);
    resolve();
  });
  controller.proxy.add({ match: (message) => isAboutRun(message) && isIt(message), times: 1, fault });
  const run = await finished(slow, await created, 120);
  await promise;
  await restore();
  expect(endState(run)).toEqual(end);
  await expectOnce(LIVES[life], [run]);
  await expectNothingLeft([run]);
});

test('sandboxes that a deposed leader was about to give up stay with the runs that have them by now', async () => {
  await poolIsFull();
  const slow = { ...LIVES.warm, program: LIVES.warm.program.replace('sleep(0.3)', 'sleep(6)') };
  const isGivenUp = ({ method, resource, name, body }: Message) =>
    (method === 'STDIN' && body.startsWith('{"shutdown"')) ||
    (method === 'DELETE' && resource === 'pods' && name?.startsWith('faults-') === true);
  /** How often the agent of each sandbox that waits has said hello: to its leader, and then to the next. */
  const greetings = async () =>
    (await Promise.all((await waitingPods()).map(journalOf))).map((said) => said.split('"hello"').length);
  const greeted = await greetings();
  const { promise: begun, resolve } = Promise.withResolvers<CodeRun[]>();
  const late = deposing(async () => {
    await eventually(async () => (await greetings()).every((count, i) => count > (greeted[i] ?? 0)));
    const runs = await Promise.all(Array.from({ length: POOL_SIZE }, () => begin(slow)));
    resolve(await Promise.all(runs.map((run) => until(run, hasReason('Running', 'Completed')))));
  });
  const call = async () => {
    await scalePool(POOL_SIZE);
    return late.call();
  };
  controller.proxy.add({ match: isGivenUp, times: 1, fault: { ...late, call } });
  await scalePool(POOL_SIZE - 1);
  const runs = await Promise.all((await begun).map((run) => until(run, isFinished, 60)));
  await restore();
  expect(runs.map((run) => [endState(run).reason, run.status?.sandbox?.warm])).toEqual(
    runs.map(() => ['Completed', true]),
  );
  await expectOnce(slow, runs);
  await expectNothingLeft(runs);
});

test('runs in their midst are taken over from a leader that wakes up again', async () => {
  await poolIsFull();
  const program = LIVES.warm.program.replace('sleep(0.3)', 'sleep(8)');
  const places = ['cold', 'warm'] as const;
  const lives = [...places, ...places, ...places].map((place) => ({ place, program, cancelled: false }));
  const begun = await Promise.all(lives.map((life) => begin(life)));
  await Promise.all(begun.slice(0, 4).map((run) => until(run, hasReason('Running', 'Completed'))));
  controller.pause();
  await rival.start();
  await freeLease();
  await rival.leads();
  controller.resume();
  const runs = await Promise.all(begun.map((run) => until(run, isFinished, 120)));
  await restore();
  const ends = runs.map(endState).map(({ reason, stdout }) => ({ reason, stdout }));
  expect(ends).toEqual(runs.map(() => ({ reason: 'Completed', stdout: 'the program began\nand ended\n' })));
  for (const place of places) {
    const those = runs.filter((_run, index) => lives[index]?.place === place);
    await expectOnce({ place, program, cancelled: false }, those);
  }
  await expectNothingLeft(runs);
});
