/** What the language model is told: the task, and what became of its last program. Bounded, whatever the program printed. */

import type { Message } from './model.ts';

const SYSTEM = `You write one complete Python 3 program that solves the task of the user.
Answer with the program alone, in one block fenced by \`\`\`python and \`\`\`.
It runs in a sandbox without network, input or a screen, below a working directory that is empty unless the task says otherwise.
NumPy, pandas and matplotlib may be there. Print the answer to the task. Save figures to files and call plt.show().
Let errors end the program with a traceback: do not hide them.`;

/** How much of each stream goes back to the model: the end of it, where the error stands. */
const STREAM_LIMIT = 4000;
/** A program that is longer is left out: the model has to write it anew. */
const PROGRAM_LIMIT = 64 * 1024;

/** What became of a program, or of an answer without one. */
export interface Attempt {
  code: string | undefined;
  /** Undefined where there was no program to run. */
  result: { stdout: string; stderr: string; returncode: number } | undefined;
}

/** Only the last attempt is told, so that no number of rounds makes the prompt longer. */
export function messagesFor(task: string, last: Attempt | undefined): Message[] {
  const beginning: Message[] = [
    { role: 'system', content: SYSTEM },
    { role: 'user', content: task },
  ];
  if (!last) return beginning;
  const { code, result } = last;
  const told: Message[] =
    code !== undefined && code.length <= PROGRAM_LIMIT
      ? [{ role: 'assistant', content: `\`\`\`python\n${code}\`\`\`` }]
      : [];
  return [...beginning, ...told, { role: 'user', content: result ? failureText(result) : NO_PROGRAM }];
}

const NO_PROGRAM = 'Your answer held no Python program. Answer with one complete program, fenced by ```python and ```.';

const failureText = ({ stdout, stderr, returncode }: NonNullable<Attempt['result']>): string =>
  [
    `The program failed with exit code ${returncode}. Mend it and answer with the whole program again.`,
    `Its standard error ends with:\n${lastOf(stderr)}`,
    `Its standard output ends with:\n${lastOf(stdout)}`,
  ].join('\n\n');

const lastOf = (text: string): string =>
  text.length <= STREAM_LIMIT ? text : `[…]${text.slice(-STREAM_LIMIT).toWellFormed()}`;
