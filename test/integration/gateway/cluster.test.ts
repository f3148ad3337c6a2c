/** The gateway on a real API server: what it creates, waits for and cancels is what the CRDs take, and so are its refusals. */

import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CodeBatch } from '../../../src/api/codebatch.ts';
import { CODE_LIMIT_BYTES, type CodeRun, SPEC_LIMIT_BYTES } from '../../../src/api/coderun.ts';
import { succeededCondition } from '../../../src/api/conditions.ts';
import { crds } from '../../../src/api/crds.ts';
import { CODE_BATCHES, CODE_RUNS, REPL_SESSIONS, type ResourceType, SANDBOX_CLASSES } from '../../../src/api/group.ts';
import type { KubernetesObject } from '../../../src/api/object.ts';
import type { Reason } from '../../../src/api/reasons.ts';
import type { ReplSession } from '../../../src/api/replsession.ts';
import { Admission } from '../../../src/gateway/admission.ts';
import { GATEWAY_LIMITS, type ObjectWatch } from '../../../src/gateway/deps.ts';
import { buildGateway } from '../../../src/gateway/server.ts';
import { SessionBridges } from '../../../src/gateway/session-bridges.ts';
import { createKube, type KubeClient } from '../../../src/kube/client.ts';
import type { Kube, NewObject } from '../../../src/kube/port.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import {
  type ApiServer,
  createNamespace,
  impersonating,
  startApiServer,
  untilServed,
} from '../../support/apiserver.ts';

const NAMESPACE = 'tenant';
const CRDS: ResourceType = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};

let server: ApiServer;
let kube: KubeClient;
let app: FastifyInstance;
const stop = new AbortController();

beforeAll(async () => {
  server = await startApiServer();
  kube = createKube(server.credentials);
  for (const crd of Object.values(crds())) await kube.create(CRDS, crd as NewObject);
  await untilServed(kube, CODE_RUNS);
  await untilServed(kube, SANDBOX_CLASSES);
  await createNamespace(kube, NAMESPACE);
  app = gateway(kube, NAMESPACE);
});

afterAll(async () => {
  stop.abort();
  await app.close();
  await kube.close();
  await server.stop();
});

function gateway(client: Kube, namespace: string): FastifyInstance {
  let name = 0;
  return buildGateway({
    kube: client,
    runs: watchAll<CodeRun>(client, CODE_RUNS),
    batches: watchAll<CodeBatch>(client, CODE_BATCHES),
    sessions: watchAll<ReplSession>(client, REPL_SESSIONS),
    bridges: new SessionBridges({
      exec: () => Promise.reject(new Error('no sandboxes')),
      clock: systemClock,
      limit: 1,
    }),
    clock: systemClock,
    random: (count) => Uint8Array.from({ length: count }, () => name++ % 251),
    identify: () => ({ name: 'somebody', namespace }),
    admission: new Admission({ census: { waiting: () => 0, unfinished: () => 0 }, clock: systemClock, queuedRuns: 1 }),
    config: {
      sandboxContainer: 'sandbox',
      internetClassName: 'internet',
      packagesClassName: 'packages',
      allowedOrigins: [],
      limits: GATEWAY_LIMITS,
    },
    logger: pino({ level: 'silent' }),
  });
}

/** One watch for all; it starts with the first listener, and keeps nothing. */
function watchAll<T extends KubernetesObject>(client: Kube, type: ResourceType): ObjectWatch<T> {
  const listeners = new Set<{ name: string; listener: (object: T | undefined) => void }>();
  let watching = false;
  const watch = async () => {
    const options = { resourceVersion: '0', timeoutSeconds: 300, signal: stop.signal };
    for await (const event of client.watch<T>(type, options)) {
      if (event.type === 'BOOKMARK') continue;
      const object = event.type === 'DELETED' ? undefined : event.object;
      for (const one of listeners) if (one.name === event.object.metadata.name) one.listener(object);
    }
  };
  return {
    get: () => undefined,
    onChange(_namespace, name, listener) {
      const entry = { name, listener };
      listeners.add(entry);
      if (!watching) watch().catch(() => undefined);
      watching = true;
      return { [Symbol.dispose]: () => listeners.delete(entry) };
    },
  };
}

const post = (url: string, payload: object) => app.inject({ method: 'POST', url, payload });

/** What a controller would write. */
async function finish(name: string, reason: Reason, status: object = {}): Promise<void> {
  const run = await kube.get<CodeRun>(CODE_RUNS, NAMESPACE, name);
  const condition = succeededCondition(reason, '', 1, new Date(), undefined);
  await kube.replaceStatus(CODE_RUNS, { ...run, status: { ...status, conditions: [condition] } });
}

