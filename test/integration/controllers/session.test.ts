/**
 * Sessions and the runs in them on a real API server, with all controllers of a leader and the rights of its account.
 * There is no kubelet: the test says that pods run, and agents in memory answer for them.
 */

import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CodeRun, CodeRunSpecInput } from '../../../src/api/coderun.ts';
import {
  API_VERSION,
  CODE_RUNS,
  LABEL_SANDBOX,
  REPL_SESSIONS,
  type ResourceType,
  SANDBOX_CLASSES,
  SANDBOX_POOLS,
  SYSTEM_NAMESPACE,
} from '../../../src/api/group.ts';
import type { Pod } from '../../../src/api/object.ts';
import { isFinalReason } from '../../../src/api/reasons.ts';
import type { ReplSession, ReplSessionSpecInput } from '../../../src/api/replsession.ts';
import type { SandboxPool } from '../../../src/api/sandboxpool.ts';
import { loadConfig } from '../../../src/config.ts';
import { reasonOf } from '../../../src/core/coderun.ts';
import { sessionReasonOf } from '../../../src/core/session-status.ts';
import { createKube, type KubeClient } from '../../../src/kube/client.ts';
import { isNotFound } from '../../../src/kube/error.ts';
import type { Kube } from '../../../src/kube/port.ts';
import { PODS } from '../../../src/kube/resources.ts';
import { keepCaches } from '../../../src/roles/controller.ts';
import { leadership } from '../../../src/roles/leadership.ts';
import { createStores } from '../../../src/roles/stores.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { createRegistry } from '../../../src/telemetry/metrics.ts';
import {
  type ApiServer,
  createNamespace,
  impersonating,
  serviceAccountUser,
  startApiServer,
} from '../../support/apiserver.ts';
import { FakeAgent } from '../../support/fake-agent.ts';
import { install } from '../policy/support.ts';

const log = pino({ level: 'silent' });
const agents = new Map<string, FakeAgent>();
const namespace = 'tenant';
let server: ApiServer;
let admin: KubeClient;
let account: KubeClient;
let leader: { stop: () => Promise<void>; metrics: () => Promise<string> };
let epoch = 0;
const kubelet = new AbortController();

beforeAll(async () => {
  server = await startApiServer();
  await install(server);
  admin = createKube(server.credentials, { userAgent: 'test' });
  const user = serviceAccountUser(SYSTEM_NAMESPACE, 'controller');
  account = createKube(impersonating(server.credentials, user), { userAgent: 'test' });
  await createNamespace(admin, namespace);
  await create(SANDBOX_CLASSES, 'default', { image: 'sandbox:1', runtimeClassName: 'gvisor-nonet' });
  await create(SANDBOX_POOLS, 'warm', { className: 'default', replicas: 2 });
  void actAsKubelet();
  leader = lead();
});

afterAll(async () => {
  await leader.stop();
  kubelet.abort();
  await Promise.all([admin.close(), account.close()]);
  await server.stop();
});

