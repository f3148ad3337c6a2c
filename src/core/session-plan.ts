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

/** What is done for sessions as it is for runs. */
type SharedAction =
  | 'createPod'
  | 'resizePod'
  | 'forgoResize'
  | 'openChannel'
  | 'closeChannel'
  | 'adoptPod'
  | 'deletePod'
  | 'event';

export type SessionAction =
  | Extract<Action, { type: SharedAction }>
  | { type: 'openSession'; podUID: string; command: OpenCommand }
  | { type: 'sayHello'; podUID: string }
  | { type: 'shutdown'; podUID: string }
  | { type: 'deleteSession' };

/** As with runs: the status is written first, where it differs, and nothing else happens unless that write succeeded. */
export interface SessionPlan {
  status?: ReplSessionStatus;
  actions: SessionAction[];
  /** True where the sandbox that was offered is to be kept for the next look. */
  keepsOffer?: boolean;
  /** Look again after this many milliseconds, if nothing changes before. */
  after?: number;
}
