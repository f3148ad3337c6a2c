/** Objects of a caller in the cluster, of whichever kind: creating, finding and cancelling them. */

import { SPEC_LIMIT_BYTES } from '../api/coderun.ts';
import type { Condition } from '../api/conditions.ts';
import type { ResourceType } from '../api/group.ts';
import type { KubernetesObject } from '../api/object.ts';
import { storedBytes } from '../api/schema.ts';
import { isAlreadyExists, isNotFound, KubeError } from '../kube/error.ts';
import type { Kube } from '../kube/port.ts';
import type { GatewayDeps, ObjectWatch, RandomBytes } from './deps.ts';
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

/** The name of an object, or what a name that is made for it begins with. */
export type Naming = { name: string } | { prefix: string };

export async function createObject<T extends Ending>(
  { type }: Kind,
  { kube, random }: Pick<GatewayDeps, 'kube' | 'random'>,
  caller: Caller,
  spec: object,
  naming: Naming,
): Promise<T> {
  if (storedBytes(spec) > SPEC_LIMIT_BYTES) throw tooLarge();
  const { apiVersion, kind } = type;
  for (let attempt = 1; ; attempt++) {
    const name = 'name' in naming ? naming.name : `${naming.prefix}-${randomBase32(random)}`;
    const object = { apiVersion, kind, metadata: { name, namespace: caller.namespace }, spec };
    try {
      return await kube.create<T>(type, object);
    } catch (error) {
      if (isAlreadyExists(error) && 'prefix' in naming && attempt < NAME_ATTEMPTS) continue;
      // A server that is too busy has not looked at the request; after any other failure it may have stored the object.
      throw error instanceof KubeError ? kubeProblem(error, error.code === 429) : error;
    }
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
