/** Why a run stands where it stands: one row a reason, read by the controller, the gateway and the documentation. */

export type RunState = 'queued' | 'starting' | 'running' | 'succeeded' | 'failed';

interface ReasonRow {
  /** Status of the condition `Succeeded`. */
  readonly succeeded: 'True' | 'False' | 'Unknown';
  readonly state: RunState;
  /** True where the program can't have run, so that the very same run may be sent again without a double effect. */
  readonly retrySafe: boolean;
  /** What a user reads where nothing more exact is known. */
  readonly sentence: string;
}

const waiting = (state: RunState, sentence: string): ReasonRow => ({
  succeeded: 'Unknown',
  state,
  retrySafe: false,
  sentence,
});
const failed = (retrySafe: boolean, sentence: string): ReasonRow => ({
  succeeded: 'False',
  state: 'failed',
  retrySafe,
  sentence,
});

export const REASONS = {
  Queued: waiting('queued', 'The run waits for a sandbox.'),
  QuotaExceeded: waiting(
    'queued',
    'A ResourceQuota of the namespace leaves no room for the sandbox pod; it is tried again.',
  ),
  Starting: waiting('starting', 'The sandbox pod is being started.'),
  Running: waiting('running', 'The program runs.'),
  Completed: {
    succeeded: 'True',
    state: 'succeeded',
    retrySafe: false,
    sentence: 'The program ended with exit code 0.',
  },
  NonZeroExit: failed(false, 'The program ended with an exit code other than 0.'),
  Signalled: failed(false, 'A signal ended the program.'),
  Timeout: failed(false, 'The program ran longer than timeoutSeconds and was ended.'),
  OutOfMemory: failed(false, 'The program needed more memory than resources.memory allows.'),
  DiskLimit: failed(false, 'The program wrote more than its working directory may hold.'),
  Cancelled: failed(false, 'The run was cancelled.'),
  Evicted: failed(false, 'The node evicted the sandbox pod.'),
  SandboxLost: failed(false, 'The sandbox pod or its node is gone; the program may have run in part.'),
  SandboxStartFailed: failed(true, 'The sandbox pod could not be started; the program did not run.'),
  PackageInstallFailed: failed(true, 'A package could not be installed; the program did not run.'),
  InvalidSpec: failed(true, 'The spec cannot be run as it is; the program did not run.'),
  SessionEnded: failed(true, 'The session does not exist or has ended; the program did not run.'),
  PendingTooLong: failed(true, 'No sandbox became ready in time; the program did not run.'),
} as const satisfies Record<string, ReasonRow>;

export type Reason = keyof typeof REASONS;

/** True where the reason is final: a run that has it is never touched again, but for its TTL. */
export const isFinalReason = (reason: Reason): boolean => REASONS[reason].succeeded !== 'Unknown';
