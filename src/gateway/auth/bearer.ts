/** Who is asking, by `Authorization: Bearer`: an API key, or a token of Kubernetes; without it, the anonymous caller if there is one. */

import type { FastifyRequest } from 'fastify';
import { ObjectName } from '../../api/schema.ts';
import { KubeError } from '../../kube/error.ts';
import type { Clock } from '../deps.ts';
import { type Attempts, type Caller, type Identify, unauthenticated } from '../plugins/identify.ts';
import { fieldError, Problem } from '../problem.ts';
import { accessOf } from './access.ts';
import type { KeyStore } from './key-store.ts';
import { type ApiKeyEntry, checkKey, isKeyText, parseKey } from './keys.ts';
import type { Reviews, TokenUser } from './reviews.ts';

export const NAMESPACE_HEADER = 'x-coderun-namespace';

export interface BearerDeps {
  keys: Pick<KeyStore, 'find'>;
  reviews: Pick<Reviews, 'isKnown' | 'user' | 'mayAccess'>;
  clock: Pick<Clock, 'now'>;
  /** Where callers without credentials work; undefined means that there are none. */
  anonymousNamespace: string | undefined;
}

const RETRY_MILLISECONDS = 1000;

const MISSING = 'Send Authorization: Bearer with an API key or a token of Kubernetes.';
/** One sentence for all: nothing tells a key that has expired from one that never was. */
const UNKNOWN = 'These credentials are not known, or have expired.';

export const bearerIdentity =
  (deps: BearerDeps): Identify =>
  async (request, attempts) => {
    const { authorization } = request.headers;
    if (authorization === undefined) return anonymous(deps, request);
    const text = /^Bearer ([A-Za-z0-9._~+/=-]{1,8192})$/i.exec(authorization)?.[1];
    if (text === undefined) throw attempts.failed(unauthenticated(MISSING));
    const callerOfText = isKeyText(text) ? keyCaller : tokenCaller;
    try {
      return await callerOfText(deps, text, request, attempts);
    } catch (error) {
      throw error instanceof KubeError ? notChecked(error) : error;
    }
  };

/** Nothing of the request has been done yet, whatever it asks for. */
const notChecked = (cause: KubeError): Problem =>
  new Problem('ClusterUnavailable', 'Your credentials can not be checked now; try again in a moment.', {
    cause,
    retryAfterSeconds: Math.ceil((cause.retryAfterMilliseconds ?? RETRY_MILLISECONDS) / 1000),
  });

function anonymous({ anonymousNamespace }: BearerDeps, request: FastifyRequest): Caller {
  if (anonymousNamespace === undefined) throw unauthenticated(MISSING);
  return within({ name: 'anonymous', namespace: anonymousNamespace }, request);
}

async function keyCaller(deps: BearerDeps, text: string, request: FastifyRequest, attempts: Attempts): Promise<Caller> {
  const shown = parseKey(text);
  const entry = shown && checkKey(await deps.keys.find(shown.id), shown, deps.clock.now());
  if (!entry) throw attempts.failed(unauthenticated(UNKNOWN));
  return within(callerOf(entry), request);
}

function callerOf({ id, namespace, classes, requestsPerMinute, concurrentRuns }: ApiKeyEntry): Caller {
  return {
    name: `key:${id}`,
    keyId: id,
    namespace,
    ...(classes && { classes }),
    ...(requestsPerMinute !== undefined && { requestsPerMinute }),
    ...(concurrentRuns !== undefined && { concurrentRuns }),
  };
}

/** The caller, who has but one namespace and may name no other. */
function within(caller: Caller, request: FastifyRequest): Caller {
  if ([undefined, caller.namespace].includes(namedNamespace(request))) return caller;
  throw notAllowed(`You may work in the namespace ${caller.namespace} only; leave the header out.`);
}

async function tokenCaller(
  { reviews }: BearerDeps,
  token: string,
  request: FastifyRequest,
  attempts: Attempts,
): Promise<Caller> {
  // Whoever guesses must not keep the API server busy; whoever is known is let through.
  if (attempts.exhausted && !reviews.isKnown(token)) throw attempts.failed(unauthenticated(UNKNOWN));
  const user = await reviews.user(token);
  if (!user) throw attempts.failed(unauthenticated(UNKNOWN));
  const namespace = namedNamespace(request) ?? ownNamespace(user);
  if (namespace === undefined) {
    const errors = [fieldError('header', NAMESPACE_HEADER, 'is missing')];
    throw new Problem('InvalidRequest', `Say in the header ${NAMESPACE_HEADER} which namespace to work in.`, {
      errors,
    });
  }
  await authorize(reviews, user, namespace, request);
  return { name: `user:${user.username}`, namespace };
}

async function authorize(
  reviews: Pick<Reviews, 'mayAccess'>,
  user: TokenUser,
  namespace: string,
  { method, routeOptions, is404 }: FastifyRequest,
): Promise<void> {
  if (is404) return;
  const access = accessOf(method, routeOptions.url ?? '');
  if (access && (await reviews.mayAccess(user, access, namespace))) return;
  if (!access) throw new Problem('Forbidden', 'This path is not open to tokens of Kubernetes; send an API key.');
  throw notAllowed(`You may not ${access.verb} ${access.resource} in the namespace ${namespace}.`);
}

const notAllowed = (detail: string): Problem =>
  new Problem('Forbidden', detail, { errors: [fieldError('header', NAMESPACE_HEADER, 'is not allowed')] });

function namedNamespace({ headers }: FastifyRequest): string | undefined {
  const named = headers[NAMESPACE_HEADER];
  if (named === undefined) return undefined;
  const { success, data } = ObjectName.safeParse(named);
  if (success) return data;
  const errors = [fieldError('header', NAMESPACE_HEADER, 'is not the name of a namespace')];
  throw new Problem('InvalidRequest', `${NAMESPACE_HEADER}: is not the name of a namespace.`, { errors });
}

/** A service account works in its own namespace; other users have none. */
const ownNamespace = ({ username }: TokenUser): string | undefined =>
  /^system:serviceaccount:([a-z0-9][-a-z0-9]{0,62}):[^:]+$/.exec(username)?.[1];
