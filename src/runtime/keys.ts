/** How an object is named in queues and stores: `namespace/name`, or `name` where it has no namespace. */

import type { KubernetesObject } from '../api/object.ts';

export const keyOf = ({ metadata }: Pick<KubernetesObject, 'metadata'>): string =>
  joinKey(metadata.namespace, metadata.name);

export const joinKey = (namespace: string | undefined, name: string): string =>
  namespace ? `${namespace}/${name}` : name;

/** The inverse of `keyOf`: neither a namespace nor a name can hold a slash. */
export function splitKey(key: string): { namespace: string | undefined; name: string } {
  const slash = key.indexOf('/');
  return slash < 0
    ? { namespace: undefined, name: key }
    : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
