/** A gateway that asks for credentials: API keys in a Secret, and tokens that the API server knows, with what they may do. */

import type { KubernetesObject } from '../../src/api/object.ts';
import { API_KEYS_SECRET, type ApiKeyFields, newKey, secretData } from '../../src/gateway/auth/keys.ts';
import type { TokenUser } from '../../src/gateway/auth/reviews.ts';
import { SECRETS } from '../../src/kube/resources.ts';
import type { FakeKube } from './fake-kube.ts';
import { aWorld, NAMESPACE, type WorldOptions } from './gateway-world.ts';

export const bearer = (text: string): Record<string, string> => ({ authorization: `Bearer ${text}` });

export async function aGuardedWorld({ bearer: settings = {}, ...options }: WorldOptions = {}) {
  const world = aWorld({ ...options, bearer: settings });
  const keys = keyring(world.kube);
  const tokens = tokenServer(world.kube);
  return { ...world, ...keys, ...tokens };
}

/** Puts keys into the Secret and takes them out. */
function keyring(kube: FakeKube) {
  let seed = 1;
  const random = (count: number) => Uint8Array.from({ length: count }, () => seed++ % 256);
  const { namespace, name } = API_KEYS_SECRET;
  const change = async (data: Record<string, string | null>) => {
    const exists = kube.all(SECRETS).length > 0;
    if (!exists)
      await kube.create<KubernetesObject>(SECRETS, { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace } });
    await kube.patch(SECRETS, namespace, name, { data }, { strategy: 'merge' });
  };
  return {
    /** Headers of a caller with a new key. */
    async addKey(fields: Partial<ApiKeyFields> = {}) {
      const { secretText, entry } = newKey(random, { namespace: NAMESPACE, ...fields });
      await change(secretData(entry));
      return { ...bearer(secretText), id: entry.id } as { authorization: string; id: string };
    },
    revokeKey: (id: string) => change({ [id]: null }),
  };
}

interface Question {
  spec: {
    token?: string;
    audiences?: string[];
    user?: string;
    resourceAttributes?: { verb: string; resource: string; namespace: string };
  };
}

/** Answers reviews by what it was told, and keeps what it was asked. */
function tokenServer(kube: FakeKube) {
  const users = new Map<string, TokenUser>();
  const rights = new Set<string>();
  const asked: Question['spec'][] = [];
  kube.answer('TokenReview', (question) => {
    const { spec } = question as Question;
    asked.push(spec);
    const user = users.get(spec.token ?? '');
    return { status: user ? { authenticated: true, user, audiences: spec.audiences ?? [] } : { authenticated: false } };
  });
  kube.answer('SubjectAccessReview', (question) => {
    const { spec } = question as Question;
    asked.push(spec);
    const { verb = '', resource = '', namespace = '' } = spec.resourceAttributes ?? {};
    return { status: { allowed: rights.has(`${spec.user} ${verb} ${resource} ${namespace}`) } };
  });
  return {
    asked,
    addToken: (token: string, user: TokenUser) => void users.set(token, user),
    revokeToken: (token: string) => void users.delete(token),
    /** `USER VERB RESOURCE NAMESPACE`. */
    allow: (right: string) => void rights.add(right),
    forbid: (right: string) => void rights.delete(right),
  };
}
