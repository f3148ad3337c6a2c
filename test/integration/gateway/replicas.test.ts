/** Two gateways in front of one API server, one of them cut off again and again under load: each Idempotency-Key is one run. */

import { once } from 'node:events';
import { Agent, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CodeRun } from '../../../src/api/coderun.ts';
import { succeededCondition } from '../../../src/api/conditions.ts';
import { crds } from '../../../src/api/crds.ts';
import { CODE_BATCHES, CODE_RUNS, REPL_SESSIONS, type ResourceType } from '../../../src/api/group.ts';
import type { ReplSession } from '../../../src/api/replsession.ts';
import { Admission } from '../../../src/gateway/admission.ts';
import { GATEWAY_LIMITS } from '../../../src/gateway/deps.ts';
import { buildGateway } from '../../../src/gateway/server.ts';
import { SessionBridges } from '../../../src/gateway/session-bridges.ts';
import { createKube, type KubeClient } from '../../../src/kube/client.ts';
import type { NewObject } from '../../../src/kube/port.ts';
import { BATCH_CENSUS, censusOf, RUN_CENSUS, SESSION_CENSUS } from '../../../src/roles/census.ts';
import { keepCache } from '../../../src/roles/connect.ts';
import { watchObjects } from '../../../src/roles/run-watch.ts';
import { cutBatch, cutRun } from '../../../src/roles/stores.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { type ApiServer, createNamespace, startApiServer, untilServed } from '../../support/apiserver.ts';

const NAMESPACE = 'tenant';
const CLIENTS = 20;
const REQUESTS_EACH = 8;
const CUT_MILLISECONDS = 250;

const log = pino({ level: 'silent' });
const stop = new AbortController();
const background: Promise<unknown>[] = [];
let server: ApiServer;
let kube: KubeClient;

beforeAll(async () => {
  server = await startApiServer();
  kube = createKube(server.credentials);
  const type: ResourceType = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    plural: 'customresourcedefinitions',
    namespaced: false,
  };
  for (const crd of Object.values(crds())) await kube.create(type, crd as NewObject);
  await untilServed(kube, CODE_RUNS);
  await untilServed(kube, CODE_BATCHES);
  await untilServed(kube, REPL_SESSIONS);
  await createNamespace(kube, NAMESPACE);
});

afterAll(async () => {
  stop.abort();
  await Promise.allSettled(background);
  await kube.close();
  await server.stop();
});

/** A gateway with watch caches of its own, as a process has them. */
async function aReplica(port = 0): Promise<FastifyInstance> {
  const runs = watchObjects(log, cutRun, RUN_CENSUS);
  const batches = watchObjects(log, cutBatch, BATCH_CENSUS);
  const sessions = watchObjects(log, (session: ReplSession) => session, SESSION_CENSUS);
  const common = { kube, log, signal: stop.signal };
  background.push(keepCache({ ...common, type: CODE_RUNS, store: runs.store }));
  background.push(keepCache({ ...common, type: CODE_BATCHES, store: batches.store }));
  background.push(keepCache({ ...common, type: REPL_SESSIONS, store: sessions.store }));
  const app = buildGateway({
    kube,
    runs: runs.watch,
    batches: batches.watch,
    sessions: sessions.watch,
    bridges: new SessionBridges({
      exec: () => Promise.reject(new Error('nothing is executed here')),
      clock: systemClock,
      limit: 1,
    }),
    clock: systemClock,
    random: (count) => crypto.getRandomValues(new Uint8Array(count)),
    identify: () => ({ name: 'somebody', namespace: NAMESPACE }),
    admission: new Admission({
      census: censusOf({ runs: runs.store, batches: batches.store, sessions: sessions.store }),
      clock: systemClock,
      queuedRuns: CLIENTS * REQUESTS_EACH,
    }),
    config: {
      sandboxContainer: 'sandbox',
      internetClassName: 'internet',
      packagesClassName: 'packages',
      allowedOrigins: [],
      limits: { ...GATEWAY_LIMITS, drainTimeout: 0 },
    },
    logger: log,
  });
  await app.listen({ host: '127.0.0.1', port });
  return app;
}

const portOf = (app: FastifyInstance): number => (app.server.address() as AddressInfo).port;

/** Ends every run with what its program says, and counts how often it saw one begin. */
async function controller(): Promise<void> {
  const options = { resourceVersion: '0', timeoutSeconds: 300, signal: stop.signal };
  for await (const event of kube.watch<CodeRun>(CODE_RUNS, options)) {
    if (event.type !== 'ADDED' || event.object.status) continue;
    const { object } = event;
    const status = { exitCode: 0, stdout: object.spec.code ?? '' };
    const conditions = [succeededCondition('Completed', '', 1, new Date(), undefined)];
    await kube.replaceStatus(CODE_RUNS, { ...object, status: { ...status, conditions } }).catch(() => undefined);
  }
}

const agent = new Agent();

interface Answer {
  status: number;
  retryAfter: number | undefined;
  body: string;
}

async function post(port: number, path: string, key: string, body: object): Promise<Answer> {
  const headers = { 'content-type': 'application/json', 'idempotency-key': key };
  const sent = request({ port, host: '127.0.0.1', path, method: 'POST', headers, agent });
  sent.end(JSON.stringify(body));
  const [response] = await once(sent, 'response');
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode, retryAfter: Number(response.headers['retry-after']) || undefined, body: text };
}

/** As a client should: again with the same key where there was no answer, or one that says that it may come again. */
async function untilAnswered(ports: number[], path: string, key: string, body: object): Promise<Answer> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = ports[attempt % ports.length] ?? 0;
    const answer = await post(port, path, key, body).catch(() => undefined);
    if (answer && answer.status < 300) return answer;
    if (answer && !JSON.parse(answer.body).retrySafe) throw new Error(answer.body);
    await systemClock.sleep(20);
  }
  throw new Error(`no answer for ${key}`);
}

test('under load each key is one run, whichever replica dies meanwhile, and every client has its answer', async () => {
  background.push(controller().catch(() => undefined));
  const replicas = [await aReplica(), await aReplica()];
  const ports = replicas.map(portOf);
  let cuts = 0;
  const done = new AbortController();
  const killer = (async () => {
    for (let index = 0; !done.signal.aborted; index = 1 - index) {
      await systemClock.sleep(CUT_MILLISECONDS);
      const [victim, port = 0] = [replicas[index], ports[index]];
      victim?.server.closeAllConnections();
      await victim?.close();
      replicas[index] = await aReplica(port);
      cuts++;
    }
  })();

  const clients = Array.from({ length: CLIENTS }, async (_, client) => {
    for (let number = 0; number < REQUESTS_EACH; number++) {
      const key = `${client}-${number}`;
      const isRun = number % 2 === 0;
      const body = isRun ? { code: key } : { code: key, timeout: 30 };
      const answer = await untilAnswered(ports, isRun ? '/v1/runs?wait=30' : '/execute', key, body);
      expect(JSON.parse(answer.body)).toMatchObject(isRun ? { state: 'succeeded', stdout: key } : { stdout: key });
    }
  });
  await Promise.all(clients);
  done.abort();
  await killer;
  await Promise.all(replicas.map((app) => app.close()));

  const { items } = await kube.list<CodeRun>(CODE_RUNS, { namespace: NAMESPACE });
  const codes = items.map(({ spec }) => spec.code);
  expect([codes.length, new Set(codes).size]).toEqual([CLIENTS * REQUESTS_EACH, CLIENTS * REQUESTS_EACH]);
  expect(items.filter(({ spec }) => spec.cancelled)).toEqual([]);
  expect(cuts).toBeGreaterThan(1);
});
