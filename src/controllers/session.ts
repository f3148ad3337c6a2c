/** The controller of ReplSessions: gather the world, decide, write the status where it differs, and only then act. */

import { isDeepStrictEqual } from 'node:util';
import { REPL_SESSIONS } from '../api/group.ts';
import { podName } from '../api/names.ts';
import type { Pod } from '../api/object.ts';
import type { ReplSession, ReplSessionStatus } from '../api/replsession.ts';
import { planSession } from '../core/session.ts';
import type { SessionAction, SessionWorld } from '../core/session-plan.ts';
import { sessionReasonOf } from '../core/session-status.ts';
import { joinKey } from '../runtime/keys.ts';
import type { SessionMetrics } from '../telemetry/metrics.ts';
import { sessionPlace } from './admission.ts';
import type { CodeRunDeps } from './coderun.ts';
import { classOf, findPlace, indexOf, NO_PLACE_NEEDED } from './gather.ts';
import { ignoreGone } from './gone.ts';
import { Memory, type SandboxMemory } from './memory.ts';
import { adoptPod, createPod, deleteOrphans, deletePod, openChannel, ownerKeyOf, resizePod } from './pods.ts';
import { observeSession } from './transitions.ts';

export interface SessionDeps extends Omit<CodeRunDeps, 'metrics'> {
  metrics: SessionMetrics;
}

/** The index of the pods' store that finds pods by the key of the ReplSession that owns them. */
export const PODS_BY_SESSION = 'session';

export const sessionKeyOf = (pod: Pod): string | undefined => ownerKeyOf('ReplSession', pod);

interface SessionMemory extends SandboxMemory {
  /** When how the session is used was last written down. */
  refreshedAt: Date | undefined;
  /** The pod that the session has claimed; of a pool, it may not be the session's own yet. */
  claimed: Pod | undefined;
}

/** Reconciles one ReplSession at a time a key. Throws where the API server refuses; the queue tries again. */
export function sessionReconciler(deps: SessionDeps): (key: string) => Promise<{ after?: number }> {
  const memory = new Memory<SessionMemory>((common) => ({ ...common, refreshedAt: undefined, claimed: undefined }));
  return async (key) => {
    const session = deps.stores.sessions.get(key);
    await deleteOrphans(deps, REPL_SESSIONS, deps.stores.pods.by(PODS_BY_SESSION, key), session);
    await letGo(deps, memory.forget(key, session?.metadata.uid));
    if (!session) {
      deps.admission.followSession(key, undefined);
      return {};
    }
    const known = memory.of(key, session.metadata.uid, session.metadata.creationTimestamp, deps.clock.now());
    const { plan, written } = await decide(deps, key, session, known);
    deps.admission.followSession(key, sessionReasonOf(written) ?? 'Queued');
    for (const action of plan.actions) await act(deps, key, written, known, action);
    return plan.after === undefined ? {} : { after: plan.after };
  };
}

/** The plan, its status written. A sandbox that was offered and not claimed by that write is free again. */
async function decide(deps: SessionDeps, key: string, session: ReplSession, memory: SessionMemory) {
  const world = gather(deps, key, session, memory);
  const { waiting } = world;
  let isKept = false;
  try {
    const plan = planSession(world, deps.clock.now());
    const written = plan.status ? await writeStatus(deps, session, plan.status, memory) : session;
    const isClaimed = waiting !== undefined && written.status?.sandbox?.podUID === waiting.pod.metadata.uid;
    if (waiting && isClaimed) memory.claimed = waiting.pod;
    isKept = isClaimed || plan.keepsOffer === true;
    return { plan, written };
  } finally {
    if (waiting && !isKept) deps.waiting.withdraw(waiting);
  }
}

function gather(deps: SessionDeps, key: string, session: ReplSession, memory: SessionMemory): SessionWorld {
  const { stores, channels, settings, agentCommand, agentVersion, epoch, clock } = deps;
  const { metadata, spec, status } = session;
  const claim = status?.sandbox?.podUID;
  const found = stores.pods.get(joinKey(metadata.namespace, status?.sandbox?.podName ?? podName(metadata)));
  const pod = claim === undefined || found?.metadata.uid === claim ? found : undefined;
  const podUID = claim ?? pod?.metadata.uid;
  const sandboxClass = classOf(stores.classes.list(), spec.className);
  const { hostAliases, refusal } = indexOf(stores, sandboxClass, clock.now());
  const needsPlace = !pod && podUID === undefined && !spec.terminated && !status?.completionTime;
  if (pod && claim !== undefined) memory.claimed = pod;
  return {
    session,
    sandboxClass,
    pod,
    refusedPod: refusal ?? memory.refusedPod,
    channel: podUID === undefined ? undefined : channels.view(podUID, metadata.uid),
    ...(needsPlace ? findPlace(deps, sessionPlace(key), session, sandboxClass) : NO_PLACE_NEEDED),
    refreshedAt: memory.refreshedAt,
    firstSeen: memory.firstSeen,
    agentCommand,
    agentVersion,
    hostAliases,
    epoch,
    settings,
  };
}

async function writeStatus(
  deps: SessionDeps,
  session: ReplSession,
  status: ReplSessionStatus,
  memory: SessionMemory,
): Promise<ReplSession> {
  if (isDeepStrictEqual(session.status, JSON.parse(JSON.stringify(status)))) return session;
  const written = await deps.kube.replaceStatus<ReplSession>(REPL_SESSIONS, { ...session, status });
  deps.stores.sessions.upsert(written);
  if (sessionReasonOf(written) === 'Ready') memory.refreshedAt = deps.clock.now();
  observeSession(deps, session, written, memory.firstSeen);
  return written;
}

/** Carries out one action. Rejects where the API server or the channel refuses. */
async function act(
  deps: SessionDeps,
  key: string,
  session: ReplSession,
  memory: SessionMemory,
  action: SessionAction,
): Promise<void> {
  const { channels, epoch, events, kube } = deps;
  const { namespace, name, uid } = session.metadata;
  switch (action.type) {
    case 'createPod':
      if (await createPod(deps, session, memory, action.pod)) deps.wake(key);
      return;
    case 'resizePod':
      if (!(await resizePod(deps, action.sandbox, action.limits))) deps.wake(key);
      return;
    case 'forgoResize':
      return deps.waiting.forgoResize(action.sandbox);
    case 'openChannel':
      return openChannel(deps, action.pod, action.limits);
    case 'openSession':
      return channels.send(action.podUID, action.command);
    case 'sayHello':
      return channels.send(action.podUID, { hello: { epoch } });
    case 'shutdown':
      return channels.send(action.podUID, { shutdown: { epoch } });
    case 'closeChannel':
      return channels.close(action.podUID);
    case 'adoptPod':
      return adoptPod(deps, namespace, action.name, action.patch);
    case 'deletePod':
      return deletePod(deps, namespace, action.name, action.uid);
    case 'deleteSession':
      return kube.delete(REPL_SESSIONS, namespace, name, { uid, propagationPolicy: 'Background' }).catch(ignoreGone);
    case 'event':
      return events.record(session, action.kind, action.reason, action.note);
  }
}

/** A session that was deleted takes its sandbox along. */
async function letGo(deps: SessionDeps, memory: SessionMemory | undefined): Promise<void> {
  if (!memory?.claimed) return;
  const { namespace, name, uid } = memory.claimed.metadata;
  deps.channels.close(uid);
  await deletePod(deps, namespace, name, uid);
}
