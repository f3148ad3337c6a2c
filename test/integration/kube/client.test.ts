/** The client against a real API server: every question, and every refusal that the program knows. */

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ResourceType } from '../../../src/api/group.ts';
import type { KubernetesObject } from '../../../src/api/object.ts';
import { createKube, type KubeClient } from '../../../src/kube/client.ts';
import { kubeconfigCredentials } from '../../../src/kube/config.ts';
import { isAlreadyExists, isConflict, isExpired, isForbidden, isInvalid, isNotFound } from '../../../src/kube/error.ts';
import type { NewObject } from '../../../src/kube/port.ts';
import { CONFIG_MAPS, PODS } from '../../../src/kube/resources.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import {
  type ApiServer,
  createNamespace,
  impersonating,
  serviceAccountUser,
  startApiServer,
  untilServed,
} from '../../support/apiserver.ts';

interface ConfigMap extends KubernetesObject {
  data?: Record<string, string>;
}

interface Probe extends KubernetesObject {
  spec?: { code?: string };
  status?: { seen?: string };
}

const PROBES: ResourceType = { apiVersion: 'test.dev/v1', kind: 'Probe', plural: 'probes', namespaced: true };
const CRDS: ResourceType = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};

const text = { type: 'string', pattern: '^[a-z]*$' };
const schema = {
  type: 'object',
  properties: {
    spec: { type: 'object', properties: { code: text } },
    status: { type: 'object', properties: { seen: text } },
  },
};
const PROBE_DEFINITION = {
  apiVersion: CRDS.apiVersion,
  kind: CRDS.kind,
  metadata: { name: 'probes.test.dev' },
  spec: {
    group: 'test.dev',
    scope: 'Namespaced',
    names: { plural: 'probes', singular: 'probe', kind: 'Probe' },
    versions: [
      { name: 'v1', served: true, storage: true, subresources: { status: {} }, schema: { openAPIV3Schema: schema } },
    ],
  },
};

let server: ApiServer;
let kube: KubeClient;
let namespace: string;
let count = 0;

beforeAll(async () => {
  server = await startApiServer();
  kube = createKube(server.credentials);
  await kube.create(CRDS, PROBE_DEFINITION);
  await untilServed(kube, PROBES);
});

afterAll(async () => {
  await kube.close();
  await server.stop();
});

beforeEach(async () => {
  namespace = `test-${++count}`;
  await createNamespace(kube, namespace);
});

const configMap = (name: string, data: Record<string, string> = {}): NewObject & { data: Record<string, string> } => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace },
  data,
});
const probe = (spec: object = { code: 'a' }): NewObject & { spec: object } => ({
  apiVersion: PROBES.apiVersion,
  kind: PROBES.kind,
  metadata: { name: 'probe', namespace },
  spec,
});
const createConfigMap = (name: string, data?: Record<string, string>): Promise<ConfigMap> =>
  kube.create(CONFIG_MAPS, configMap(name, data));
const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

test('an object is created, read, replaced and deleted', async () => {
  const created = await createConfigMap('a', { x: '1' });
  expect(created).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace }, data: { x: '1' } });
  const replaced = await kube.replace<ConfigMap>(CONFIG_MAPS, { ...created, data: { x: '2' } });
  expect(await kube.get<ConfigMap>(CONFIG_MAPS, namespace, 'a')).toEqual(replaced);
  await kube.delete(CONFIG_MAPS, namespace, 'a');
  expect(isNotFound(await errorOf(kube.get(CONFIG_MAPS, namespace, 'a')))).toBe(true);
  expect(isNotFound(await errorOf(kube.delete(CONFIG_MAPS, namespace, 'a')))).toBe(true);
});

test('a name is made by the server, and a taken one is told from a stale version', async () => {
  const generated = { ...configMap('a'), metadata: { generateName: 'run-', namespace } };
  expect((await kube.create<ConfigMap>(CONFIG_MAPS, generated)).metadata.name).toMatch(/^run-/);
  const first = await createConfigMap('a');
  expect(isAlreadyExists(await errorOf(createConfigMap('a')))).toBe(true);
  await kube.replace(CONFIG_MAPS, { ...first, data: { x: '1' } });
  expect(isConflict(await errorOf(kube.replace(CONFIG_MAPS, { ...first, data: { x: '2' } })))).toBe(true);
});

