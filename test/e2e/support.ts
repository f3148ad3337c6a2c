/** What the end-to-end tests share: a client, namespaces of their own, and CodeRuns from beginning to end. */

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll } from 'vitest';
import type { CodeRun, CodeRunSpecInput } from '../../src/api/coderun.ts';
import { API_VERSION, CODE_RUNS, type ResourceType, SANDBOX_CLASSES } from '../../src/api/group.ts';
import type { KubernetesObject, Pod } from '../../src/api/object.ts';
import { isFinalReason, type Reason } from '../../src/api/reasons.ts';
import type { SandboxClass } from '../../src/api/sandboxclass.ts';
import { reasonOf } from '../../src/core/coderun.ts';
import { CONTAINER } from '../../src/core/pod.ts';
import { createKube } from '../../src/kube/client.ts';
import { kubeconfigCredentials } from '../../src/kube/config.ts';
import { isNotFound, KubeError } from '../../src/kube/error.ts';
import type { Kube, NewObject } from '../../src/kube/port.ts';
import { PODS } from '../../src/kube/resources.ts';
import { systemClock } from '../../src/runtime/clock.ts';

const NAMESPACES: ResourceType = {
  apiVersion: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  namespaced: false,
};
export const NODES: ResourceType = { apiVersion: 'v1', kind: 'Node', plural: 'nodes', namespaced: false };

/** The administrator of the test cluster. */
export const kube: Kube = createKube(await kubeconfigCredentials({}, systemClock), { userAgent: 'coderun-e2e' });

/** The gateway of the test cluster. */
export const GATEWAY = process.env['CODERUN_URL'] ?? 'http://127.0.0.1:8080';

const suffix = (): string => randomBytes(4).toString('hex');

/** Creates an object that is deleted after the tests of the file. */
export async function temporary<T extends KubernetesObject>(type: ResourceType, object: NewObject): Promise<T> {
  const created = await kube.create<T>(type, object);
  const { namespace, name } = created.metadata;
  afterAll(() => kube.delete(type, namespace, name, { propagationPolicy: 'Background' }).catch(ignoreNotFound));
  return created;
}

function ignoreNotFound(error: unknown): void {
  if (!isNotFound(error)) throw error;
}

/** A namespace for the tests of one file. */
export async function newNamespace(labels: Record<string, string> = {}): Promise<string> {
  const name = `e2e-${suffix()}`;
  await temporary(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name, ...{ labels } } });
  return name;
}

/** A class like `default`, but for `changes` to its spec. */
export async function newClass(changes: Partial<SandboxClass['spec']>): Promise<string> {
  const usual = await kube.get<SandboxClass>(SANDBOX_CLASSES, undefined, 'default');
  const name = `e2e-${suffix()}`;
  await temporary(SANDBOX_CLASSES, {
    apiVersion: API_VERSION,
    kind: 'SandboxClass',
    metadata: { name },
    ...{ spec: { ...usual.spec, ...changes } },
  });
  return name;
}

export async function createRun(
  namespace: string,
  spec: Partial<CodeRunSpecInput>,
  name = `run-${suffix()}`,
): Promise<CodeRun> {
  return kube.create<CodeRun>(CODE_RUNS, {
    apiVersion: API_VERSION,
    kind: 'CodeRun',
    metadata: { name, namespace },
    ...{ spec },
  });
}

/** The run as soon as `wanted` holds for it. Rejects after `seconds`, with the run as it is. */
export async function until(run: CodeRun, wanted: (run: CodeRun) => boolean, seconds = 60): Promise<CodeRun> {
  const { namespace, name } = run.metadata;
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const current = await kube.get<CodeRun>(CODE_RUNS, namespace, name);
    if (wanted(current)) return current;
    if (performance.now() > deadline) throw new Error(`not within ${seconds} s: ${JSON.stringify(current.status)}`);
    await sleep(50);
  }
}

export const hasReason =
  (...reasons: Reason[]) =>
  (run: CodeRun): boolean => {
    const reason = reasonOf(run);
    return reason !== undefined && reasons.includes(reason);
  };

export const isFinished = (run: CodeRun): boolean => {
  const reason = reasonOf(run);
  return reason !== undefined && isFinalReason(reason);
};

/** Runs `spec` to its end. */
export async function runToEnd(namespace: string, spec: Partial<CodeRunSpecInput>, seconds = 60): Promise<CodeRun> {
  return until(await createRun(namespace, spec), isFinished, seconds);
}

export const podOf = (run: CodeRun): Promise<Pod> =>
  kube.get<Pod>(PODS, run.metadata.namespace, run.status?.sandbox?.podName ?? '');

/** What the agent in a pod has said so far; nothing where its container does not run. */
export async function journalOf({ metadata }: Pod): Promise<string> {
  const log = kube.readLog(metadata.namespace ?? '', metadata.name, { container: CONTAINER });
  const chunks = await Array.fromAsync(log).catch((error: unknown) => {
    if (error instanceof KubeError) return [];
    throw error;
  });
  return Buffer.concat(chunks).toString();
}

/** Resolves once `condition` gives something. Rejects after `seconds`. */
export async function eventually<T>(condition: () => Promise<T | undefined | false>, seconds = 30): Promise<T> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`not within ${seconds} s: ${condition}`);
    await sleep(100);
  }
}
