/** How a run ended: from what its sandbox said, or else from what is known of its pod. */

import { type CodeRunStatus, STATUS_LIMIT_BYTES } from '../api/coderun.ts';
import type { Reason } from '../api/reasons.ts';
import { storedBytes } from '../api/schema.ts';
import type { Exit, Transcript } from '../sandbox/transcript.ts';
import type { Observation } from './observe.ts';

export interface Outcome {
  reason: Reason;
  message: string;
}

/** The outcome that the agent's last word gives. */
export function outcomeOfExit(exit: Exit): Outcome {
  const detail = exit.error ? `${exit.error.name}: ${exit.error.value}`.slice(0, 1024) : '';
  switch (exit.cause) {
    case 'Timeout':
    case 'DiskLimit':
    case 'OutOfMemory':
    case 'PackageInstallFailed':
      return { reason: exit.cause, message: '' };
    case 'Interrupted':
      return { reason: 'Cancelled', message: '' };
    case null:
      break;
  }
  if (exit.signal) return { reason: 'Signalled', message: `The program was ended by ${exit.signal}.` };
  if (exit.exitCode === 0) return { reason: 'Completed', message: '' };
  return { reason: 'NonZeroExit', message: detail || `The program ended with exit code ${exit.exitCode}.` };
}

/** The outcome of a run whose sandbox fell silent, by the pod that is left of it; undefined is a pod that is gone. */
export function outcomeOfPod(pod: Observation | undefined): Outcome {
  if (!pod) return { reason: 'SandboxLost', message: '' };
  if (pod.reason === 'Evicted') {
    const full = /emptyDir|ephemeral|storage/i.test(pod.message);
    return { reason: full ? 'DiskLimit' : 'Evicted', message: pod.message };
  }
  if (pod.reason === 'DeadlineExceeded') return { reason: 'Timeout', message: '' };
  if (pod.outOfMemory && !pod.deleting) return { reason: 'OutOfMemory', message: '' };
  return { reason: 'SandboxLost', message: '' };
}

/** The part of a status that tells what the program did. Everything in it came from a sandbox and is bounded here. */
export function resultStatus(transcript: Transcript): CodeRunStatus {
  const { exit } = transcript;
  const output = exit && {
    stdoutBytes: exit.output.stdoutBytes,
    stderrBytes: exit.output.stderrBytes,
    stdoutTruncated: exit.output.stdoutTruncated || transcript.stdoutTruncated,
    stderrTruncated: exit.output.stderrTruncated || transcript.stderrTruncated,
  };
  return {
    stdout: transcript.stdout,
    stderr: transcript.stderr,
    ...(output && { output }),
    ...(exit?.exitCode != null && { exitCode: exit.exitCode }),
    ...(exit?.signal && { signal: exit.signal }),
    ...(exit?.error && { error: exit.error }),
    ...(transcript.results.length > 0 && { results: transcript.results }),
    ...(transcript.artifacts.length > 0 && { artifacts: transcript.artifacts.map(artifactStatus) }),
    ...(exit && { durationMilliseconds: exit.durationMilliseconds, usage: exit.usage }),
  };
}

function artifactStatus({ path, bytes, contentBase64, inJournal }: Transcript['artifacts'][number]) {
  if (contentBase64 !== undefined) return { path, bytes, contentBase64 };
  return { path, bytes, ...(inJournal && { inJournal }) };
}

/** `status` within the limit of an object: first the artifacts stay in the journal, then results and text are cut. */
export function fitStatus(status: CodeRunStatus): CodeRunStatus {
  const fits = (candidate: CodeRunStatus) => storedBytes(candidate) <= STATUS_LIMIT_BYTES;
  if (fits(status)) return status;
  const artifacts = status.artifacts?.map(({ path, bytes, contentBase64, inJournal }) => ({
    path,
    bytes,
    ...((contentBase64 !== undefined || inJournal) && { inJournal: true }),
  }));
  let smaller: CodeRunStatus = { ...status, ...(artifacts && { artifacts }) };
  if (fits(smaller)) return smaller;
  const { results: _dropped, ...withoutResults } = smaller;
  smaller = withoutResults;
  while (!fits(smaller)) smaller = halveText(smaller);
  return smaller;
}

function halveText(status: CodeRunStatus): CodeRunStatus {
  const half = (text: string) => text.slice(0, Math.floor(text.length / 2)).toWellFormed();
  const { stdout = '', stderr = '', error } = status;
  return {
    ...status,
    stdout: half(stdout),
    stderr: half(stderr),
    ...(status.output && { output: { ...status.output, stdoutTruncated: true, stderrTruncated: true } }),
    ...(error && { error: { ...error, value: half(error.value), traceback: half(error.traceback) } }),
  };
}