/** The API server, but for `attach`, behind which there would be a kubelet. */
const kube = (): Kube =>
  new Proxy(account, {
    get(target, name) {
      if (name === 'attach') return async (_namespace: string, pod: string) => agentOf(pod).attach();
      const member = Reflect.get(target, name) as unknown;
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });

function agentOf(pod: string): FakeAgent {
  const agent = agents.get(pod);
  if (!agent) throw new Error('the container is not running');
  return agent;
}

/** Has every pod run as soon as it is there. */
async function actAsKubelet(): Promise<void> {
  while (!kubelet.signal.aborted) {
    const { items } = await admin
      .list<Pod>(PODS, { namespace, labelSelector: LABEL_SANDBOX })
      .catch(() => ({ items: [] }));
    for (const pod of items.filter(({ metadata }) => !agents.has(metadata.name))) {
      agents.set(pod.metadata.name, new FakeAgent(() => systemClock.now()));
      const containerStatuses = [containerStatus({ running: {} })];
      const status = { phase: 'Running', containerStatuses };
      await admin.replaceStatus<Pod>(PODS, { ...pod, status }).catch(() => agents.delete(pod.metadata.name));
    }
    await systemClock.sleep(50);
  }
}

const containerStatus = (state: object) => ({
  name: 'sandbox',
  image: 'sandbox:1',
  imageID: '',
  ready: true,
  restartCount: 0,
  state,
});

/** A process that is the leader from now on. */
function lead(): typeof leader {
  const stop = new AbortController();
  const stores = createStores(log);
  const register = createRegistry();
  const caches = keepCaches({ kube: account, log, signal: stop.signal }, stores);
  const role = { config: loadConfig({}), kube: kube(), stores, log, register };
  const term = leadership(role)(stop.signal, ++epoch);
  return {
    stop: async () => {
      stop.abort();
      await Promise.allSettled([term, ...caches]);
    },
    metrics: () => register.metrics(),
  };
}

const create = (type: ResourceType, name: string, spec: object) =>
  admin.create(type, {
    apiVersion: API_VERSION,
    kind: type.kind,
    metadata: { name, ...(type.namespaced && { namespace }) },
    ...{ spec },
  });

const read = (name: string) => admin.get<ReplSession>(REPL_SESSIONS, namespace, name);
const readRun = (name: string) => admin.get<CodeRun>(CODE_RUNS, namespace, name);

async function eventually<T>(look: () => Promise<T | false>, seconds = 30): Promise<T> {
  const deadline = performance.now() + seconds * 1000;
  while (performance.now() < deadline) {
    const found = await look();
    if (found !== false) return found;
    await systemClock.sleep(20);
  }
  throw new Error(`not within ${seconds} s: ${look}`);
}

const untilReason = (name: string, ...reasons: string[]) =>
  eventually(async () => {
    const session = await read(name);
    return reasons.includes(sessionReasonOf(session) ?? '') && session;
  });

const untilEnded = (name: string) =>
  eventually(async () => {
    const run = await readRun(name);
    const reason = reasonOf(run);
    return reason !== undefined && isFinalReason(reason) && run;
  });

const untilFull = () =>
  eventually(async () => {
    const { status } = await admin.get<SandboxPool>(SANDBOX_POOLS, namespace, 'warm');
    const { items } = await admin.list<Pod>(PODS, {
      namespace,
      labelSelector: 'coderun.dev/pool=warm,!coderun.dev/session-uid,!coderun.dev/run-uid',
    });
    return status?.conditions?.[0]?.reason === 'Ready' && items.length === 2;
  });

const createSession = async (name: string, spec: Partial<ReplSessionSpecInput> = {}) => {
  await create(REPL_SESSIONS, name, { className: 'default', ...spec });
  return untilReason(name, 'Ready');
};

const runIn = (session: string, name: string, spec: Partial<CodeRunSpecInput> = {}) =>
  create(CODE_RUNS, name, { code: name, sessionRef: { name: session }, ...spec });

const podOf = async ({ status }: ReplSession): Promise<Pod | undefined> =>
  admin.get<Pod>(PODS, namespace, status?.sandbox?.podName ?? '').catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });

