/** Where an object lies in the REST API. Names are checked here, so that none can reach another path. */

import type { ResourceType } from '../api/group.ts';
import { KubeError } from './error.ts';

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const SUBDOMAIN = new RegExp(`^${LABEL}(\\.${LABEL})*$`);
const NAME_LIMIT = 253;

/** `/api/v1/namespaces/NAMESPACE/PLURAL`; without a namespace, all namespaces of a namespaced type. */
export function collectionPath(type: ResourceType, namespace: string | undefined): string {
  const root = type.apiVersion.includes('/') ? ['apis', ...type.apiVersion.split('/')] : ['api', type.apiVersion];
  if (namespace === undefined) return join([...root, type.plural]);
  if (!type.namespaced) throw new KubeError(400, 'BadRequest', `a ${type.kind} lies in no namespace`);
  return join([...root, 'namespaces', checked('namespace', namespace), type.plural]);
}

/** The path of one object, or of a subresource of it such as `status`. */
export function objectPath(
  type: ResourceType,
  namespace: string | undefined,
  name: string,
  subresource?: string,
): string {
  if (type.namespaced && namespace === undefined) {
    throw new KubeError(400, 'BadRequest', `a ${type.kind} lies in a namespace, and none was given`);
  }
  const path = `${collectionPath(type, namespace)}/${encodeURIComponent(checked(type.kind, name))}`;
  return subresource === undefined ? path : `${path}/${encodeURIComponent(subresource)}`;
}

type QueryValue = string | number | boolean | readonly string[] | undefined;

/** Adds what is defined in `query`, a list as one parameter an entry; text is encoded. */
export function withQuery(path: string, query: Record<string, QueryValue>): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    for (const one of [value ?? []].flat()) parameters.append(key, String(one));
  }
  return parameters.size === 0 ? path : `${path}?${parameters}`;
}

const join = (segments: string[]): string => `/${segments.map(encodeURIComponent).join('/')}`;

function checked(what: string, name: string): string {
  if (name.length <= NAME_LIMIT && SUBDOMAIN.test(name)) return name;
  throw new KubeError(400, 'BadRequest', `the name of a ${what} must be a DNS subdomain of lower-case letters`);
}
