/** What a request does, in the words of Kubernetes' RBAC: one table for all routes. */

import { GROUP } from '../../api/group.ts';

export interface Access {
  group: string;
  verb: string;
  resource: string;
}

/** The resource of all routes below a path. */
const RESOURCES: readonly (readonly [path: string, resource: string])[] = [
  ['/execute/batch', 'codebatches'],
  ['/execute', 'coderuns'],
  ['/v1/agent', 'coderuns'],
  ['/v1/runs', 'coderuns'],
  ['/v1/batches', 'codebatches'],
  ['/v1/sessions', 'replsessions'],
  ['/repl', 'replsessions'],
];

const isBelow = (url: string, path: string): boolean => url === path || url.startsWith(`${path}/`);

/**
 * The right that a request by `method` to the route of pattern `url` takes; undefined for a route that has no row, which
 * nobody may use whose rights are looked up.
 */
export function accessOf(method: string, url: string): Access | undefined {
  const [path, resource] = RESOURCES.find(([candidate]) => isBelow(url, candidate)) ?? [];
  if (path === undefined || resource === undefined) return undefined;
  const verb = verbOf(method, url.includes(':'));
  return verb === undefined ? undefined : { group: GROUP, verb, resource };
}

/** What changes an object that is there already, or ends it by saying so in its spec, patches it. */
function verbOf(method: string, named: boolean): string | undefined {
  if (method === 'GET') return named ? 'get' : 'list';
  if (method === 'POST') return named ? 'patch' : 'create';
  return ['PUT', 'PATCH', 'DELETE'].includes(method) && named ? 'patch' : undefined;
}
