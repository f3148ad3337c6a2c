/** Why a session stands where it stands: one row a reason, read by the controller, the gateway and the documentation. */

export type SessionState = 'starting' | 'ready' | 'ended';

interface SessionReasonRow {
  /** True where the session has ended: it is never touched again, but for its TTL. */
  readonly final: boolean;
  readonly state: SessionState;
  /** What a user reads where nothing more exact is known. */
  readonly sentence: string;
}

const starting = (sentence: string): SessionReasonRow => ({ final: false, state: 'starting', sentence });
const ended = (sentence: string): SessionReasonRow => ({ final: true, state: 'ended', sentence });

export const SESSION_REASONS = {
  Queued: starting('The session waits for a sandbox.'),
  QuotaExceeded: starting('A ResourceQuota of the namespace leaves no room for the sandbox pod; it is tried again.'),
  Starting: starting('The sandbox of the session is being started.'),
  Ready: { final: false, state: 'ready', sentence: 'The session takes executions.' },
  IdleTimeout: ended('The session was not used for idleTimeoutSeconds and was ended.'),
  LifetimeExceeded: ended('The session was as old as maxLifetimeSeconds and was ended.'),
  Terminated: ended('The session was terminated.'),
  OutOfMemory: ended('The sandbox needed more memory than it may have and was killed; what the session held is lost.'),
  DiskLimit: ended('More was written than the working directory may hold; what the session held is lost.'),
  Evicted: ended('The node evicted the sandbox pod; what the session held is lost.'),
  SandboxLost: ended('The sandbox pod or its node is gone, and what the session held with it.'),
  SandboxStartFailed: ended('The sandbox pod could not be started.'),
  PackageInstallFailed: ended('A package could not be installed.'),
  InvalidSpec: ended('The spec cannot be carried out as it is.'),
  PendingTooLong: ended('No sandbox became ready in time.'),
} as const satisfies Record<string, SessionReasonRow>;

export type SessionReason = keyof typeof SESSION_REASONS;
