/** Gathers the world of a run: from the watch caches, the open channels and, for codeFrom, one read. */

import type { CodeRun } from '../api/coderun.ts';
import { ANNOTATION_DEFAULT_CLASS, SYSTEM_NAMESPACE } from '../api/group.ts';
import { podName } from '../api/names.ts';
import type { KubernetesObject } from '../api/object.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import { SandboxClassSpec } from '../api/sandboxclass.ts';
import { type PackageIndex, packageIndexOf } from '../core/package-index.ts';
import type { World } from '../core/plan.ts';
import { isNotFound } from '../kube/error.ts';
import type { Kube } from '../kube/port.ts';
import { CONFIG_MAPS } from '../kube/resources.ts';
import { joinKey } from '../runtime/keys.ts';
import type { CodeRunDeps } from './coderun.ts';
import type { RunMemory } from './memory.ts';
import type { Stores } from './stores.ts';

interface ConfigMap extends KubernetesObject {
  data?: Record<string, string>;
}

export async function gather(deps: CodeRunDeps, key: string, run: CodeRun, memory: RunMemory): Promise<World> {
  const { stores, channels, settings, agentCommand, epoch, kube, clock } = deps;
  const { status } = run;
  const pod = stores.pods.get(joinKey(run.metadata.namespace, status?.sandbox?.podName ?? podName(run.metadata)));
  const podUID = status?.sandbox?.podUID ?? pod?.metadata.uid;
  const sandboxClass = classOf(stores.classes.list(), run.spec.className);
  const code = await codeOf(kube, run);
  const isUnclaimed = !pod && !status?.completionTime && status?.sandbox?.podUID === undefined;
  const place = isUnclaimed ? findPlace(deps, key, run, sandboxClass) : { waiting: undefined, isAdmitted: true };
  const { hostAliases, refusal } = indexOf(stores, sandboxClass, clock.now());
  return {
    run,
    sandboxClass,
    code,
    pod,
    refusedPod: refusal ?? memory.refusedPod,
    channel: podUID === undefined ? undefined : channels.view(podUID),
    ...place,
    journal: memory.journal,
    firstSeen: memory.firstSeen,
    agentCommand,
    hostAliases,
    epoch,
    settings,
  };
}

/** A sandbox that waits, or else leave to start one, or else a place in the queue. */
function findPlace(
  { waiting, admission }: CodeRunDeps,
  key: string,
  run: CodeRun,
  sandboxClass: SandboxClass | undefined,
) {
  if (!sandboxClass || run.spec.cancelled) return { waiting: undefined, isAdmitted: true };
  const offer = admission.hasRoom(key, sandboxClass) ? waiting.offer(key, run, sandboxClass) : undefined;
  return { waiting: offer, isAdmitted: admission.admit(key, sandboxClass, offer !== undefined) };
}

/** The class of that name, or the one marked as default; of several, the newest, as Kubernetes does with StorageClasses. */
export function classOf(classes: readonly SandboxClass[], name: string | undefined): SandboxClass | undefined {
  const isDefault = ({ metadata }: SandboxClass) => metadata.annotations?.[ANNOTATION_DEFAULT_CLASS] === 'true';
  const created = ({ metadata }: SandboxClass) => metadata.creationTimestamp;
  const found = name
    ? classes.find(({ metadata }) => metadata.name === name)
    : classes.filter(isDefault).sort((a, b) => created(b).localeCompare(created(a)))[0];
  // Objects stored before a field had its default are read with it.
  return found && { ...found, spec: SandboxClassSpec.parse(found.spec) };
}

/** The package index of the class, as the watch last showed its Service. */
export const indexOf = ({ services }: Stores, sandboxClass: SandboxClass | undefined, now: Date): PackageIndex =>
  packageIndexOf(sandboxClass, (name) => services.get(joinKey(SYSTEM_NAMESPACE, name)), now);

async function codeOf(kube: Kube, run: CodeRun): Promise<World['code']> {
  const { code, codeFrom } = run.spec;
  if (code !== undefined) return { text: code };
  if (!codeFrom || run.status?.completionTime) return { missing: 'spec: set exactly one of code and codeFrom' };
  const { name, key } = codeFrom.configMapKeyRef;
  const where = `spec.codeFrom.configMapKeyRef: ConfigMap "${name}"`;
  try {
    const map = await kube.get<ConfigMap>(CONFIG_MAPS, run.metadata.namespace, name);
    const text = map.data?.[key];
    return text ? { text } : { missing: `${where} has no key "${key}" with text in it` };
  } catch (error) {
    if (isNotFound(error)) return { missing: `${where} does not exist in this namespace` };
    throw error;
  }
}