describe('a session', () => {
  test('comes from a pool, and the pool is filled again', async () => {
    await untilFull();
    const session = await createSession('warm');
    expect(session.status).toMatchObject({ sandbox: { warm: true, network: 'None' }, executions: 0 });
    await eventually(async () => {
      const owner = (await podOf(session))?.metadata.ownerReferences?.[0];
      return owner?.uid === session.metadata.uid && true;
    });
    await untilFull();
  });

  test('gets a sandbox of its own where none fits', async () => {
    const session = await createSession('cold', { resources: { memory: '1Gi' } });
    expect(session.status?.sandbox).toMatchObject({ warm: false });
    expect(await podOf(session)).toMatchObject({
      metadata: { labels: { 'coderun.dev/session-uid': session.metadata.uid } },
      spec: { activeDeadlineSeconds: 300 + 3600 + 30 },
    });
  });

  test('executes runs, one at a time and in order', async () => {
    const session = await createSession('order');
    const agent = agentOf(session.status?.sandbox?.podName ?? '');
    const names = ['o-1', 'o-2', 'o-3', 'o-4'];
    for (const name of names) await runIn('order', name);
    const ended = await Promise.all(names.map(untilEnded));
    expect(ended.map(({ status }) => status?.stdout)).toEqual(names);
    expect(agent.begun).toEqual(ended.map(({ metadata }) => metadata.uid));
    expect(new Set(ended.map(({ status }) => status?.sandbox?.podUID))).toEqual(
      new Set([session.status?.sandbox?.podUID]),
    );
  });

  test('and its run go on with the next leader', async () => {
    const session = await createSession('handover');
    const agent = agentOf(session.status?.sandbox?.podName ?? '');
    await runIn('handover', 'h-1', { code: 'hang', timeoutSeconds: 60 });
    await eventually(async () => agent.begun.length === 1);
    await leader.stop();
    leader = lead();
    await runIn('handover', 'h-2');
    const interrupted = async () => {
      await admin.patch(CODE_RUNS, namespace, 'h-1', { spec: { cancelled: true } }, { strategy: 'merge' });
      return Promise.all(['h-1', 'h-2'].map(untilEnded));
    };
    const ended = await interrupted();
    expect(ended.map(reasonOf)).toEqual(['Cancelled', 'Completed']);
    expect(agent.begun).toEqual(ended.map(({ metadata }) => metadata.uid));
    expect(sessionReasonOf(await read('handover'))).toBe('Ready');
  });

  test('ends ten seconds after its last use, exact to two', async () => {
    const session = await createSession('idle', { idleTimeoutSeconds: 10 });
    await systemClock.sleep(3000);
    agentOf(session.status?.sandbox?.podName ?? '').use();
    const used = Date.now();
    const { status } = await untilReason('idle', 'IdleTimeout');
    expect(Math.abs(Date.parse(status?.completionTime ?? '') - used - 10_000)).toBeLessThan(2000);
  });

  test('ends when it is terminated, and so does what runs in it', async () => {
    const session = await createSession('terminated');
    await runIn('terminated', 't-1', { code: 'hang', timeoutSeconds: 60 });
    await eventually(async () => reasonOf(await readRun('t-1')) === 'Running');
    await admin.patch(REPL_SESSIONS, namespace, 'terminated', { spec: { terminated: true } }, { strategy: 'merge' });
    await untilReason('terminated', 'Terminated');
    expect(reasonOf(await untilEnded('t-1'))).toBe('SandboxLost');
    await eventually(async () => (await podOf(session)) === undefined);
    await runIn('terminated', 't-2');
    expect((await untilEnded('t-2')).status).toMatchObject({
      conditions: [{ reason: 'SessionEnded' }],
      retrySafe: true,
    });
  });

  test('is out of memory as soon as its pod says so', async () => {
    const session = await createSession('memory');
    const pod = await podOf(session);
    if (!pod) throw new Error('there is no pod');
    agentOf(pod.metadata.name).kill();
    const terminated = { terminated: { exitCode: 137, reason: 'OOMKilled' } };
    const status = { phase: 'Failed', containerStatuses: [containerStatus(terminated)] };
    await eventually(async () => {
      const current = await podOf(session);
      return (
        current !== undefined && admin.replaceStatus<Pod>(PODS, { ...current, status }).catch(() => false as const)
      );
    });
    expect((await untilReason('memory', 'OutOfMemory')).status?.conditions).toMatchObject([{ status: 'False' }]);
  });

  test('takes its pod along when it is deleted', async () => {
    const session = await createSession('deleted');
    await admin.delete(REPL_SESSIONS, namespace, 'deleted');
    await eventually(async () => (await podOf(session)) === undefined);
  });

  test('is counted', async () => {
    const metrics = await leader.metrics();
    expect(metrics).toMatch(/coderun_sessions\{state="ready"\} [1-9]/);
    expect(metrics).toMatch(/coderun_sessions_ended_total\{reason="IdleTimeout"\} 1/);
  });
});

test('a run in a session that does not exist has not run', async () => {
  await runIn('no-such', 'lost');
  expect((await untilEnded('lost')).status?.conditions?.[0]).toMatchObject({
    reason: 'SessionEnded',
    message: 'spec.sessionRef: there is no ReplSession "no-such" in this namespace',
  });
});