test('of two writes of a status from the same version, one wins', async () => {
  const created = await kube.create<Probe>(PROBES, probe());
  const writes = ['a', 'b'].map((seen) => kube.replaceStatus<Probe>(PROBES, { ...created, status: { seen } }));
  const results = await Promise.allSettled(writes);
  const lost = results.filter((result) => result.status === 'rejected').map((result) => isConflict(result.reason));
  expect(lost).toEqual([true]);
});

test('a status and a spec are written apart', async () => {
  const created = await kube.create<Probe>(PROBES, { ...probe(), status: { seen: 'early' } } as NewObject);
  expect(created.status).toBeUndefined();
  const written = await kube.replaceStatus<Probe>(PROBES, { ...created, spec: { code: 'b' }, status: { seen: 'yes' } });
  expect(written).toMatchObject({ spec: { code: 'a' }, status: { seen: 'yes' } });
  const patch = { status: { seen: 'later' }, spec: { code: 'c' } };
  const options = { strategy: 'merge', subresource: 'status' } as const;
  const patched = await kube.patch<Probe>(PROBES, namespace, 'probe', patch, options);
  expect(patched).toMatchObject({ spec: { code: 'a' }, status: { seen: 'later' } });
});

test('an object against its schema is invalid, and the error names the field but not the value', async () => {
  const error = await errorOf(kube.create(PROBES, probe({ code: 'SECRET: "x", [' })));
  expect(isInvalid(error)).toBe(true);
  expect(String(error)).toContain('spec.code');
  expect(String(error)).not.toContain('SECRET');
});

test('patches merge, test and apply', async () => {
  await createConfigMap('a', { x: '1', y: '2' });
  const patch = (change: unknown, strategy: 'merge' | 'json' | 'apply'): Promise<ConfigMap> =>
    kube.patch<ConfigMap>(CONFIG_MAPS, namespace, 'a', change, { strategy });
  expect((await patch({ data: { x: null, z: '3' } }, 'merge')).data).toEqual({ y: '2', z: '3' });
  expect((await patch([{ op: 'remove', path: '/data/y' }], 'json')).data).toEqual({ z: '3' });
  expect(isInvalid(await errorOf(patch([{ op: 'test', path: '/data/z', value: 'no' }], 'json')))).toBe(true);
  expect((await patch(configMap('a', { w: '4' }), 'apply')).data).toEqual({ z: '3', w: '4' });
  expect((await patch(configMap('a', {}), 'apply')).data).toEqual({ z: '3' });
});

test('an apply creates what is not there, and takes fields over from others', async () => {
  const apply = (by: KubeClient, data: Record<string, string>): Promise<ConfigMap> =>
    by.patch<ConfigMap>(CONFIG_MAPS, namespace, 'a', configMap('a', data), { strategy: 'apply' });
  await apply(kube, { x: '1' });
  const other = createKube(server.credentials, { fieldManager: 'other' });
  expect((await apply(other, { x: '2' })).data).toEqual({ x: '2' });
  await other.close();
});

test('a deletion holds to its preconditions', async () => {
  const { metadata } = await createConfigMap('a');
  const remove = (options: object): Promise<unknown> => errorOf(kube.delete(CONFIG_MAPS, namespace, 'a', options));
  expect(isConflict(await remove({ uid: '00000000-0000-0000-0000-000000000000' }))).toBe(true);
  expect(isConflict(await remove({ uid: metadata.uid, resourceVersion: '1' }))).toBe(true);
  expect(await remove({ uid: metadata.uid, resourceVersion: metadata.resourceVersion })).toBeUndefined();
});

test('the deletion of a pod takes its grace period', async () => {
  const spec = { nodeName: 'nowhere', containers: [{ name: 'c', image: 'i' }], automountServiceAccountToken: false };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace }, spec };
  await kube.create(PODS, pod);
  await kube.delete(PODS, namespace, 'p', { gracePeriodSeconds: 30 });
  expect((await kube.get(PODS, namespace, 'p')).metadata.deletionTimestamp).toBeDefined();
  await kube.delete(PODS, namespace, 'p', { gracePeriodSeconds: 0 });
  expect(isNotFound(await errorOf(kube.get(PODS, namespace, 'p')))).toBe(true);
});

