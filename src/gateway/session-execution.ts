/** An execution in a session, from its request to its answer, whatever becomes of client, connection and sandbox. */

import { MIB } from '../api/schema.ts';
import { BridgeBroken, BridgeFailed, type BridgeProgress } from '../sandbox/bridge.ts';
import { Transcript } from '../sandbox/transcript.ts';
import type { GatewayDeps } from './deps.ts';
import { type ExecuteInSession, type ExecutionView, executionView, saidOf } from './execution-view.ts';
import { type Tell, verdict, withBridge } from './session-calls.ts';
import { failureProblem, unknownState } from './session-problem.ts';
import { queuedCall, SessionOver } from './session-queue.ts';
import type { ReadySession } from './session-store.ts';
import { standing } from './session-view.ts';

/** Of what one execution says, so much is answered. */
const LIMITS = { outputBytes: MIB, resultBytes: 8 * MIB };

export interface ExecutionOptions {
  /** Aborts with the `Problem` to be answered. */
  signal: AbortSignal;
  /** Told of everything that comes before the end, as it comes. */
  tell?: Tell;
}

/** How the program ended, which may be with its sandbox. Rejects with a `Problem` where it did not run, or where that can't be told. */
export async function executeInSession(
  deps: GatewayDeps,
  ready: ReadySession,
  { code, language, timeoutSeconds, context, stdin, detach }: ExecuteInSession,
  { signal, tell }: ExecutionOptions,
): Promise<ExecutionView> {
  const heard = new Heard();
  const given = { ...(context !== undefined && { context }), ...(stdin !== undefined && { stdin }) };
  const command = { execute: { language, code, timeoutSeconds, detach, ...given } };
  const options = {
    timeoutSeconds,
    detach,
    signal,
    tell: (event: BridgeProgress) => {
      heard.add(event);
      tell?.(event);
    },
  };
  try {
    const { exit } = await withBridge(deps, ready, signal, (bridge) =>
      queuedCall(deps, ready.session, bridge, command, options),
    );
    if (!exit) throw unknownState();
    return executionView(heard.transcript, exit);
  } catch (error) {
    if (error instanceof BridgeFailed) return neverRun(error, heard);
    if (error instanceof BridgeBroken) return await lost(deps, ready, heard, { error, signal });
    throw error;
  }
}

/** What is known of an execution that goes on. */
class Heard {
  readonly transcript = new Transcript('execution', LIMITS);
  executionCount: number | undefined;

  add(event: BridgeProgress): void {
    const { id } = this.transcript;
    if ('started' in event) this.executionCount = event.started.executionCount;
    else if ('stdout' in event || 'stderr' in event || 'result' in event) this.transcript.add({ ...event, id });
  }
}

function neverRun(failure: BridgeFailed, { transcript }: Heard): ExecutionView {
  if (failure.reason !== 'Interrupted') throw failureProblem(failure);
  const message = 'The execution was interrupted before its turn.';
  return { ...saidOf(transcript), reason: 'Cancelled', message, stateKept: true };
}

/** The connection broke: with its sandbox, which the controller will see as well, or else by itself. */
async function lost(
  deps: GatewayDeps,
  { session, address }: ReadySession,
  { transcript, executionCount }: Heard,
  { error, signal }: { error: BridgeBroken; signal: AbortSignal },
): Promise<ExecutionView> {
  const ending = verdict(deps, session, signal);
  const lives =
    !(error instanceof SessionOver) && (await Promise.race([deps.bridges.reaches(address), ending.then(() => false)]));
  if (signal.aborted) throw signal.reason;
  if (lives) throw unknownState(error);
  const ended = await ending;
  const message = 'The sandbox fell silent in the middle of the execution.';
  return {
    ...saidOf(transcript),
    ...(ended ? reasonOfEnd(standing(ended)) : { reason: 'SandboxLost', message }),
    ...(executionCount !== undefined && { executionCount }),
    stateKept: false,
  };
}

const reasonOfEnd = ({ reason, message }: { reason: string; message: string }) => ({
  reason: ENDS[reason] ?? reason,
  message: `The session has ended. ${message}`,
});

/** Ends of a session that are told of an execution in another word. */
const ENDS: { [reason: string]: string } = { Terminated: 'Cancelled', LifetimeExceeded: 'Cancelled' };
