import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { CODE_RUNS } from '../../src/api/group.ts';
import { PODS } from '../../src/kube/resources.ts';
import { isFinished, kube, until } from '../e2e/support.ts';
import type { EventFault, Message, WatchedEvent } from '../support/fault-rules.ts';
import {
  begin,
  controller,
  endState,
  expectNothingLeft,
  expectOnce,
  finished,
  isRunning,
  LIVES,
  newName,
  poolIsFull,
  undisturbed,
  waitingPods,
} from './support.ts';

const { proxy } = controller;
const LIVES_WATCHED = ['cold', 'warm'] as const;
const watchesOf = (resource: string) => (watch: Message) => watch.resource === resource;
const isOurs = ({ resource }: Message) => resource === 'pods' || resource === 'coderuns' || resource === 'sandboxpools';

afterEach(() => proxy.heal());

/** 0 for the first change of each object, as if it had been seen only together with the next. */
function dropFirstChange(): (event: WatchedEvent) => number {
  const seen = new Set<string>();
  return ({ type, object: { metadata } }) => {
    if (type !== 'MODIFIED' || seen.has(metadata.uid ?? '')) return 1;
    seen.add(metadata.uid ?? '');
    return 0;
  };
}

const EVENT_FAULTS: Record<string, () => EventFault> = {
  'come late': () => ({ match: isOurs, delayMilliseconds: 400 }),
  'come twice': () => ({ match: isOurs, copies: () => 2 }),
  'of pods come late': () => ({ match: watchesOf('pods'), delayMilliseconds: 1000 }),
  'of runs come late': () => ({ match: watchesOf('coderuns'), delayMilliseconds: 1000 }),
  'are left out where others follow': () => ({ match: isOurs, copies: dropFirstChange() }),
};

describe.each(LIVES_WATCHED)('%s runs', (life) => {
  test.each(Object.entries(EVENT_FAULTS))('end once where watch events %s', async (_name, fault) => {
    const { end } = await undisturbed(life);
    await poolIsFull();
    proxy.changeEvents(fault());
    const begun = await Promise.all([1, 2, 3, 4].map(() => begin(LIVES[life])));
    const runs = await Promise.all(begun.map((run) => finished(LIVES[life], run)));
    expect(runs.map(endState)).toEqual(runs.map(() => end));
    await expectOnce(LIVES[life], runs);
    proxy.heal();
    await expectNothingLeft(runs);
  });

  test('end once where the watches of all kinds stall until the connections break', async () => {
    const { end } = await undisturbed(life);
    await poolIsFull();
    proxy.changeEvents({ match: () => true, copies: () => 0 });
    const run = await begin(LIVES[life]);
    await sleep(3000);
    proxy.heal();
    proxy.cutConnections();
    const ended = await finished(LIVES[life], run);
    expect(endState(ended)).toEqual(end);
    await expectOnce(LIVES[life], [ended]);
    await expectNothingLeft([ended]);
  });

  test('end once where watches can not go on where they stopped', async () => {
    const { end } = await undisturbed(life);
    await poolIsFull();
    const run = await begin(LIVES[life]);
    const fault = { type: 'answer', status: 410, reason: 'Expired' } as const;
    proxy.add({ match: (message) => message.query.has('watch') && isOurs(message), times: 3, fault });
    proxy.cutConnections();
    const ended = await finished(LIVES[life], run);
    expect(endState(ended)).toEqual(end);
    await expectOnce(LIVES[life], [ended]);
    await expectNothingLeft([ended]);
  });

  test('are not started again by a leader whose first lists are of the past', async () => {
    const { end } = await undisturbed(life);
    await poolIsFull();
    const slow = { ...LIVES[life], program: LIVES[life].program.replace('sleep(0.3)', 'sleep(12)') };
    const name = newName();
    // As it was before anything was written: without a status, without a pod.
    const stale = { runs: '', pods: '' };
    proxy.add({
      match: ({ method, resource, name: of }) => method === 'PUT' && resource === 'coderuns' && of === name,
      times: 1,
      fault: {
        type: 'call',
        when: 'before',
        call: async () => {
          const [runs, pods] = await Promise.all([
            kube.list(CODE_RUNS),
            kube.list(PODS, { labelSelector: 'coderun.dev/sandbox' }),
          ]);
          stale.runs = JSON.stringify(runs);
          stale.pods = JSON.stringify(pods);
          return undefined;
        },
      },
    });
    const run = await until(await begin(slow, name), isRunning);
    await controller.kill();
    const isFromCache = ({ method, query }: Message) =>
      method === 'GET' && query.get('resourceVersion') === '0' && !query.has('watch');
    const listOf = (resource: string, body: string) =>
      proxy.add({
        match: (message) => message.resource === resource && isFromCache(message),
        fault: { type: 'list', body },
      });
    listOf('coderuns', stale.runs);
    if (life === 'cold') listOf('pods', stale.pods);
    proxy.changeEvents({ match: watchesOf('coderuns'), delayMilliseconds: 2000 });
    await controller.start();
    await controller.leads();
    const ended = await until(run, isFinished, 120);
    expect(endState(ended)).toEqual(end);
    await expectOnce(slow, [ended]);
    proxy.heal();
    await expectNothingLeft([ended]);
  });
});

test('a pool is never larger than it is to be, however late its leader hears of its pods', async () => {
  await poolIsFull();
  const wanted = (await waitingPods()).length;
  const created = () =>
    proxy.writes.filter(
      ({ method, resource, body }) => method === 'POST' && resource === 'pods' && body.includes('faults-'),
    ).length;
  proxy.changeEvents({ match: watchesOf('pods'), delayMilliseconds: 3000 });
  proxy.add({
    match: ({ method, resource, query }) =>
      method === 'GET' && resource === 'pods' && query.get('resourceVersion') === '0' && !query.has('watch'),
    fault: {
      type: 'list',
      body: JSON.stringify({ apiVersion: 'v1', kind: 'PodList', metadata: { resourceVersion: '1' }, items: [] }),
    },
  });
  const before = created();
  await controller.restart();
  await controller.leads();
  await sleep(6000);
  expect(created() - before).toBe(0);
  expect((await waitingPods()).length).toBe(wanted);
});
