/** The answer of POST /execute: what Python's subprocess would say of the program, or a problem where it did not run. */

import { z } from 'zod';
import type { CodeRun, CodeRunStatus } from '../api/coderun.ts';
import { REASONS, type Reason } from '../api/reasons.ts';
import { isReason, Problem } from './problem.ts';
import { isEnded, succeeded } from './run-view.ts';

export const ExecuteResponse = z
  .strictObject({
    success: z.boolean().describe('True where the program ended with exit code 0.'),
    stdout: z.string().describe('Standard output of the program.'),
    stderr: z.string().describe('Standard error of the program, and why it was ended where it did not end by itself.'),
    returncode: z
      .int()
      .describe('Exit code of the program; -N where signal N ended it, -1 after a timeout, 137 where memory ran out.'),
  })
  .meta({ id: 'ExecuteResponse' });
export type ExecuteResponse = z.output<typeof ExecuteResponse>;

/** Either how a program that ran is answered, or the HTTP status for one that did not, or not wholly. */
type Row =
  | { returncode: number | 'own'; note?: 'sentence' | 'timeout' }
  | { status: 409 | 422 | 500 | 503 | 504; retryAfterSeconds?: number };

const ended = (returncode: number | 'own', note: 'sentence' | 'timeout' = 'sentence'): Row => ({ returncode, note });
const GIVEN_UP = 'It did not end in time and is cancelled.';
const SIGTERM = 15;

const EXECUTE_ROWS: Record<Reason, Row> = {
  Completed: { returncode: 'own' },
  NonZeroExit: { returncode: 'own' },
  Signalled: { returncode: 'own' },
  Timeout: ended(-1, 'timeout'),
  OutOfMemory: ended(137),
  DiskLimit: ended('own'),
  Cancelled: ended(-SIGTERM),
  // The program may have run in part: nothing here may look like an invitation to send it again.
  Evicted: { status: 500 },
  SandboxLost: { status: 500 },
  SandboxStartFailed: { status: 503, retryAfterSeconds: 5 },
  PendingTooLong: { status: 503, retryAfterSeconds: 5 },
  QuotaExceeded: { status: 503, retryAfterSeconds: 5 },
  PackageInstallFailed: { status: 422 },
  InvalidSpec: { status: 422 },
  SessionEnded: { status: 409 },
  Queued: { status: 504 },
  Starting: { status: 504 },
  Running: { status: 504 },
};

/** Reasons of runs that are answered as problems, each with its status. */
export const EXECUTE_PROBLEMS = (Object.keys(EXECUTE_ROWS) as Reason[]).flatMap((reason) => {
  const row = EXECUTE_ROWS[reason];
  return 'status' in row ? [`${reason}:${row.status}` as const] : [];
});

/** The answer for a run that is not waited for any longer; throws a `Problem` where its program did not run to an end. */
export function executeResponse(run: Pick<CodeRun, 'status'>): ExecuteResponse {
  const condition = succeeded(run);
  const reason = condition && isReason(condition.reason) ? condition.reason : unknownReason(condition?.status);
  const sentence = condition?.message || REASONS[reason].sentence;
  const row = EXECUTE_ROWS[reason];
  if ('status' in row) throw new Problem(reason, isEnded(run) ? sentence : `${sentence} ${GIVEN_UP}`, row);
  const status = run.status ?? {};
  const notes = [
    ...truncations(status),
    ...(row.note ? [row.note === 'timeout' ? 'Execution timed out' : sentence] : []),
  ];
  return {
    success: condition?.status === 'True',
    stdout: status.stdout ?? '',
    stderr: withNotes(status.stderr ?? '', notes),
    returncode: row.returncode === 'own' ? ownReturncode(status, reason) : row.returncode,
  };
}

/** A newer controller may give reasons that this gateway does not know: what counts is whether the program succeeded. */
const unknownReason = (status: string | undefined): Reason =>
  status === 'True' ? 'Completed' : status === 'False' ? 'NonZeroExit' : 'Queued';

function ownReturncode({ exitCode, signal }: CodeRunStatus, reason: Reason): number {
  if (signal !== undefined) return -signalNumber(signal);
  return exitCode ?? (reason === 'Completed' ? 0 : 1);
}

/** Signals of Linux by number, from 1. */
const SIGNALS =
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'.split(
    ' ',
  );

/** Signals without a name of their own count as SIGKILL, which is how everything ends that does not end otherwise. */
const signalNumber = (name: string): number => SIGNALS.indexOf(name.replace(/^SIG/, '')) + 1 || 9;

function truncations({ output }: CodeRunStatus): string[] {
  return (['stdout', 'stderr'] as const)
    .filter((stream) => output?.[`${stream}Truncated`])
    .map((stream) => `[${stream} is cut: the program wrote ${output?.[`${stream}Bytes`]} bytes]`);
}

const withNotes = (text: string, notes: string[]): string =>
  notes.length === 0 ? text : `${text && !text.endsWith('\n') ? `${text}\n` : text}${notes.join('\n')}`;
