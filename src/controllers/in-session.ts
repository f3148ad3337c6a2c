/** The runs of a session: which of them is next, and what is left to do when one is deleted. */

import type { CodeRun } from '../api/coderun.ts';
import { REPL_SESSIONS } from '../api/group.ts';
import { isFinalReason } from '../api/reasons.ts';
import type { ReplSession } from '../api/replsession.ts';
import { reasonOf } from '../core/coderun.ts';
import type { Home } from '../core/plan.ts';
import { isNotFound } from '../kube/error.ts';
import { joinKey } from '../runtime/keys.ts';
import type { CodeRunDeps } from './coderun.ts';
import type { RunMemory } from './memory.ts';
import type { Stores } from './stores.ts';

/** The index of the runs' store that finds the runs of a session, by its key, which have not ended. */
export const RUNS_BY_SESSION = 'session';

export const sessionOfRun = ({ metadata, spec }: CodeRun): string | undefined =>
  spec.sessionRef && joinKey(metadata.namespace, spec.sessionRef.name);

/** The session of a run that has not ended. */
export function openSessionOfRun(run: CodeRun): string | undefined {
  const reason = reasonOf(run);
  return reason && isFinalReason(reason) ? undefined : sessionOfRun(run);
}

/** UID of the pod that a run has claimed; of a run that has ended in a session, none: the pod is the session's. */
export function podOfRun(run: CodeRun): string | undefined {
  const isOver = run.spec.sessionRef !== undefined && openSessionOfRun(run) === undefined;
  return isOver ? undefined : run.status?.sandbox?.podUID;
}

/** The run whose turn it is in the session: the one that is claimed, or else the oldest. */
export function nextInSession({ runs }: Stores, sessionKey: string): CodeRun | undefined {
  const waiting = runs.by(RUNS_BY_SESSION, sessionKey);
  const created = ({ metadata }: CodeRun) => metadata.creationTimestamp;
  // Of one second, those that were seen first come first.
  const isOlder = (one: CodeRun, other: CodeRun) => created(one) < created(other);
  return (
    waiting.find((run) => reasonOf(run) === 'Running') ??
    waiting.reduce<CodeRun | undefined>((first, run) => (first && !isOlder(run, first) ? first : run), undefined)
  );
}

/** The session of a run and where it stands; undefined for a run that has a sandbox of its own. */
export async function homeOf({ kube, stores, channels }: CodeRunDeps, run: CodeRun): Promise<Home | undefined> {
  const key = sessionOfRun(run);
  if (key === undefined) return undefined;
  const { metadata, status } = run;
  const claim = status?.sandbox?.podUID === undefined ? undefined : status.sandbox;
  const isOpen = openSessionOfRun(run) !== undefined && !claim;
  const session = stores.sessions.get(key) ?? (isOpen ? await findSession(kube, stores, run) : undefined);
  const sandbox = claim ?? session?.status?.sandbox;
  return {
    session,
    pod: sandbox && stores.pods.get(joinKey(metadata.namespace, sandbox.podName)),
    channel: sandbox?.podUID === undefined ? undefined : channels.view(sandbox.podUID, metadata.uid),
    isNext: nextInSession(stores, key)?.metadata.uid === metadata.uid,
  };
}

/** A session that the watch has not shown may have been made just now. */
async function findSession(
  kube: CodeRunDeps['kube'],
  { sessions }: Stores,
  { metadata, spec }: CodeRun,
): Promise<ReplSession | undefined> {
  try {
    const found = await kube.get<ReplSession>(REPL_SESSIONS, metadata.namespace, spec.sessionRef?.name ?? '');
    sessions.upsert(found);
    return found;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** A run that was deleted while it was executed in a session: its program is ended, the session goes on. */
export async function interruptDeleted({ channels, epoch, log }: CodeRunDeps, memory: RunMemory | undefined) {
  if (!memory?.executedIn) return;
  const { executedIn, uid } = memory;
  try {
    await channels.send(executedIn, { interrupt: { id: uid, epoch } });
  } catch (error) {
    log.debug({ err: error }, 'The program of a deleted run could not be interrupted');
  }
  channels.forget(executedIn, uid);
}
