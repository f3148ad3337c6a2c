/** Whom a change concerns: keys of the runs and sessions that are to be looked at because of it. */

import type { CodeRun } from '../api/coderun.ts';
import type { Pod } from '../api/object.ts';
import type { ReplSession } from '../api/replsession.ts';
import { keyOf } from '../runtime/keys.ts';
import type { Change } from '../runtime/store.ts';
import { runKeyOf } from './coderun.ts';
import { nextInSession, openSessionOfRun, sessionOfRun } from './in-session.ts';
import { sessionKeyOf } from './session.ts';
import type { Stores } from './stores.ts';
import { RUNS_BY_POD, SESSIONS_BY_POD } from './waiting.ts';

/** Runs that a run concerns: itself, and the next of its session where it is over. */
export function runsByRun(stores: Stores, { type, object }: Change<CodeRun>): string[] {
  const session = sessionOfRun(object);
  const isOver = type === 'DELETED' || openSessionOfRun(object) === undefined;
  return [keyOf(object), ...(session !== undefined && isOver ? nextOf(stores, session) : [])];
}

/** Runs that a session concerns: the one that is executed in it, and the next. */
export function runsBySession(stores: Stores, session: ReplSession): string[] {
  const { podUID } = session.status?.sandbox ?? {};
  const claimed = podUID === undefined ? [] : stores.runs.by(RUNS_BY_POD, podUID).map(keyOf);
  return unique([...claimed, ...nextOf(stores, keyOf(session))]);
}

/** Runs that a pod or the channel to it concerns: made for them, claimed by them, or the place of their session. */
export function runsByPod(stores: Stores, pod: Pod): string[] {
  const own = runKeyOf(pod);
  const claimed = stores.runs.by(RUNS_BY_POD, pod.metadata.uid).map(keyOf);
  const next = sessionsByPod(stores, pod).flatMap((session) => nextOf(stores, session));
  return unique([...(own === undefined ? [] : [own]), ...claimed, ...next]);
}

/** Sessions that a pod or the channel to it concerns. */
export function sessionsByPod(stores: Stores, pod: Pod): string[] {
  const own = sessionKeyOf(pod);
  const claimed = stores.sessions.by(SESSIONS_BY_POD, pod.metadata.uid).map(keyOf);
  return unique([...(own === undefined ? [] : [own]), ...claimed]);
}

function nextOf(stores: Stores, sessionKey: string): string[] {
  const next = nextInSession(stores, sessionKey);
  return next ? [keyOf(next)] : [];
}

const unique = (keys: string[]): string[] => [...new Set(keys)];
