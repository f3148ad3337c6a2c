/** What it takes to order a run of a session: whether the session is there, what it gives, and the order itself. */

import type { ReplSession } from '../api/replsession.ts';
import { SESSION_REASONS } from '../api/session-reasons.ts';
import type { ChannelView } from '../sandbox/channels.ts';
import { executeCommand } from './execute.ts';
import type { Action, World } from './plan.ts';
import { checkRun, checkSession, type RunRequest } from './request.ts';
import { sessionReasonOf } from './session-status.ts';

/** Why the session takes nothing any more; undefined where it does or will. */
export function whyGone({ run }: World, session: ReplSession | undefined): string | undefined {
  const name = run.spec.sessionRef?.name;
  if (!session) return `spec.sessionRef: there is no ReplSession "${name}" in this namespace`;
  const reason = sessionReasonOf(session);
  if (!reason || !SESSION_REASONS[reason].final) return undefined;
  return `spec.sessionRef: ReplSession "${name}" has ended (${reason}); make a new one`;
}

/** What the run asks for; memory is what the session has. */
export function checkInSession({ run, sandboxClass }: World, session: ReplSession): ReturnType<typeof checkRun> {
  const checked = checkRun(run, sandboxClass);
  const given = checkSession(session, sandboxClass);
  if ('refusal' in checked) return checked;
  return { request: { ...checked.request, ...('request' in given && given.request) } };
}

/** The order to execute; with `again`, the agent may have been given it before. */
export function order(world: World, { podUID }: ChannelView, request: RunRequest, again: boolean): Action[] {
  const { run, sandboxClass, code, epoch } = world;
  if (!sandboxClass || 'missing' in code) return [];
  const command = executeCommand(run, sandboxClass, request, code.text, epoch);
  return [{ type: 'execute', podUID, command, again }];
}
