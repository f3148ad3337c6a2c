/** Who is let in by a real API server: its own tokens, checked by its own RBAC, with no more rights than the gateway has. */

import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SYSTEM_NAMESPACE } from '../../../src/api/group.ts';
import type { KubernetesObject } from '../../../src/api/object.ts';
import { bearerIdentity } from '../../../src/gateway/auth/bearer.ts';
import { KeyStore } from '../../../src/gateway/auth/key-store.ts';
import { API_KEYS_SECRET, newKey, secretData } from '../../../src/gateway/auth/keys.ts';
import { Reviews } from '../../../src/gateway/auth/reviews.ts';
import type { Identify } from '../../../src/gateway/plugins/identify.ts';
import { Problem } from '../../../src/gateway/problem.ts';
import { createKube, type KubeClient } from '../../../src/kube/client.ts';
import { SECRETS } from '../../../src/kube/resources.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { type ApiServer, impersonating, serviceAccountUser, startApiServer } from '../../support/apiserver.ts';
import { type Api, createNamespace, install } from '../policy/support.ts';

const TEAM = 'team';
const RBAC = `/apis/rbac.authorization.k8s.io/v1/namespaces/${TEAM}`;

let server: ApiServer;
let api: Api;
let kube: KubeClient;
let administrator: KubeClient;

beforeAll(async () => {
  server = await startApiServer();
  api = await install(server);
  await createNamespace(api, TEAM);
  administrator = createKube(server.credentials);
  kube = createKube(impersonating(server.credentials, serviceAccountUser(SYSTEM_NAMESPACE, 'gateway')));
  const subjects = [{ kind: 'ServiceAccount', name: 'default', namespace: TEAM }];
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'coderun-view' };
  await api({ method: 'POST', path: `${RBAC}/rolebindings`, body: { metadata: { name: 'view' }, subjects, roleRef } });
});

afterAll(async () => {
  await Promise.all([kube.close(), administrator.close()]);
  await server.stop();
});

const logger = pino({ level: 'silent' });
const identity = (audience?: string): Identify =>
  bearerIdentity({
    keys: new KeyStore({ kube, clock: systemClock, logger }),
    reviews: new Reviews({ kube, clock: systemClock, audience }),
    clock: systemClock,
    anonymousNamespace: undefined,
  });

/** The caller of a request, or the code of the problem that it meets. */
async function callerOf(identify: Identify, text: string, method = 'GET', headers = {}): Promise<unknown> {
  const request = {
    method,
    headers: { authorization: `Bearer ${text}`, ...headers },
    routeOptions: { url: '/v1/runs' },
    is404: false,
  };
  const attempts = { exhausted: false, failed: (problem: Problem) => problem };
  try {
    return await identify(request as unknown as Parameters<Identify>[0], attempts);
  } catch (error) {
    if (error instanceof Problem) return error.code;
    throw error;
  }
}

async function tokenOf(audiences: string[]): Promise<string> {
  const path = `/api/v1/namespaces/${TEAM}/serviceaccounts/default/token`;
  const { body } = await api({ method: 'POST', path, body: { spec: { audiences } } });
  return body.status.token;
}

test('a token may do what the role of its service account lets it, and nothing else', async () => {
  const token = await tokenOf([]);
  const identify = identity();
  expect(await callerOf(identify, token)).toEqual({
    name: `user:system:serviceaccount:${TEAM}:default`,
    namespace: TEAM,
  });
  expect(await callerOf(identify, token, 'POST')).toBe('Forbidden');
  expect(await callerOf(identify, token, 'GET', { 'x-coderun-namespace': 'kube-system' })).toBe('Forbidden');
});

test('a token for another audience is not taken, and one for the audience that is set is', async () => {
  const token = await tokenOf(['coderun']);
  expect(await callerOf(identity(), token)).toBe('Unauthenticated');
  expect(await callerOf(identity('coderun'), token)).toMatchObject({ namespace: TEAM });
  expect(await callerOf(identity('coderun'), await tokenOf([]))).toBe('Unauthenticated');
});

test('what is no token is nobody', async () => {
  expect(await callerOf(identity(), 'x.y.z')).toBe('Unauthenticated');
});

test('the gateway reads the API keys with the rights that it has', async () => {
  const { namespace, name } = API_KEYS_SECRET;
  const { secretText, entry } = newKey(randomBytes, { namespace: TEAM });
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name }, data: secretData(entry) };
  expect(await callerOf(identity(), secretText)).toBe('Unauthenticated');
  await administrator.create<KubernetesObject>(SECRETS, secret);
  expect(await callerOf(identity(), secretText)).toMatchObject({ name: `key:${entry.id}`, namespace: TEAM });
});
