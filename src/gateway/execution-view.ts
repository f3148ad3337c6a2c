/** An execution in a session as it is asked for and answered over HTTP. */

import { z } from 'zod';
import { codeRunFields, codeRunResultFields } from '../api/coderun.ts';
import { REASONS, type Reason } from '../api/reasons.ts';
import type { Exit, Transcript } from '../sandbox/transcript.ts';

export const ContextName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be 1 to 64 letters, digits, ".", "_" and "-"')
  .describe('Name of the interpreter. Each has variables of its own, and is made on first use.');

export const ExecuteInSession = z
  .strictObject({
    code: codeRunFields.code.unwrap().describe('The program, 1 byte to 512 KiB.'),
    language: z.enum(['python', 'bash']).default('python').describe('Language of the program.'),
    timeoutSeconds: z.int().min(1).max(3600).default(30).describe('How long the program may run, in seconds.'),
    context: ContextName.optional(),
    stdin: codeRunFields.stdin,
    detach: z.boolean().default(false).describe('True lets the program go on where the client leaves.'),
  })
  .meta({ id: 'ExecuteInSession', examples: [{ code: 'x = 6 * 7\nx', timeoutSeconds: 10 }] });
export type ExecuteInSession = z.output<typeof ExecuteInSession>;

const { stdout, stderr, error, results } = codeRunResultFields;
const { exitCode, signal, output, durationMilliseconds, usage } = codeRunResultFields;

const endFields = {
  reason: z
    .string()
    .describe(
      'How the program ended: Completed, NonZeroExit, Signalled, Timeout, OutOfMemory, Cancelled, SandboxLost, …',
    ),
  message: z.string().describe('The reason in a sentence.'),
  exitCode,
  signal,
  output,
  executionCount: z.int().min(0).optional().describe('Which execution of the session this was.'),
  durationMilliseconds,
  stateKept: z.boolean().describe('Whether what the interpreter held is still there.'),
  usage,
};

export const ExecutionView = z
  .strictObject({
    ...endFields,
    stdout: stdout.unwrap().describe('Standard output, valid UTF-8, up to 1 MiB.'),
    stderr: stderr.unwrap().describe('Standard error, valid UTF-8, up to 1 MiB.'),
    error,
    results: results.unwrap().describe('Value of the last expression, and figures.'),
  })
  .meta({ id: 'Execution', description: 'An execution that has ended, with success or without.' });
export type ExecutionView = z.output<typeof ExecutionView>;

/** What a program said until its end, or until it fell silent. */
export const saidOf = ({ stdout: out, stderr: err, results: made }: Transcript) => ({
  stdout: out,
  stderr: err,
  results: made,
});

export function executionView(transcript: Transcript, exit: Exit): ExecutionView {
  const { output: amounts, session } = exit;
  const reason = reasonOf(exit);
  return {
    ...saidOf(transcript),
    reason,
    message: MESSAGES[reason] ?? REASONS[reason].sentence,
    ...(exit.exitCode !== null && { exitCode: exit.exitCode }),
    ...(exit.signal !== null && { signal: exit.signal }),
    ...(exit.error && { error: exit.error }),
    ...(session && { executionCount: session.executionCount }),
    output: {
      ...amounts,
      stdoutTruncated: amounts.stdoutTruncated || transcript.stdoutTruncated,
      stderrTruncated: amounts.stderrTruncated || transcript.stderrTruncated,
    },
    durationMilliseconds: exit.durationMilliseconds,
    stateKept: session?.stateKept ?? false,
    usage: exit.usage,
  };
}

/** How an execution ended, without what it said on the way. */
export function executionEnd({ stdout: _out, stderr: _err, error: _error, results: _made, ...end }: ExecutionView) {
  return end;
}

/** Where the sentence about a run does not fit an execution. */
const MESSAGES: Partial<Record<Reason, string>> = { Cancelled: 'The execution was interrupted.' };

function reasonOf({ cause, signal: name, exitCode: code }: Exit): Reason {
  if (cause === 'Interrupted') return 'Cancelled';
  if (cause !== null) return cause;
  if (name !== null) return 'Signalled';
  return code === 0 ? 'Completed' : 'NonZeroExit';
}
