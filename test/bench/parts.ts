/** What is measured, a part a name. */

import { setTimeout as sleep } from 'node:timers/promises';
import { CODE_RUNS, SANDBOX_CLASSES, SANDBOX_NAMESPACE } from '../../src/api/group.ts';
import { createClassWithoutPool, createRun, isFinished, kube, runs, scalePool, untilWaiting } from './cluster.ts';
import { spent } from './cost.ts';
import { timeOfBarePod, timeOfBarePods, timeOfStatusWrite } from './floors.ts';
import { figuresOf, measure, type Row, single } from './measure.ts';
import { COLD_CLASS, liveSteadily, timeOfBatch, timeOfBurst, timeOfRun, timeOverHttp } from './runs.ts';
import { sessions } from './sessions.ts';

const POOL = 4;
const BURST = 20;

/** The kubelet looks at its pods once a second: samples must not fall into step with it. */
const apart = () => sleep(500 + Math.random() * 1000);
/** The sandbox before is down, and another waits in its place. */
const alone = async () => {
  await sleep(1500 + Math.random() * 1000);
  await untilWaiting(POOL);
};

export const PARTS: Record<string, () => Promise<Row[]>> = {
  floors: async () => [
    await measure('status-sized write', 50, timeOfStatusWrite, () => sleep(20)),
    await measure('bare gVisor pod, create → Running seen', 15, timeOfBarePod, apart),
  ],
  cold: async () => {
    await createClassWithoutPool(COLD_CLASS);
    const row = await measure('cold CodeRun, create → result seen', 15, () => timeOfRun(false), apart);
    await kube.delete(SANDBOX_CLASSES, undefined, COLD_CLASS);
    return [row];
  },
  warm: () => warmAlone('warm CodeRun, create → result seen'),
  http: async () => [await measure('POST /execute, warm', 60, timeOverHttp, alone)],
  burst,
  steady,
  batch: async () => {
    const [floor, batch] = [await timeOfBarePods(100, 10), await timeOfBatch(100, 10)];
    return [
      single('100 bare gVisor pods, ten at a time', floor, 'ms'),
      single('CodeBatch of 100 items, parallelism 10', batch, 'ms'),
      single('ratio of the batch to the bare pods', batch / floor, ''),
    ];
  },
  sessions: () => sessions(() => untilWaiting(POOL)),
  memory,
  finished,
};

/** Warm runs that nothing else happens beside, and what they cost. */
async function warmAlone(what: string): Promise<Row[]> {
  const times = 60;
  await alone();
  const before = await spent();
  const row = await measure(what, times, () => timeOfRun(true), alone);
  await sleep(POD_TTL_MILLISECONDS);
  const after = await spent();
  const each = (name: 'apiWrites' | 'processorSeconds') => (after[name] - before[name]) / (times + 1);
  return [
    row,
    single('API writes a warm run, its sandbox and the next one', each('apiWrites'), ''),
    single('processor time of the controller a warm run', each('processorSeconds') * 1000, 'ms'),
  ];
}

/** Until the pods of finished runs are deleted. */
const POD_TTL_MILLISECONDS = 62_000;

async function burst(): Promise<Row[]> {
  await scalePool(BURST);
  const [bursts, refills]: [number[], number[]] = [[], []];
  for (let i = 0; i < 5; i++) {
    await untilWaiting(BURST);
    await sleep(3000);
    bursts.push(await timeOfBurst(BURST));
    const emptied = performance.now();
    await untilWaiting(BURST);
    refills.push(performance.now() - emptied);
  }
  await scalePool(POOL);
  return [
    figuresOf(`burst of ${BURST} on a pool of ${BURST}, until all are done`, bursts),
    figuresOf(`the pool of ${BURST} is full again`, refills),
  ];
}

async function steady(): Promise<Row[]> {
  await untilWaiting(POOL);
  const lived = await liveSteadily(1000, 120_000);
  const warm = lived.filter((one) => one.warm).length;
  return [
    figuresOf(
      'CodeRuns, one a second for two minutes',
      lived.map(({ milliseconds }) => milliseconds),
    ),
    single('of them warm', (100 * warm) / lived.length, '%'),
  ];
}

/** The controller with so many sandboxes that wait, each with its channel. */
async function memory(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const sandboxes of [0, 50, 90]) {
    await scalePool(sandboxes);
    await untilWaiting(sandboxes);
    await sleep(15_000);
    const before = await spent();
    await sleep(30_000);
    const after = await spent();
    rows.push(
      single(`controller with ${sandboxes} sandboxes, resident`, after.residentBytes / 2 ** 20, 'MiB'),
      single(
        `controller with ${sandboxes} sandboxes, processor`,
        ((after.processorSeconds - before.processorSeconds) / 30) * 100,
        '%',
      ),
    );
  }
  await scalePool(POOL);
  return rows;
}

/** Warm runs beside ten thousand that have ended: of a class that is not there, so that each ends by two writes. */
async function finished(): Promise<Row[]> {
  const count = 10_000;
  let left = count;
  const one = async () => {
    while (left-- > 0) {
      const name = `bench-finished-${left}`;
      const ended = runs.until(name, isFinished);
      await createRun(name, { code: '0', className: 'there-is-none', ttlSecondsAfterFinished: 86_400 });
      await ended;
    }
  };
  await Promise.all(Array.from({ length: 16 }, one));
  try {
    const [row] = await warmAlone(`warm CodeRun, beside ${count} finished ones`);
    return row ? [row] : [];
  } finally {
    for (let i = 0; i < count; i++) await kube.delete(CODE_RUNS, SANDBOX_NAMESPACE, `bench-finished-${i}`);
  }
}
