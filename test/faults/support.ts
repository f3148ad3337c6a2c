/** What the fault tests share: a cluster led by a controller that can be harmed, lives of runs, and what must hold after. */

import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, expect } from 'vitest';
import type { CodeRun, CodeRunSpecInput } from '../../src/api/coderun.ts';
import {
  API_VERSION,
  CODE_RUNS,
  LABEL_POOL,
  LABEL_RUN,
  LABEL_SANDBOX,
  type ResourceType,
  SANDBOX_POOLS,
  SYSTEM_NAMESPACE,
} from '../../src/api/group.ts';
import type { KubernetesObject, Pod } from '../../src/api/object.ts';
import type { SandboxPool } from '../../src/api/sandboxpool.ts';
import { isNotFound } from '../../src/kube/error.ts';
import { PODS } from '../../src/kube/resources.ts';
import {
  createRun,
  eventually,
  hasReason,
  isFinished,
  kube,
  newClass,
  newNamespace,
  temporary,
  until,
} from '../e2e/support.ts';
import { type Fault, kindOf, type Message, type When } from '../support/fault-rules.ts';
import { ControllerProcess, freeLease } from './controller-process.ts';
import { MARK, Witness } from './witness.ts';

const DEPLOYMENTS: ResourceType = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  plural: 'deployments',
  namespaced: true,
};
export const POOL_SIZE = 3;
const POD_TTL_SECONDS = 2;
const RUN_TTL_SECONDS = 4;

/** Takes the controller of the cluster out of service until the tests of the file are over. */
async function standDown(): Promise<void> {
  const scale = (replicas: number) =>
    kube.patch(DEPLOYMENTS, SYSTEM_NAMESPACE, 'controller', { spec: { replicas } }, { strategy: 'merge' });
  const selection = { namespace: SYSTEM_NAMESPACE, labelSelector: 'app.kubernetes.io/name=controller' };
  const pods = async () => (await kube.list<Pod>(PODS, selection)).items;
  const isReady = ({ status }: Pod) =>
    status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
  afterAll(async () => {
    await scale(1);
    await eventually(async () => (await pods()).some(isReady), 120);
  });
  await scale(0);
  await eventually(async () => (await pods()).length === 0, 90);
  await freeLease();
}

await standDown();
export const controller = await ControllerProcess.create();
afterAll(() => controller[Symbol.asyncDispose]());

const className = await newClass({ podTTLSecondsAfterFinished: POD_TTL_SECONDS });
const namespaces = { cold: await newNamespace(), warm: await newNamespace() };
const witnesses = { cold: new Witness(namespaces.cold), warm: new Witness(namespaces.warm) };
afterAll(() => {
  witnesses.cold.stop();
  witnesses.warm.stop();
});

await controller.start();
await controller.leads();
await temporary(SANDBOX_POOLS, {
  apiVersion: API_VERSION,
  kind: 'SandboxPool',
  metadata: { name: 'faults', namespace: namespaces.warm },
  ...{ spec: { className, replicas: POOL_SIZE } },
});

export const scalePool = (replicas: number) =>
  kube.patch(SANDBOX_POOLS, namespaces.warm, 'faults', { spec: { replicas } }, { strategy: 'merge' });

/** Resolves when the pool is full, and the controller, which may just have started, has reached every sandbox of it. */
export async function poolIsFull(): Promise<void> {
  await eventually(async () => {
    const pool = await kube.get<SandboxPool>(SANDBOX_POOLS, namespaces.warm, 'faults');
    return pool.status?.ready === POOL_SIZE && (await waitingPods()).length === POOL_SIZE;
  }, 120);
  await eventually(async () => ((await controller.metric(CHANNELS)) ?? 0) >= (await everyWaitingPod()).length, 60);
}

const CHANNELS = 'coderun_sandbox_channels';

/** Of every pool in the cluster. */
const everyWaitingPod = async (): Promise<Pod[]> =>
  (await kube.list<Pod>(PODS, { labelSelector: `${LABEL_POOL},!${LABEL_RUN}` })).items;

/** Pods of the pool that no run has made its own. */
export async function waitingPods(): Promise<Pod[]> {
  const labelSelector = `${LABEL_POOL}=faults,!${LABEL_RUN}`;
  const { items } = await kube.list<Pod>(PODS, { namespace: namespaces.warm, labelSelector });
  return items.filter(({ metadata }) => !metadata.deletionTimestamp);
}

/** A run from its creation to its end, and what happens to it in between. */
export interface Life {
  place: 'cold' | 'warm';
  program: string;
  cancelled: boolean;
}

const PROGRAM = `print(${JSON.stringify(MARK)}, flush=True)\nimport time; time.sleep(0.3)\nprint("and ended")\n6 * 7`;
const ENDLESS = `print(${JSON.stringify(MARK)}, flush=True)\nimport time; time.sleep(60)`;

export const LIVES = {
  cold: { place: 'cold', program: PROGRAM, cancelled: false },
  warm: { place: 'warm', program: PROGRAM, cancelled: false },
  cancelled: { place: 'warm', program: ENDLESS, cancelled: true },
} as const satisfies Record<string, Life>;

export const newName = (): string => `fault-${randomBytes(4).toString('hex')}`;