async function newRun(prefix: string): Promise<string> {
  for (;;) {
    const { items } = await kube.list<CodeRun>(CODE_RUNS, { namespace: NAMESPACE });
    const name = items.map(({ metadata }) => metadata.name).find((candidate) => candidate.startsWith(prefix));
    if (name) return name;
    await systemClock.sleep(10);
  }
}

test('POST /execute makes a CodeRun and answers its end', async () => {
  const pending = post('/execute', { code: 'print(6*7)', timeout: 5 });
  await finish(await newRun('execute-'), 'Completed', { exitCode: 0, stdout: '42\n' });
  expect((await pending).json()).toEqual({ success: true, stdout: '42\n', stderr: '', returncode: 0 });
});

const EVERY_FIELD = {
  code: 'print(1)',
  language: 'bash',
  timeoutSeconds: 10,
  stdin: 'x',
  args: ['a', ''],
  env: [{ name: 'A', value: '\u0001é' }],
  files: [
    { path: 'a/b.txt', content: 'x' },
    { path: 'c', contentBase64: 'AA==' },
  ],
  artifacts: ['*.png'],
  ttlSecondsAfterFinished: 60,
};

test.each([
  [
    'every-field',
    {
      ...EVERY_FIELD,
      className: 'default',
      resources: { cpu: '500m', memory: '64Mi' },
      packages: ['humanize==4.9.0'],
    },
  ],
  ['every-field-in-a-session', { ...EVERY_FIELD, sessionRef: { name: 's1' } }],
])('a run with every field is taken as it is (%s)', async (name, body) => {
  const answer = await post('/v1/runs', { ...body, name });
  const { spec } = await kube.get<CodeRun>(CODE_RUNS, NAMESPACE, name);
  expect([answer.statusCode, spec]).toEqual([201, { ...body, cancelled: false }]);
});

test('cancelling is the one change that the API server takes', async () => {
  await post('/v1/runs', { code: '1', name: 'cancelled' });
  const answer = await app.inject({ method: 'DELETE', url: '/v1/runs/cancelled' });
  const { spec } = await kube.get<CodeRun>(CODE_RUNS, NAMESPACE, 'cancelled');
  expect([answer.statusCode, spec.cancelled]).toEqual([200, true]);
});

test('a name that is taken and a page that does not exist are said to be so', async () => {
  await post('/v1/runs', { code: '1', name: 'taken' });
  expect((await post('/v1/runs', { code: '1', name: 'taken' })).json()).toMatchObject({ status: 409, field: 'name' });
  const page = await app.inject({ url: '/v1/runs?continue=nonsense' });
  expect(page.json()).toMatchObject({ status: 400, code: 'InvalidRequest', field: 'continue' });
});

test('pages hold every run once', async () => {
  for (let index = 0; index < 3; index++) await post('/v1/runs', { code: '1', name: `page-${index}` });
  const names: string[] = [];
  for (let next = ''; ; ) {
    const { items, continue: more } = (await app.inject({ url: `/v1/runs?limit=2${next}` })).json();
    names.push(...items.map(({ name }: { name: string }) => name));
    if (!more) break;
    next = `&continue=${encodeURIComponent(more)}`;
  }
  const { items } = await kube.list<CodeRun>(CODE_RUNS, { namespace: NAMESPACE });
  expect(names.sort()).toEqual(items.map(({ metadata }) => metadata.name).sort());
});

test.each([
  ['plain', 'x'],
  ['of characters that the API server escapes', '<'],
])('the largest runs, %s, can be stored with the largest status', async (kind, character) => {
  const stored = character === '<' ? 6 : 1;
  const room = Math.floor((SPEC_LIMIT_BYTES - 2000) / stored);
  const code = character.repeat(Math.min(room, CODE_LIMIT_BYTES));
  const stdin = character.repeat(Math.max(0, room - code.length));
  const name = `large-${kind.length}`;
  expect((await post('/v1/runs', { code, stdin, name })).statusCode).toBe(201);
  await finish(name, 'Completed', { stdout: 'x'.repeat(500_000) });
});

test('a caller whom the cluster does not let is told so, and nothing of who the gateway is', async () => {
  const nobody = createKube(impersonating(server.credentials, 'nobody'));
  const answer = await gateway(nobody, NAMESPACE).inject({ method: 'POST', url: '/execute', payload: { code: '1' } });
  await nobody.close();
  expect(answer.json()).toMatchObject({ status: 403, code: 'Forbidden' });
  expect(answer.body).not.toContain('nobody');
});

test('a namespace that is not there is not the caller to blame for', async () => {
  const answer = await gateway(kube, 'missing').inject({ method: 'POST', url: '/execute', payload: { code: '1' } });
  expect(answer.json()).toMatchObject({ status: 503, code: 'ClusterUnavailable' });
});
