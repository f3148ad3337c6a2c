/** Requests to the agent of a session: over the bridge that is held, and again over a fresh one where they were not sent. */

import type { ReplSession } from '../api/replsession.ts';
import { type Bridge, BridgeBroken, type BridgeDone, type BridgeProgress } from '../sandbox/bridge.ts';
import type { BridgeCommand } from '../sandbox/bridge-protocol.ts';
import type { GatewayDeps } from './deps.ts';
import { Problem } from './problem.ts';
import { SandboxUnreachable } from './session-bridges.ts';
import { silent, unknownState } from './session-problem.ts';
import { awaitSession, hasEnded, type ReadySession, sessionEnded } from './session-store.ts';

/** How long the controller is given to say why a sandbox fell silent. */
const VERDICT_MILLISECONDS = 3000;
const RETRY_SECONDS = 2;
/** For whatever waits for no other request. */
const CALL_MILLISECONDS = 30_000;

/** Runs `use` with an open bridge; a second time with a fresh one where the first had ended before anything was sent. */
export async function withBridge<T>(
  deps: GatewayDeps,
  { session, address }: ReadySession,
  signal: AbortSignal,
  use: (bridge: Bridge) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      using lease = await deps.bridges.lease(address);
      signal.throwIfAborted();
      return await use(lease.bridge);
    } catch (error) {
      if (!isUnsent(error)) throw error;
      if (error instanceof BridgeBroken && attempt === 1) continue;
      throw await unreachable(deps, session, error, signal);
    }
  }
}

/** One request that is answered at once. Rejects with a `Problem`, or with `BridgeFailed`. */
export async function callSession(
  deps: GatewayDeps,
  ready: ReadySession,
  command: BridgeCommand,
  signal: AbortSignal,
): Promise<BridgeDone> {
  try {
    return await withBridge(deps, ready, signal, (bridge) => soon(deps, bridge.call(command).done, signal));
  } catch (error) {
    throw error instanceof BridgeBroken ? unknownState(error) : error;
  }
}

/** What `promise` gives; a rejection with a `Problem` at the signal, or where it takes longer than a sandbox may. */
export async function soon<T>({ clock }: GatewayDeps, promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  using cleanup = new DisposableStack();
  cleanup.use(clock.after(CALL_MILLISECONDS, () => reject(silent())));
  cleanup.use(onAbort(signal, () => reject(signal.reason)));
  return await Promise.race([promise, late]);
}

export function onAbort(signal: AbortSignal, run: () => void): Disposable {
  if (signal.aborted) run();
  else signal.addEventListener('abort', run, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', run) };
}

export type Tell = (event: BridgeProgress) => void;

const isUnsent = (error: unknown): boolean =>
  error instanceof SandboxUnreachable || (error instanceof BridgeBroken && !error.sent);

/** What is answered where nothing could be asked of the sandbox. */
export async function unreachable(
  deps: GatewayDeps,
  session: ReplSession,
  cause: unknown,
  signal: AbortSignal,
): Promise<Problem> {
  const ended = await verdict(deps, session, signal);
  if (ended) return sessionEnded(ended);
  const detail = 'The sandbox of the session does not answer at the moment; nothing was done. Try again in a moment.';
  return new Problem('SandboxUnreachable', detail, { cause, retryAfterSeconds: RETRY_SECONDS });
}

/** The session as ended, where the cluster says so within a moment. */
export async function verdict(
  deps: GatewayDeps,
  session: ReplSession,
  signal: AbortSignal,
): Promise<ReplSession | undefined> {
  const options = { wanted: hasEnded, milliseconds: VERDICT_MILLISECONDS, signal };
  const latest = await awaitSession(deps, session, options);
  return hasEnded(latest) ? latest : undefined;
}
