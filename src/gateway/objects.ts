/** Objects of a caller in the cluster, of whichever kind: creating, finding and cancelling them. */

import { SPEC_LIMIT_BYTES } from '../api/coderun.ts';
import type { Condition } from '../api/conditions.ts';
import { LABEL_API_KEY, type ResourceType } from '../api/group.ts';
import type { KubernetesObject } from '../api/object.ts';
import { storedBytes } from '../api/schema.ts';
import { isAlreadyExists, isNotFound, KubeError } from '../kube/error.ts';
import type { Kube, NewObject } from '../kube/port.ts';
import type { Wanted } from './admission.ts';
import type { GatewayDeps, ObjectWatch, RandomBytes } from './deps.ts';
import { ANNOTATION_REQUEST, checkReplay, isReplayable, type Naming } from './idempotency.ts';
import { kubeProblem, tooLarge } from './kube-problem.ts';
import type { Caller } from './plugins/identify.ts';
import { type ErrorCode, Problem } from './problem.ts';
import { isEnded } from './run-view.ts';

/** Something that ends: a run or a batch. */
export type Ending = KubernetesObject & { status?: { conditions?: Condition[] } };

/** What is told of a kind of object. */
export interface Kind {
  type: ResourceType;
  word: string;
  notFound: ErrorCode;
}

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const NAME_CHARACTERS = 10;
const NAME_ATTEMPTS = 3;

export const randomBase32 = (random: RandomBytes, characters = NAME_CHARACTERS): string =>
  Array.from(random(characters), (byte) => BASE32[byte % BASE32.length]).join('');

/** Creates an object for the caller; under a naming with a key, gives the one that the same request has created before. */
async function createObject<T extends Ending>(
  { type }: Kind,
  { kube, random }: Pick<GatewayDeps, 'kube' | 'random'>,
  caller: Caller,
  spec: object,
  naming: Naming,
): Promise<T> {
  if (storedBytes(spec) > SPEC_LIMIT_BYTES) throw tooLarge();
  for (let attempt = 1; ; attempt++) {
    const name = nameFrom(naming, random);
    try {
      return await kube.create<T>(type, newObject(type, caller, name, spec, naming));
    } catch (error) {
      if (!isAlreadyExists(error)) throw creationProblem(error, naming);
      const before = await replayed<T>(type, kube, caller, naming);
      if (before) return before;
      if (isNamed(naming) || attempt === NAME_ATTEMPTS) throw creationProblem(error, naming);
    }
  }
}

/** A server that is too busy has not looked at the request; after any other failure it may have stored the object. */
const creationProblem = (error: unknown, naming: Naming): unknown =>
  error instanceof KubeError ? kubeProblem(error, error.code === 429 || isReplayable(naming)) : error;

interface Creation<T> {
  spec: object;
  naming: Naming;
  /** The runs that may come of it. */
  wanted: Wanted;
  /** Shows what was created, in a moment. */
  watch: ObjectWatch<T>;
}

/** The same, where there is room for it; what was created before needs none. */
export async function admitObject<T extends Ending>(
  kind: Kind,
  deps: Pick<GatewayDeps, 'kube' | 'random' | 'admission'>,
  caller: Caller,
  { spec, naming, wanted, watch }: Creation<T>,
): Promise<T> {
  const create = () => createObject<T>(kind, deps, caller, spec, naming);
  const isSeen = ({ metadata }: T) => watch.get(caller.namespace, metadata.name) !== undefined;
  try {
    return await deps.admission.admit(caller, wanted, create, isSeen);
  } catch (error) {
    const isRefused = error instanceof Problem && ['TooManyQueued', 'TooManyConcurrentRuns'].includes(error.code);
    const before = isRefused ? await replayed<T>(kind.type, deps.kube, caller, naming) : undefined;
    if (before) return before;
    throw error;
  }
}

const nameFrom = (naming: Naming, random: RandomBytes): string =>
  'name' in naming ? naming.name : `${naming.prefix}-${randomBase32(random)}`;

/** A name that was not made here is the only one that will do; one that a key made may be free again by now. */
const isNamed = (naming: Naming): boolean => 'name' in naming && !isReplayable(naming);

function newObject(
  { apiVersion, kind }: ResourceType,
  { namespace, keyId }: Caller,
  name: string,
  spec: object,
  naming: Naming,
): NewObject & { spec: object } {
  const labels = keyId === undefined ? {} : { labels: { [LABEL_API_KEY]: keyId } };
  const annotations = isReplayable(naming) ? { annotations: { [ANNOTATION_REQUEST]: naming.request } } : {};
  return { apiVersion, kind, metadata: { name, namespace, ...labels, ...annotations }, spec };
}

/** What the same request has created before. Throws a `Problem` where it was another request with this key. */
async function replayed<T extends Ending>(
  type: ResourceType,
  kube: Kube,
  { namespace }: Caller,
  naming: Naming,
): Promise<T | undefined> {
  if (!isReplayable(naming)) return undefined;
  try {
    const object = await kube.get<T>(type, namespace, naming.name);
    checkReplay(object.metadata, naming);
    return object;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw creationProblem(error, naming);
  }
}

/** All of the caller's object of this name: from the watch where that has it, else from the API server. */
export async function findObject<T extends Ending>(
  kind: Kind,
  kube: Kube,
  watch: ObjectWatch<T>,
  { namespace }: Caller,
  name: string,
): Promise<T> {
  const seen = watch.get(namespace, name);
  if (seen && !isEnded(seen)) return seen;
  try {
    return await kube.get<T>(kind.type, namespace, name);
  } catch (error) {
    throw notFoundProblem(kind, error);
  }
}

/** Asks for the end of an object; one that has ended stays as it is. */
export async function cancelObject<T extends Ending>(kind: Kind, kube: Kube, object: T): Promise<T> {
  if (isEnded(object)) return object;
  const { namespace, name } = object.metadata;
  const patch = { spec: { cancelled: true } };
  try {
    return await kube.patch<T>(kind.type, namespace, name, patch, { strategy: 'merge' });
  } catch (error) {
    throw notFoundProblem(kind, error);
  }
}

const notFoundProblem = ({ word, notFound }: Kind, error: unknown): unknown =>
  isNotFound(error)
    ? new Problem(notFound, `There is no ${word} of this name; it may have been deleted after its time to live.`)
    : error;
