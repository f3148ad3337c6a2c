/** What the measurements share: the cluster of `npm run cluster -- env`, open watches, names, and waits. */

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { CodeBatch } from '../../src/api/codebatch.ts';
import type { CodeRun, CodeRunSpecInput } from '../../src/api/coderun.ts';
import {
  API_VERSION,
  CODE_BATCHES,
  CODE_RUNS,
  LABEL_POOL,
  LABEL_RUN,
  SANDBOX_CLASSES,
  SANDBOX_NAMESPACE,
  SANDBOX_POOLS,
} from '../../src/api/group.ts';
import type { Pod } from '../../src/api/object.ts';
import { isFinalReason } from '../../src/api/reasons.ts';
import type { SandboxClass } from '../../src/api/sandboxclass.ts';
import { reasonOf } from '../../src/core/coderun.ts';
import { CONTAINER } from '../../src/core/pod.ts';
import { createKube } from '../../src/kube/client.ts';
import { kubeconfigCredentials } from '../../src/kube/config.ts';
import { isAlreadyExists } from '../../src/kube/error.ts';
import { PODS } from '../../src/kube/resources.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { Watcher } from './watcher.ts';

export const kube = createKube(await kubeconfigCredentials({}, systemClock), { userAgent: 'coderun-bench' });
export const runs = await Watcher.open<CodeRun>(kube, CODE_RUNS, SANDBOX_NAMESPACE);
export const batches = await Watcher.open<CodeBatch>(kube, CODE_BATCHES, SANDBOX_NAMESPACE);
export const pods = await Watcher.open<Pod>(kube, PODS, 'default');

export async function close(): Promise<void> {
  for (const watcher of [runs, batches, pods]) watcher.close();
  await kube.close();
}

export const freshName = (): string => `bench-${randomBytes(4).toString('hex')}`;

export const isFinished = (run: CodeRun): boolean => {
  const reason = reasonOf(run);
  return reason !== undefined && isFinalReason(reason);
};

export const createRun = (name: string, spec: Partial<CodeRunSpecInput>): Promise<CodeRun> =>
  kube.create<CodeRun>(CODE_RUNS, {
    apiVersion: API_VERSION,
    kind: 'CodeRun',
    metadata: { name, namespace: SANDBOX_NAMESPACE },
    ...{ spec },
  });

/** The class of the default pool. */
export const defaultClass = (): Promise<SandboxClass> => kube.get<SandboxClass>(SANDBOX_CLASSES, undefined, 'default');

/** A class like the default one, which no pool holds sandboxes of. */
export async function createClassWithoutPool(name: string): Promise<void> {
  const { spec } = await defaultClass();
  const object = { apiVersion: API_VERSION, kind: 'SandboxClass', metadata: { name }, ...{ spec } };
  await kube.create(SANDBOX_CLASSES, object).catch((error: unknown) => {
    if (!isAlreadyExists(error)) throw error;
  });
}

export const scalePool = (replicas: number) =>
  kube.patch(SANDBOX_POOLS, SANDBOX_NAMESPACE, 'default', { spec: { replicas } }, { strategy: 'merge' });

/** How many sandboxes of the default pool wait, by what their agents have said. */
async function countWaiting(): Promise<number> {
  const labelSelector = `${LABEL_POOL}=default,!${LABEL_RUN}`;
  const { items } = await kube.list<Pod>(PODS, { namespace: SANDBOX_NAMESPACE, labelSelector });
  const present = items.filter(({ metadata, status }) => !metadata.deletionTimestamp && status?.phase === 'Running');
  const said = await Promise.all(present.map(({ metadata }) => readLog(metadata.name)));
  return said.filter((log) => log.includes('"hello"') && !log.includes('"started"')).length;
}

async function readLog(name: string): Promise<string> {
  try {
    const log = kube.readLog(SANDBOX_NAMESPACE, name, { container: CONTAINER });
    return Buffer.concat(await Array.fromAsync(log)).toString();
  } catch {
    return '';
  }
}

/** Resolves once `count` sandboxes wait. Rejects after five minutes. */
export async function untilWaiting(count: number): Promise<void> {
  const deadline = performance.now() + 300_000;
  while ((await countWaiting()) < count) {
    if (performance.now() > deadline) throw new Error(`no ${count} sandboxes wait after five minutes`);
    await sleep(100);
  }
}

const kubectl = promisify(execFile);

/** What a path of the API server answers, as text. */
export async function getRaw(path: string): Promise<string> {
  const { stdout } = await kubectl('kubectl', ['get', '--raw', path], { maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}
