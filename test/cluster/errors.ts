/** What went wrong, said so that somebody who has never seen the project knows what to do next. */

/** An external command that failed. */
export class CommandError extends Error {
  readonly tail: readonly string[];
  readonly log: string | undefined;

  /** `outcome` reads on from the command: "ended with exit code 1". `tail` is the end of its output. */
  constructor(command: string, outcome: string, tail: readonly string[], log: string | undefined) {
    super(`\`${command}\` ${outcome}`);
    this.name = 'CommandError';
    this.tail = tail;
    this.log = log;
  }
}

/** A failure with a remedy: what the user should do. */
export class ClusterError extends Error {
  readonly remedy: string;

  constructor(message: string, remedy: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'ClusterError';
    this.remedy = remedy;
  }
}

/** The whole story of `error`: what failed, the end of the log, where all of it is, what to do. */
export function explain(error: unknown): string {
  const lines: string[] = [];
  let remedy: string | undefined;
  for (let at: unknown = error; at !== undefined; at = at instanceof Error ? at.cause : undefined) {
    lines.push(lines.length === 0 ? `FAILED: ${messageOf(at)}` : `  because ${messageOf(at)}`);
    if (at instanceof ClusterError) remedy = at.remedy;
    if (at instanceof CommandError) lines.push(...storyOf(at));
  }
  if (remedy !== undefined) lines.push('', `What to do: ${remedy}`);
  return lines.join('\n');
}

function storyOf(error: CommandError): string[] {
  const lines: string[] = [];
  if (error.tail.length > 0)
    lines.push('', 'The last lines that it printed:', ...error.tail.map((line) => `  | ${line}`));
  if (error.log !== undefined) lines.push('', `The whole log: ${error.log}`);
  return lines;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
