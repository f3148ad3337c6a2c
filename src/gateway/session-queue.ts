/** Requests that a session carries out one at a time: each is waited for as long as it may take and somebody wants it. */

import type { ReplSession } from '../api/replsession.ts';
import { type Bridge, BridgeBroken, type BridgeDone } from '../sandbox/bridge.ts';
import type { BridgeCommand } from '../sandbox/bridge-protocol.ts';
import type { GatewayDeps } from './deps.ts';
import { Problem } from './problem.ts';
import { onAbort, type Tell } from './session-calls.ts';
import { silent } from './session-problem.ts';
import { hasEnded } from './session-store.ts';

/** The session has ended, or was deleted, in the middle of it. */
export class SessionOver extends BridgeBroken {
  constructor() {
    super(true, 'the session has ended');
  }
}

export interface QueuedOptions {
  /** How long it may take from its first sign of life, in seconds. */
  timeoutSeconds: number;
  /** True lets it go on where the signal aborts. */
  detach: boolean;
  /** Aborts with the `Problem` to be answered. */
  signal: AbortSignal;
  /** Told of everything that comes before the end, as it comes. */
  tell: Tell;
}

/** How long a request may wait for those before it. */
const QUEUE_MILLISECONDS = 3_600_000;
/** Beyond its own timeout a program is given so long to be ended, and its interpreter to be restarted. */
const GRACE_MILLISECONDS = 15_000;
/** How long an ended session may still have something to say over its bridge. */
const FAREWELL_MILLISECONDS = 500;

/** Rejects with `BridgeFailed`, with `BridgeBroken` where the sandbox is gone, or with a `Problem`. */
export async function queuedCall(
  { clock, sessions }: GatewayDeps,
  session: ReplSession,
  bridge: Bridge,
  command: BridgeCommand,
  { timeoutSeconds, detach, signal, tell }: QueuedOptions,
): Promise<BridgeDone> {
  const { promise: givenUp, reject } = Promise.withResolvers<never>();
  using cleanup = new DisposableStack();
  const giveUp = (why: unknown): void => {
    if (!detach && bridge.isOpen) bridge.call({ interrupt: { id: call.id } });
    reject(why);
  };
  const within = (milliseconds: number) => clock.after(milliseconds, () => giveUp(silent()));
  let deadline = within(QUEUE_MILLISECONDS);
  let begun = false;
  cleanup.defer(() => deadline[Symbol.dispose]());
  const call = bridge.call(command, (event) => {
    if (!begun) {
      begun = true;
      deadline[Symbol.dispose]();
      deadline = within(timeoutSeconds * 1000 + GRACE_MILLISECONDS);
    }
    tell(event);
  });
  cleanup.use(onAbort(signal, () => giveUp(leaving(signal.reason, detach))));
  const onEnd = () => cleanup.use(clock.after(FAREWELL_MILLISECONDS, () => reject(new SessionOver())));
  cleanup.use(onceEnded(sessions, session, onEnd));
  return await Promise.race([call.done, givenUp]);
}

/** The request has been sent by then: it must not look as if it could be sent again. */
function leaving(reason: unknown, detach: boolean): unknown {
  if (!(reason instanceof Problem && reason.code === 'ShuttingDown')) return reason;
  const fate = detach ? 'goes on without its client' : 'is interrupted';
  return new Problem('ShuttingDown', `This gateway is shutting down; what was sent to the session ${fate}.`, {
    retrySafe: false,
  });
}

/** Calls `run` once when the session has ended or is gone. */
function onceEnded(sessions: GatewayDeps['sessions'], { metadata }: ReplSession, run: () => void): Disposable {
  const { namespace = '', name, uid } = metadata;
  let seen = sessions.get(namespace, name)?.metadata.uid === uid;
  const listener = sessions.onChange(namespace, name, (changed) => {
    const isOurs = changed?.metadata.uid === uid;
    const gone = isOurs ? hasEnded(changed) : seen;
    // Another of the same name may be an older one, which the watch has yet to forget.
    seen ||= isOurs;
    if (!gone) return;
    listener[Symbol.dispose]();
    run();
  });
  return listener;
}
