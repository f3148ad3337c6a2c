import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Pod } from '../../src/api/object.ts';
import { isNotFound } from '../../src/kube/error.ts';
import { PODS } from '../../src/kube/resources.ts';
import { findNodes, type Nodes } from '../cluster/cluster.ts';
import { eventually, isFinished, kube, NODES, podOf, until } from '../e2e/support.ts';
import {
  begin,
  classOnNode,
  endState,
  executionsOf,
  expectNothingLeft,
  expectOnce,
  isRunning,
  LIVES,
  poolIsFull,
  undisturbed,
  waitingPods,
} from './support.ts';

const LOST = 'coderun-worker';
const nodes: Nodes = await findNodes();

interface Node {
  apiVersion: string;
  kind: string;
  metadata: Pod['metadata'];
  status?: { conditions?: { type: string; status: string }[] };
}

const isReady = async (): Promise<boolean> =>
  (await kube.get<Node>(NODES, undefined, LOST)).status?.conditions?.some(
    ({ type, status }) => type === 'Ready' && status === 'True',
  ) ?? false;

beforeAll(() => expect(nodes.names, 'bring two nodes up: npm run cluster -- up --nodes 2').toContain(LOST));

describe.each(['cold', 'warm'] as const)('%s runs', (life) => {
  test('end once where the kubelets of their nodes are restarted', async () => {
    const { end } = await undisturbed(life);
    await poolIsFull();
    const slow = { ...LIVES[life], program: LIVES[life].program.replace('sleep(0.3)', 'sleep(6)') };
    const begun = await Promise.all([1, 2, 3].map(() => begin(slow)));
    await Promise.all(begun.map((run) => until(run, isRunning)));
    for (const node of nodes.names) await nodes.docker(['exec', node, 'systemctl', 'restart', 'kubelet']);
    const runs = await Promise.all(begun.map((run) => until(run, isFinished, 90)));
    expect(runs.map(endState)).toEqual(runs.map(() => end));
    await expectOnce(LIVES[life], runs);
    await expectNothingLeft(runs);
  });
});

test('a node that is lost takes its runs with it and no others, and the pool is filled elsewhere', async () => {
  const bound = await classOnNode(LOST);
  await poolIsFull();
  const slow = { ...LIVES.cold, program: LIVES.cold.program.replace('sleep(0.3)', 'sleep(10)') };
  const lost = await Promise.all([1, 2].map(() => begin(slow, undefined, { className: bound, timeoutSeconds: 20 })));
  const others = await Promise.all([1, 2].map(() => begin(slow, undefined, { timeoutSeconds: 20 })));
  await Promise.all([...lost, ...others].map((run) => until(run, isRunning)));
  const safe = await Promise.all(others.map(async (run) => (await podOf(await until(run, isRunning))).spec.nodeName));
  await nodes.docker(['kill', LOST]);
  const ended = await Promise.all([...lost, ...others].map((run) => until(run, isFinished, 90)));
  expect(ended.map((run) => endState(run).reason)).toEqual([
    ...lost.map(() => 'SandboxLost'),
    ...safe.map((node) => (node === LOST ? 'SandboxLost' : 'Completed')),
  ]);
  expect(ended.every((run) => executionsOf(LIVES.cold, run) <= 1)).toBe(true);
  const isElsewhere = ({ spec }: Pod) => spec.nodeName !== undefined && spec.nodeName !== LOST;
  await eventually(async () => (await waitingPods()).every(isElsewhere), 120);
  await expectNothingLeft(ended, 120);
  const gone = await Promise.all(
    ended.map((run) => podOf(run).catch((error: unknown) => (isNotFound(error) ? 'gone' : Promise.reject(error)))),
  );
  expect(gone).toEqual(ended.map(() => 'gone'));
});

afterAll(async () => {
  await nodes.docker(['start', LOST]);
  await eventually(isReady, 120);
  await kube.list<Pod>(PODS, { fieldSelector: `spec.nodeName=${LOST}` });
}, 180_000);
