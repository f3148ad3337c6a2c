/** What is done to sandbox pods and to the channels to them, whoever they are for. Each is harmless when done twice. */

import type { ResourceType } from '../api/group.ts';
import type { KubernetesObject, NewPod, Pod } from '../api/object.ts';
import type { WaitingSandbox } from '../core/plan.ts';
import type { Limits } from '../core/resize.ts';
import { isAlreadyExists, isNotFound } from '../kube/error.ts';
import { PODS } from '../kube/resources.ts';
import { joinKey } from '../runtime/keys.ts';
import type { TranscriptLimits } from '../sandbox/transcript.ts';
import type { CodeRunDeps } from './coderun.ts';
import { ignoreGone } from './gone.ts';
import type { SandboxMemory } from './memory.ts';
import { ensureNetworkPolicies } from './network.ts';
import { refusalOf } from './refusal.ts';

export type PodDeps = Pick<CodeRunDeps, 'kube' | 'stores' | 'channels' | 'clock' | 'events' | 'epoch' | 'wakePod'>;

/**
 * Creates the pod of `owner`; what refuses it is remembered. Resolves with whether the owner is to be looked at again
 * for it. Rejects where the API server can't be reached.
 */
export async function createPod(
  { kube, stores, clock, events }: PodDeps,
  owner: KubernetesObject,
  memory: SandboxMemory,
  pod: NewPod,
): Promise<boolean> {
  try {
    await ensureNetworkPolicies(kube, stores.policies, pod.metadata.namespace);
    stores.pods.upsert(await kube.create<Pod>(PODS, pod));
    memory.refusedPod = undefined;
    events.record(owner, 'Normal', 'SandboxCreated', `Created the sandbox pod ${pod.metadata.name}.`);
  } catch (error) {
    // The watch will show it; whether it is the owner's is checked before it is used.
    if (isAlreadyExists(error)) return false;
    memory.refusedPod = refusalOf(error, memory.creationFailures++, clock.now());
    if (!memory.refusedPod) throw error;
  }
  return true;
}

/** Attaches to the pod in the background; whoever has to do with it is woken by what comes. */
export function openChannel(
  { channels, epoch, wakePod }: Pick<PodDeps, 'channels' | 'epoch' | 'wakePod'>,
  pod: Pod,
  limits: TranscriptLimits,
): void {
  const { uid, namespace = '', name } = pod.metadata;
  channels.open({ podUID: uid, namespace, podName: name, limits, epoch, onChange: () => wakePod(pod) });
}

/** Asks for another size of a sandbox that waits. Resolves with false where that is refused, and the sandbox forgone. */
export async function resizePod(
  { kube, stores, waiting }: PodDeps & Pick<CodeRunDeps, 'waiting'>,
  sandbox: WaitingSandbox,
  limits: Limits,
): Promise<boolean> {
  const { namespace, name, uid } = sandbox.pod.metadata;
  const patch = [
    { op: 'test', path: '/metadata/uid', value: uid },
    ...Object.entries(limits).map(([resource, value]) => ({
      op: 'replace',
      path: `/spec/containers/0/resources/limits/${resource}`,
      value,
    })),
  ];
  waiting.resizeAsked(sandbox);
  try {
    stores.pods.upsert(
      await kube.patch<Pod>(PODS, namespace, name, patch, { strategy: 'json', subresource: 'resize' }),
    );
    return true;
  } catch {
    waiting.forgoResize(sandbox);
    return false;
  }
}

export async function adoptPod({ kube, stores }: PodDeps, namespace: string | undefined, name: string, patch: object) {
  stores.pods.upsert(await kube.patch<Pod>(PODS, namespace, name, patch, { strategy: 'merge' }));
}

export function deletePod({ kube }: Pick<PodDeps, 'kube'>, namespace: string | undefined, name: string, uid: string) {
  return kube.delete(PODS, namespace, name, { uid, gracePeriodSeconds: 0 }).catch(ignoreGone);
}

/** The key of the object of that kind that owns the pod. */
export const ownerKeyOf = (kind: string, { metadata }: Pod): string | undefined => {
  const owner = metadata.ownerReferences?.find((reference) => reference.kind === kind && reference.controller);
  return owner && joinKey(metadata.namespace, owner.name);
};

/**
 * Deletes those of `pods` whose owner, of the kind `type`, is gone or has passed its name to another than `known`. The
 * watches may lag, so the server is asked.
 */
export async function deleteOrphans(
  deps: PodDeps & Pick<CodeRunDeps, 'log'>,
  type: ResourceType,
  pods: readonly Pod[],
  known: KubernetesObject | undefined,
): Promise<void> {
  const { channels, log } = deps;
  for (const { metadata } of pods) {
    const { name, namespace, uid, ownerReferences } = metadata;
    const owner = ownerReferences?.find(({ kind }) => kind === type.kind);
    if (!owner || owner.uid === known?.metadata.uid || metadata.deletionTimestamp) continue;
    if ((await currentUID(deps, type, namespace, owner.name)) === owner.uid) continue;
    channels.close(uid);
    log.info({ pod: name, namespace, kind: type.kind }, 'Deleting a sandbox whose owner is gone');
    await deletePod(deps, namespace, name, uid);
  }
}

async function currentUID(
  { kube }: Pick<PodDeps, 'kube'>,
  type: ResourceType,
  namespace: string | undefined,
  name: string,
): Promise<string | undefined> {
  try {
    return (await kube.get(type, namespace, name)).metadata.uid;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
