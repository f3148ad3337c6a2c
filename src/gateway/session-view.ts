/** A session as it is answered over HTTP: the fields of its status, flat, and where it stands in one word. */

import { z } from 'zod';
import { findCondition } from '../api/conditions.ts';
import { type ReplSession, type ReplSessionStatus, sessionResultFields } from '../api/replsession.ts';
import { SESSION_REASONS, type SessionReason, type SessionState } from '../api/session-reasons.ts';

export const SessionView = z
  .strictObject({
    name: z.string().describe('Name of the session.'),
    namespace: z.string().describe('Namespace of the session.'),
    state: z.enum(['starting', 'ready', 'ended']).describe('Where the session stands; ended is final.'),
    reason: z
      .string()
      .describe('Why it stands there: Queued, Starting, Ready, IdleTimeout, Terminated, OutOfMemory, …'),
    message: z.string().describe('The reason in a sentence.'),
    ...sessionResultFields,
  })
  .meta({ id: 'Session', description: 'A session. Fields that are not known yet are absent.' });
export type SessionView = z.output<typeof SessionView>;

export function sessionView(session: ReplSession): SessionView {
  const { name, namespace = '' } = session.metadata;
  const { state, reason, message } = standing(session);
  const known = Object.entries(session.status ?? {}).filter(([key]) => Object.hasOwn(sessionResultFields, key));
  const fields: Partial<Pick<ReplSessionStatus, keyof typeof sessionResultFields>> = Object.fromEntries(known);
  return { name, namespace, state, reason, message, ...fields };
}

interface Standing {
  state: SessionState;
  reason: string;
  message: string;
}

export function standing({ status }: ReplSession): Standing {
  const condition = findCondition(status?.conditions, 'Ready');
  if (!condition) return { state: 'starting', reason: 'Queued', message: SESSION_REASONS.Queued.sentence };
  const { reason, message } = condition;
  if (isSessionReason(reason))
    return { state: SESSION_REASONS[reason].state, reason, message: message || SESSION_REASONS[reason].sentence };
  // A newer controller may give reasons that this gateway does not know.
  const state = condition.status === 'True' ? 'ready' : status?.completionTime ? 'ended' : 'starting';
  return { state, reason, message };
}

const isSessionReason = (reason: string): reason is SessionReason => Object.hasOwn(SESSION_REASONS, reason);
