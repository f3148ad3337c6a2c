/** Gathers the world of a run: from the watch caches, the open channels, and what only the API server can tell. */

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
import { homeOf } from './in-session.ts';
import type { RunMemory } from './memory.ts';
import type { Stores } from './stores.ts';
import type { Claimant } from './waiting.ts';

interface ConfigMap extends KubernetesObject {
  data?: Record<string, string>;
}

export async function gather(deps: CodeRunDeps, key: string, run: CodeRun, memory: RunMemory): Promise<World> {
  const { stores, channels, settings, agentCommand, agentVersion, epoch, kube, clock } = deps;
  const { status } = run;
  const home = await homeOf(deps, run);
  const ownName = status?.sandbox?.podName ?? podName(run.metadata);
  const pod = home ? undefined : stores.pods.get(joinKey(run.metadata.namespace, ownName));
  const podUID = home ? undefined : (status?.sandbox?.podUID ?? pod?.metadata.uid);
  const className = home ? home.session?.spec.className : run.spec.className;
  const sandboxClass = classOf(stores.classes.list(), className);
  const code = await codeOf(kube, run);
  const { hostAliases, refusal } = indexOf(stores, sandboxClass, clock.now());
  // From here to the claim nothing is awaited: a sandbox that is offered is taken or given back.
  const needsPlace = !home && !pod && !run.spec.cancelled && !status?.completionTime && podUID === undefined;
  return {
    run,
    sandboxClass,
    code,
    pod,
    refusedPod: refusal ?? memory.refusedPod,
    channel: podUID === undefined ? undefined : channels.view(podUID),
    ...(needsPlace ? findPlace(deps, key, run, sandboxClass) : NO_PLACE_NEEDED),
    journal: memory.journal,
    home,
    firstSeen: memory.firstSeen,
    agentCommand,
    agentVersion,
    hostAliases,
    epoch,
    settings,
  };
}

/** Of whoever has a sandbox, or will never need one. */
export const NO_PLACE_NEEDED = { waiting: undefined, isAdmitted: true };

/** A sandbox that waits, or else leave to start one, or else a place in the queue under the key `place`. */
export function findPlace(
  { waiting, admission }: Pick<CodeRunDeps, 'waiting' | 'admission'>,
  place: string,
  claimant: Claimant,
  sandboxClass: SandboxClass | undefined,
) {
  if (!sandboxClass) return NO_PLACE_NEEDED;
  const offer = admission.hasRoom(place, sandboxClass) ? waiting.offer(claimant, sandboxClass) : undefined;
  return { waiting: offer, isAdmitted: admission.admit(place, sandboxClass, offer !== undefined) };
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
