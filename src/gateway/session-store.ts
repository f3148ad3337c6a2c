/** Sessions in the cluster: creating, finding, listing, ending and awaiting them for a caller. */

import { REPL_SESSIONS } from '../api/group.ts';
import type { ReplSession, ReplSessionSpec } from '../api/replsession.ts';
import { isNotFound } from '../kube/error.ts';
import type { Kube } from '../kube/port.ts';
import { checkClassOf } from './auth/classes.ts';
import type { GatewayDeps } from './deps.ts';
import type { Naming } from './idempotency.ts';
import { admitObject, findObject, type Kind } from './objects.ts';
import type { Caller } from './plugins/identify.ts';
import { Problem } from './problem.ts';
import type { SandboxAddress } from './session-bridges.ts';
import { standing } from './session-view.ts';
import { type WaitOptions, waitForObject } from './wait.ts';

const SESSION: Kind = { type: REPL_SESSIONS, word: 'session', notFound: 'SessionNotFound' };

/** Creates a session, where there is room for another: it counts as a run that has not ended. */
export const createSession = (
  deps: Pick<GatewayDeps, 'kube' | 'random' | 'admission' | 'sessions'>,
  caller: Caller,
  spec: ReplSessionSpec,
  naming: Naming,
): Promise<ReplSession> =>
  admitObject<ReplSession>(SESSION, deps, caller, { spec, naming, wanted: { runs: 1 }, watch: deps.sessions });

/** The caller's session of this name: from the watch where that has it, else from the API server. */
export const findSession = (
  { kube, sessions }: Pick<GatewayDeps, 'kube' | 'sessions'>,
  caller: Caller,
  name: string,
): Promise<ReplSession> => findObject(SESSION, kube, sessions, caller, name);

/** Asks for the end of a session; one that has ended stays as it is. */
export async function terminateSession(kube: Kube, session: ReplSession): Promise<ReplSession> {
  if (hasEnded(session)) return session;
  const { namespace, name } = session.metadata;
  const patch = { spec: { terminated: true } };
  try {
    return await kube.patch<ReplSession>(REPL_SESSIONS, namespace, name, patch, { strategy: 'merge' });
  } catch (error) {
    if (isNotFound(error)) throw new Problem('SessionNotFound', 'There is no session of this name (any more).');
    throw error;
  }
}

export const hasEnded = (session: ReplSession): boolean => standing(session).state === 'ended';
const hasSettled = (session: ReplSession): boolean => standing(session).state !== 'starting';

/** The session once it is ready or has ended, or as it stands after the time or at the signal. */
export const settledSession = (
  deps: GatewayDeps,
  session: ReplSession,
  options: Omit<WaitOptions, 'wanted'>,
): Promise<ReplSession> => awaitSession(deps, session, { ...options, wanted: hasSettled });

export async function awaitSession(
  { kube, sessions, clock }: GatewayDeps,
  session: ReplSession,
  options: WaitOptions<ReplSession>,
): Promise<ReplSession> {
  const deps = { kube, clock, type: REPL_SESSIONS, watch: sessions };
  const waited = await waitForObject(deps, session, options);
  if (waited.kind === 'deleted') throw new Problem('SessionDeleted', 'The session was deleted.');
  return waited.object;
}

/** The caller's session of this name, once it takes requests; throws a `Problem` as `readySession` does, or where they may not use it. */
export async function findReadySession(
  deps: GatewayDeps,
  caller: Caller,
  name: string,
  signal: AbortSignal,
): Promise<ReadySession> {
  const session = await findSession(deps, caller, name);
  checkClassOf(caller, session);
  return readySession(deps, session, signal);
}

/** A session that takes requests, and where its sandbox is. */
export interface ReadySession {
  session: ReplSession;
  address: SandboxAddress;
}

const START_RETRY_SECONDS = 2;

/** A session that takes requests: one that is starting is waited for. Throws a `Problem` where it has ended, or does not start in time. */
export async function readySession(deps: GatewayDeps, found: ReplSession, signal: AbortSignal): Promise<ReadySession> {
  const milliseconds = deps.config.limits.executeOverhead;
  const session = await settledSession(deps, found, { milliseconds, signal });
  if (signal.aborted) throw signal.reason;
  const { state, message } = standing(session);
  if (state === 'ended') throw sessionEnded(session);
  const { podName, podUID } = session.status?.sandbox ?? {};
  if (state === 'ready' && podName && podUID)
    return { session, address: { namespace: session.metadata.namespace ?? '', podName, podUID } };
  throw new Problem('SessionStarting', `The session is not ready yet. ${message} Try again in a moment.`, {
    retryAfterSeconds: START_RETRY_SECONDS,
  });
}

export function sessionEnded(session: ReplSession): Problem {
  const { reason, message } = standing(session);
  return new Problem('SessionEnded', `The session has ended (${reason}). ${message} Create another one.`, {
    status: 409,
  });
}
