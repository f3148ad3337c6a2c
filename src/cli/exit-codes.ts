/** What the command line ends with: the exit code of the program that ran, or one that says why there is none. */

import { constants } from 'node:os';
import type { Reason } from '../api/reasons.ts';
import type { Run } from '../client/index.ts';

/** The client's own. Those from 65 to 77 are named by sysexits.h; `coderun help exit-codes` shows this table. */
export const EXIT = {
  ok: { code: 0, meaning: 'the program, or the command, ended well' },
  failure: { code: 1, meaning: 'the command failed in another way' },
  usage: { code: 2, meaning: 'the command line makes no sense' },
  data: { code: 65, meaning: 'the run was refused as it is: a field, a package or a file is wrong' },
  notFound: { code: 66, meaning: 'there is no such file, run or session' },
  unavailable: { code: 69, meaning: 'the gateway or the cluster does not answer, or is too busy' },
  lost: { code: 70, meaning: 'the sandbox was lost; the program may have run in part' },
  tryAgain: { code: 75, meaning: 'no sandbox could be had; the program did not run, try again' },
  notAllowed: { code: 77, meaning: 'you may not do this, or the gateway does not know you' },
  timeout: { code: 124, meaning: 'the program ran into its timeout' },
  interrupted: { code: 130, meaning: 'the run was cancelled, by Ctrl-C for instance' },
  outOfMemory: { code: 137, meaning: 'the program needed more memory than it was given' },
} as const;

const ROWS: Record<Reason, number | 'own'> = {
  Completed: 'own',
  NonZeroExit: 'own',
  Signalled: 'own',
  DiskLimit: 'own',
  Timeout: EXIT.timeout.code,
  OutOfMemory: EXIT.outOfMemory.code,
  Cancelled: EXIT.interrupted.code,
  Evicted: EXIT.lost.code,
  SandboxLost: EXIT.lost.code,
  SandboxStartFailed: EXIT.tryAgain.code,
  PendingTooLong: EXIT.tryAgain.code,
  PackageInstallFailed: EXIT.data.code,
  InvalidSpec: EXIT.data.code,
  SessionEnded: EXIT.notFound.code,
  Queued: EXIT.failure.code,
  QuotaExceeded: EXIT.failure.code,
  Starting: EXIT.failure.code,
  Running: EXIT.failure.code,
};

type Ended = Pick<Run, 'state' | 'reason' | 'exitCode' | 'signal'>;

export function exitCodeOf(run: Ended): number {
  const row = Object.hasOwn(ROWS, run.reason) ? ROWS[run.reason as Reason] : 'own';
  if (row !== 'own') return row;
  if (run.signal !== undefined) return 128 + signalNumber(run.signal);
  return run.exitCode ?? (run.state === 'succeeded' ? EXIT.ok.code : EXIT.failure.code);
}

/** Signals without a name of their own count as SIGKILL, which is how everything ends that does not end otherwise. */
const signalNumber = (name: string): number =>
  Object.entries(constants.signals).find(([known]) => known === name)?.[1] ?? constants.signals.SIGKILL;

/** Reasons that the program's own output does not show. */
export const needsWord = (reason: string): boolean => reason !== 'Completed' && reason !== 'NonZeroExit';
