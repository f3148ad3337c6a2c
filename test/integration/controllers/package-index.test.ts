/** The whole controller on a real API server, with the rights of its account: what its sandboxes are told of their index. */

import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CodeRun } from '../../../src/api/coderun.ts';
import {
  API_VERSION,
  CODE_RUNS,
  LABEL_POOL,
  LABEL_RUN,
  SANDBOX_CLASSES,
  SANDBOX_NAMESPACE,
  SANDBOX_POOLS,
  SYSTEM_NAMESPACE,
} from '../../../src/api/group.ts';
import type { Pod } from '../../../src/api/object.ts';
import { loadConfig } from '../../../src/config.ts';
import type { Service } from '../../../src/core/package-index.ts';
import { createKube, type KubeClient } from '../../../src/kube/client.ts';
import { PODS, SERVICES } from '../../../src/kube/resources.ts';
import { keepCaches } from '../../../src/roles/controller.ts';
import { leadership } from '../../../src/roles/leadership.ts';
import { createStores } from '../../../src/roles/stores.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { createRegistry } from '../../../src/telemetry/metrics.ts';
import { type ApiServer, impersonating, serviceAccountUser, startApiServer } from '../../support/apiserver.ts';
import { createNamespace, install } from '../policy/support.ts';

const log = pino({ level: 'silent' });
const stop = new AbortController();
const namespace = SANDBOX_NAMESPACE;
let server: ApiServer;
let admin: KubeClient;
let account: KubeClient;

beforeAll(async () => {
  server = await startApiServer();
  await createNamespace(await install(server), namespace);
  admin = createKube(server.credentials, { userAgent: 'test' });
  const user = serviceAccountUser(SYSTEM_NAMESPACE, 'controller');
  account = createKube(impersonating(server.credentials, user), { userAgent: 'test' });
  startController();
});

afterAll(async () => {
  stop.abort();
  await Promise.all([admin.close(), account.close()]);
  await server.stop();
});

function startController(): void {
  const stores = createStores(log);
  const role = { config: loadConfig({}), kube: account, stores, log, register: createRegistry() };
  const caches = keepCaches({ kube: account, log, signal: stop.signal }, stores);
  void Promise.allSettled([...caches, leadership(role)(stop.signal, 1)]);
}

async function eventually<T>(look: () => Promise<T | undefined | false>): Promise<T> {
  for (let tries = 0; tries < 200; tries++) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await systemClock.sleep(100);
  }
  throw new Error('it never came');
}

/** A class whose index is a Service of its own name. */
const createClass = (name: string) =>
  admin.create(SANDBOX_CLASSES, {
    apiVersion: API_VERSION,
    kind: 'SandboxClass',
    metadata: { name },
    ...{
      spec: {
        image: 'i',
        network: 'PackageIndex',
        packageIndexURL: `http://${name}.${SYSTEM_NAMESPACE}.svc:8080/simple/`,
      },
    },
  });

const createService = (name: string, inNamespace = SYSTEM_NAMESPACE): Promise<Service> =>
  admin.create<Service>(SERVICES, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: inNamespace },
    ...{ spec: { ports: [{ port: 8080 }] } },
  });

/** What the only pod that the selector finds is told, or false while there are none or more. */
async function aliasesOf(labelSelector: string) {
  const { items } = await admin.list<Pod>(PODS, { namespace, labelSelector });
  const [pod, ...others] = items.filter(({ metadata }) => !metadata.deletionTimestamp);
  return pod !== undefined && others.length === 0 && (pod.spec.hostAliases ?? []);
}

const told = (name: string, { spec }: Service) => [
  { ip: spec.clusterIP, hostnames: [`${name}.${SYSTEM_NAMESPACE}.svc`] },
];

test('a run waits for the Service of its index, says so, and is told its address', async () => {
  await createClass('late');
  await createService('late', namespace);
  const run = await admin.create<CodeRun>(CODE_RUNS, {
    apiVersion: API_VERSION,
    kind: 'CodeRun',
    metadata: { name: 'waits', namespace },
    ...{ spec: { code: '1', className: 'late' } },
  });
  const message = await eventually(async () => {
    const { status } = await admin.get<CodeRun>(CODE_RUNS, namespace, 'waits');
    return status?.conditions?.[0]?.message;
  });
  expect(message).toContain('there is no Service "late" with an address in coderun-system');
  const ofRun = `${LABEL_RUN}=${run.metadata.uid}`;
  expect(await aliasesOf(ofRun)).toBe(false);
  const service = await createService('late');
  expect(await eventually(() => aliasesOf(ofRun))).toEqual(told('late', service));
});

test('a pool replaces sandboxes that know an address of the past, at once', async () => {
  await createClass('moving');
  const first = await createService('moving');
  await admin.create(SANDBOX_POOLS, {
    apiVersion: API_VERSION,
    kind: 'SandboxPool',
    metadata: { name: 'moving', namespace },
    ...{ spec: { className: 'moving', replicas: 1 } },
  });
  const ofPool = `${LABEL_POOL}=moving`;
  expect(await eventually(() => aliasesOf(ofPool))).toEqual(told('moving', first));
  // Until the pool has come to rest.
  await systemClock.sleep(1000);
  await admin.delete(SERVICES, SYSTEM_NAMESPACE, 'moving');
  const second = await createService('moving');
  expect(second.spec.clusterIP).not.toBe(first.spec.clusterIP);
  const changed = systemClock.monotonic();
  const moved = await eventually(async () => {
    const aliases = await aliasesOf(ofPool);
    return aliases && aliases[0]?.ip !== first.spec.clusterIP && aliases;
  });
  expect(moved).toEqual(told('moving', second));
  // By itself the pool would look again when it writes its counts, after five seconds.
  expect(systemClock.monotonic() - changed).toBeLessThan(3000);
});
