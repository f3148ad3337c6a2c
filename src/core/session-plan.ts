/** World and plan of a ReplSession: what is known, and what is to be done about it. */

import type { ReplSession, ReplSessionStatus } from '../api/replsession.ts';
import type { OpenCommand } from '../sandbox/protocol.ts';
import type { Action, SandboxWorld } from './plan.ts';

/** Everything that a decision on a session is made from, gathered beforehand. */
export interface SessionWorld extends SandboxWorld {
  session: ReplSession;
  /** When this process last wrote down how the session is used. */
  refreshedAt: Date | undefined;
}

export type SessionAction =
  | Extract<Action, { type: 'createPod' | 'openChannel' | 'closeChannel' | 'adoptPod' | 'deletePod' | 'event' }>
  | { type: 'openSession'; podUID: string; command: OpenCommand }
  | { type: 'sayHello'; podUID: string }
  | { type: 'shutdown'; podUID: string }
  | { type: 'deleteSession' };

/** As with runs: the status is written first, where it differs, and nothing else happens unless that write succeeded. */
export interface SessionPlan {
  status?: ReplSessionStatus;
  actions: SessionAction[];
  /** Look again after this many milliseconds, if nothing changes before. */
  after?: number;
}