test('a list comes in pages, by selector, and its items say what they are', async () => {
  for (const name of ['a', 'b', 'c']) await createConfigMap(name);
  await kube.patch(CONFIG_MAPS, namespace, 'b', { metadata: { labels: { l: 'yes' } } }, { strategy: 'merge' });
  const first = await kube.list<ConfigMap>(CONFIG_MAPS, { namespace, limit: 2 });
  const rest = await kube.list<ConfigMap>(CONFIG_MAPS, {
    namespace,
    limit: 2,
    continue: first.metadata.continue ?? '',
  });
  expect([...first.items, ...rest.items].map((item) => item.metadata.name)).toEqual(['a', 'b', 'c']);
  expect(first.items[0]).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
  const cached = await kube.list(CONFIG_MAPS, { namespace, labelSelector: 'l in (yes)', resourceVersion: '0' });
  expect(cached.items.map((item) => item.metadata.name)).toEqual(['b']);
  const one = await kube.list(CONFIG_MAPS, { fieldSelector: `metadata.name=c,metadata.namespace=${namespace}` });
  expect(one.items).toHaveLength(1);
});

test('a watch tells what happens, from a version on, and ends when its signal aborts', async () => {
  const { metadata } = await kube.list(PROBES, { namespace });
  const abort = new AbortController();
  const options = { namespace, resourceVersion: metadata.resourceVersion, timeoutSeconds: 60, signal: abort.signal };
  const created = await kube.create<Probe>(PROBES, probe());
  const seen: string[] = [];
  for await (const event of kube.watch<Probe>(PROBES, options)) {
    seen.push(`${event.type} ${event.type === 'BOOKMARK' ? '' : (event.object.status?.seen ?? '')}`);
    if (seen.length === 1) await kube.replaceStatus<Probe>(PROBES, { ...created, status: { seen: 'yes' } });
    if (seen.length === 2) await kube.delete(PROBES, namespace, 'probe');
    if (seen.length === 3) abort.abort();
  }
  expect(seen).toEqual(['ADDED ', 'MODIFIED yes', 'DELETED yes']);
});

test('a watch in which something changed sends a bookmark before the server ends it', async () => {
  const { metadata } = await kube.list(PROBES, { namespace });
  const created = await kube.create<Probe>(PROBES, probe());
  const { signal } = new AbortController();
  const types: string[] = [];
  const options = { namespace, resourceVersion: metadata.resourceVersion, timeoutSeconds: 5, signal };
  for await (const { type } of kube.watch<Probe>(PROBES, options)) {
    if (type === 'ADDED') await kube.replaceStatus<Probe>(PROBES, { ...created, status: { seen: 'yes' } });
    types.push(type);
  }
  expect(types.slice(0, 3)).toEqual(['ADDED', 'MODIFIED', 'BOOKMARK']);
});

test('a watch from a version that the server no longer has is expired', async () => {
  const { signal } = new AbortController();
  const next = kube.watch(PROBES, { resourceVersion: '1', timeoutSeconds: 5, signal })[Symbol.asyncIterator]().next();
  expect(isExpired(await errorOf(next))).toBe(true);
});

test('another user may do what RBAC says and no more', async () => {
  const user = serviceAccountUser(namespace, 'default');
  const other = createKube(impersonating(server.credentials, user));
  const error = await errorOf(other.list(CONFIG_MAPS, { namespace }));
  expect(isForbidden(error)).toBe(true);
  expect(String(error)).toContain(user);
  await other.close();
});

test('a stream to a pod that is not there is refused with its reason', async () => {
  const attaching = kube.attach(namespace, 'absent', 'c', new AbortController().signal);
  expect(isNotFound(await errorOf(attaching))).toBe(true);
  const reading = kube.readLog(namespace, 'absent', { container: 'c' })[Symbol.asyncIterator]().next();
  expect(isNotFound(await errorOf(reading))).toBe(true);
});

test('two hundred calls at once open no more connections than the pool may have', async () => {
  const few = createKube(server.credentials, { connections: 4 });
  let opened = 0;
  const count = (): void => {
    opened++;
  };
  subscribe('undici:client:connected', count);
  await Promise.all(Array.from({ length: 200 }, () => few.list(CONFIG_MAPS, { namespace, resourceVersion: '0' })));
  unsubscribe('undici:client:connected', count);
  await few.close();
  expect(opened).toBe(4);
});

test('the kubeconfig of the server leads to it', async () => {
  const other = createKube(await kubeconfigCredentials({ path: server.kubeconfig }, systemClock));
  expect((await other.list(CONFIG_MAPS, { namespace })).items).toEqual([]);
  await other.close();
});
