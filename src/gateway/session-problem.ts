/** What the agent of a session refuses, and what becomes of a request whose connection broke, as problems. */

import type { BridgeBroken, BridgeFailed } from '../sandbox/bridge.ts';
import type { BridgeFailure } from '../sandbox/bridge-protocol.ts';
import { type AnsweredCode, type ErrorCode, Problem } from './problem.ts';

const BUSY_SECONDS = 1;

/** What every route answers that asks something of the sandbox of a session, beside what the session is found by. */
export const SESSION_PROBLEMS: readonly AnsweredCode[] = [
  'ClassNotAllowed',
  'SessionEnded:409',
  'SandboxFailed',
  'StateUnknown',
  'SessionStarting',
  'SandboxUnreachable',
];

/** The same for what is asked about a path. */
export const FILE_PROBLEMS: readonly AnsweredCode[] = ['PathNotAllowed', 'FileNotFound'];

type Rows = Record<BridgeFailure, { code: ErrorCode; detail: string }>;

const FAILURES: Rows = {
  Invalid: { code: 'InvalidRequest', detail: 'The session can not do this as it is asked.' },
  Busy: { code: 'SessionBusy', detail: 'Too many executions of this session wait already; try again in a moment.' },
  NotFound: { code: 'FileNotFound', detail: 'There is nothing at this path.' },
  NotAFile: { code: 'NotAFile', detail: 'What is at this path is no regular file.' },
  NotAFolder: { code: 'NotAFolder', detail: 'What is at this path, or on the way to it, is no folder.' },
  PathNotAllowed: {
    code: 'PathNotAllowed',
    detail: 'The path leads out of the working directory, or through a link; send one that stays below it.',
  },
  Exists: { code: 'FileExists', detail: 'Something else is at this path already; remove it first.' },
  DiskLimit: { code: 'DiskFull', detail: 'The working directory of the session has no room for this; remove files.' },
  Interrupted: { code: 'Interrupted', detail: 'The request was interrupted.' },
  Failed: { code: 'SandboxFailed', detail: 'The sandbox could not do this.' },
};

/** For requests that are about an interpreter instead of a file. */
export const CONTEXT_FAILURES: Partial<Rows> = {
  NotFound: { code: 'ContextNotFound', detail: 'The session has no interpreter of this name (any more).' },
};

/** The answer to a request that the agent has refused; `rows` takes the place of those that mean something else there. */
export function failureProblem({ reason, message }: BridgeFailed, rows: Partial<Rows> = {}): Problem {
  const { code, detail } = rows[reason] ?? FAILURES[reason];
  const said = message.replaceAll(/\p{Cc}/gu, ' ').trim();
  return new Problem(code, said ? `${detail} (${said})` : detail, {
    ...(reason === 'Busy' && { retryAfterSeconds: BUSY_SECONDS }),
  });
}

/** The connection to the sandbox ended before the answer came. */
export const unknownState = (cause?: BridgeBroken): Problem => {
  const detail =
    'The connection to the session broke. What was asked may have been done in part: look before asking again.';
  return new Problem('StateUnknown', detail, { cause });
};

export const silent = (): Problem =>
  new Problem('StateUnknown', 'The sandbox did not answer in time; what was asked may have been done in part.');
