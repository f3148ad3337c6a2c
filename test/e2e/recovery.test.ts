import { describe, expect, test } from 'vitest';
import type { CodeRun } from '../../src/api/coderun.ts';
import { SYSTEM_NAMESPACE } from '../../src/api/group.ts';
import type { Pod } from '../../src/api/object.ts';
import { PODS } from '../../src/kube/resources.ts';
import {
  createRun,
  eventually,
  hasReason,
  isFinished,
  journalOf,
  kube,
  newNamespace,
  podOf,
  runToEnd,
  until,
} from './support.ts';

const namespace = await newNamespace();

const controllers = async (): Promise<Pod[]> =>
  (await kube.list<Pod>(PODS, { namespace: SYSTEM_NAMESPACE, labelSelector: 'app.kubernetes.io/name=controller' }))
    .items;

/** Ends every controller without a chance to say goodbye; others take their place. */
async function killControllers(): Promise<void> {
  for (const { metadata } of await controllers())
    await kube.delete(PODS, SYSTEM_NAMESPACE, metadata.name, { gracePeriodSeconds: 0 });
}

/** How often the program of `run` was started, by the one witness that can't be wrong: the log of its own pod. */
async function startsOf(run: CodeRun): Promise<number> {
  return (await journalOf(await podOf(run))).split('\n').filter((line) => line.includes('the program began')).length;
}

const program = (seconds: number, word: string) =>
  `print("the program began", flush=True)\nimport time; time.sleep(${seconds})\nprint(${JSON.stringify(word)})\n${JSON.stringify(word)}`;

describe('a controller that dies in the middle of runs', () => {
  test('leaves each run its own result, and none is started twice', async () => {
    const words = ['one', 'two', 'three'];
    const created = await Promise.all(
      words.map((word) => createRun(namespace, { code: program(8, word), timeoutSeconds: 60 })),
    );
    await Promise.all(created.map((run) => until(run, hasReason('Running'))));
    await killControllers();
    const ended = await Promise.all(created.map((run) => until(run, isFinished, 90)));
    expect(ended.map(({ status }) => status?.stdout)).toEqual(words.map((word) => `the program began\n${word}\n`));
    expect(ended.map(({ status }) => status?.results?.[0]?.mime['text/plain'])).toEqual(
      words.map((word) => `'${word}'`),
    );
    expect(await Promise.all(ended.map(startsOf))).toEqual([1, 1, 1]);
  });

  test('loses no run that ends while no controller is there', async () => {
    const run = await until(await createRun(namespace, { code: program(1, 'alone') }), hasReason('Running'));
    await killControllers();
    expect((await until(run, isFinished, 90)).status?.stdout).toBe('the program began\nalone\n');
  });

  test('loses no run that was created just before or while it was away', async () => {
    const before = await createRun(namespace, { code: program(0, 'before') });
    await killControllers();
    const during = await createRun(namespace, { code: program(0, 'during') });
    const [first, second] = await Promise.all([until(before, isFinished, 90), until(during, isFinished, 90)]);
    expect(first.status?.stdout).toBe('the program began\nbefore\n');
    expect(second.status?.stdout).toBe('the program began\nduring\n');
  });

  test('honours a cancel that came while it was away', async () => {
    const run = await until(await createRun(namespace, { code: program(60, 'never') }), hasReason('Running'));
    await killControllers();
    const type = { apiVersion: run.apiVersion, kind: 'CodeRun', plural: 'coderuns', namespaced: true };
    await kube.patch(type, namespace, run.metadata.name, { spec: { cancelled: true } }, { strategy: 'merge' });
    expect((await until(run, isFinished, 90)).status?.conditions?.[0]?.reason).toBe('Cancelled');
  });
});

test('a controller that is told to stop hands over within seconds', async () => {
  const [leader] = await controllers();
  if (!leader) throw new Error('there is no controller');
  await kube.delete(PODS, SYSTEM_NAMESPACE, leader.metadata.name);
  const run = await runToEnd(namespace, { code: 'print("next")' }, 30);
  expect(run.status?.stdout).toBe('next\n');
  await eventually(async () => (await controllers()).every(({ metadata }) => metadata.uid !== leader.metadata.uid));
});