export function begin(life: Life, name = newName(), more: Partial<CodeRunSpecInput> = {}): Promise<CodeRun> {
  const spec = { code: life.program, className, ttlSecondsAfterFinished: RUN_TTL_SECONDS, timeoutSeconds: 90, ...more };
  return createRun(namespaces[life.place], spec, name);
}

/** A class whose sandboxes are on that node. */
export const classOnNode = (name: string): Promise<string> =>
  newClass({ podTTLSecondsAfterFinished: POD_TTL_SECONDS, nodeSelector: { 'kubernetes.io/hostname': name } });

/** The run at its end; a life that is cancelled is so as soon as its program has begun. */
export async function finished(life: Life, run: CodeRun, seconds = 90): Promise<CodeRun> {
  if (life.cancelled) {
    await eventually(async () => executionsOf(life, run) > 0, seconds);
    const { namespace, name } = run.metadata;
    await kube.patch(CODE_RUNS, namespace, name, { spec: { cancelled: true } }, { strategy: 'merge' });
  }
  return until(run, isFinished, seconds);
}

/** What must be the same whatever happened on the way. */
export function endState({ status }: CodeRun) {
  const { exitCode, signal, stdout, stderr, results, error, retrySafe, conditions } = status ?? {};
  return { reason: conditions?.[0]?.reason, exitCode, signal, stdout, stderr, results, error, retrySafe };
}

export const executionsOf = (life: Life, run: CodeRun): number => witnesses[life.place].executions(run.metadata.uid);

export const isRunning = hasReason('Running');

/** Whether a message that changes something has to do with the run of that name; it gets to know the run's pod by them. */
export function aboutRun(name: string): (message: Message) => boolean {
  const names = [name];
  return (message) => {
    if (message.method === 'GET' || message.resource === 'leases') return false;
    const isMine = names.some((known) => message.name?.startsWith(known)) || message.body.includes(`"${name}"`);
    if (isMine && message.resource === 'coderuns' && message.body) {
      const podName = JSON.parse(message.body).status?.sandbox?.podName;
      if (podName) names.push(podName);
    }
    return isMine;
  };
}

/** Kills the controller `when` the message is passed on, and starts another. */
function killing(when: When, isDone: () => void): Fault {
  return {
    type: 'call',
    when,
    call: async () => {
      await controller.kill();
      isDone();
      await controller.start();
      return 'cut';
    },
  };
}

interface Undisturbed {
  end: ReturnType<typeof endState>;
  writes: string[];
}

const known = new Map<keyof typeof LIVES, Promise<Undisturbed>>();

/** How a life ends that nobody disturbs, and its writes in order; lived once a file, before anything is harmed. */
export function undisturbed(life: keyof typeof LIVES): Promise<Undisturbed> {
  const lived = known.get(life) ?? live(life);
  known.set(life, lived);
  return lived;
}

async function live(life: keyof typeof LIVES): Promise<Undisturbed> {
  await poolIsFull();
  const name = newName();
  const end = endState(await finished(LIVES[life], await begin(LIVES[life], name)));
  const writes = () => controller.proxy.writes.filter(aboutRun(name)).map(kindOf);
  await eventually(async () => writes().includes('DELETE coderuns'), 30);
  return { end, writes: writes() };
}

/** A run in whose life the controller is killed at the write of that index. */
export async function killedAt(life: keyof typeof LIVES, index: number, when: When): Promise<CodeRun> {
  const name = newName();
  let isKilled = false;
  const fault = killing(when, () => {
    isKilled = true;
  });
  controller.proxy.add({ match: aboutRun(name), skip: index, times: 1, fault });
  const run = await finished(LIVES[life], await begin(LIVES[life], name));
  await eventually(async () => isKilled, 30);
  controller.proxy.heal();
  return run;
}

/** That each run was executed as often as its end says, in the eyes of the witness. */
export async function expectOnce(life: Life, runs: readonly CodeRun[]): Promise<void> {
  // A log comes to its end a moment after its run.
  const all = () => runs.map((run) => `${run.status?.sandbox?.podName}: ${executionsOf(life, run)}`);
  const once = runs.map((run) => `${run.status?.sandbox?.podName}: 1`);
  await eventually(async () => isDeepStrictEqual(all(), once), 10).catch(() => undefined);
  expect(all()).toEqual(once);
}

const isGone = (type: ResourceType, { metadata }: KubernetesObject): Promise<boolean> =>
  kube.get(type, metadata.namespace, metadata.name).then(
    () => false,
    (error: unknown) => {
      if (isNotFound(error)) return true;
      throw error;
    },
  );

/** That nothing is left of runs whose time is over: no object, no pod, no channel. */
export async function expectNothingLeft(runs: readonly CodeRun[], seconds = 60): Promise<void> {
  await eventually(async () => (await Promise.all(runs.map((run) => isGone(CODE_RUNS, run)))).every(Boolean), seconds);
  const pods = async (namespace: string, labelSelector: string) =>
    (await kube.list<Pod>(PODS, { namespace, labelSelector })).items.length;
  await eventually(async () => (await pods(namespaces.cold, LABEL_SANDBOX)) === 0, seconds);
  await poolIsFull();
  await eventually(async () => (await pods(namespaces.warm, LABEL_SANDBOX)) === POOL_SIZE, seconds);
  await eventually(
    async () => ((await controller.metric(CHANNELS)) ?? Number.POSITIVE_INFINITY) <= (await everyWaitingPod()).length,
    30,
  );
}
