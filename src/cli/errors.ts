/** Every way in which a command fails, as one sentence and an exit code. */

import { ConnectionError, ProblemError } from '../client/index.ts';
import { KubeError } from '../kube/error.ts';
import { EXIT } from './exit-codes.ts';

/** The sentence names the flag or the file, and says what to do. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: number;

  constructor(exitCode: number, message: string, cause?: unknown) {
    super(message, { cause });
    this.exitCode = exitCode;
  }
}

export const usageError = (message: string): CliError => new CliError(EXIT.usage.code, message);

const PROBLEM_EXITS: Record<number, number> = {
  400: EXIT.data.code,
  401: EXIT.notAllowed.code,
  403: EXIT.notAllowed.code,
  404: EXIT.notFound.code,
  409: EXIT.data.code,
  410: EXIT.notFound.code,
  413: EXIT.data.code,
  422: EXIT.data.code,
  429: EXIT.unavailable.code,
};

const TARGET = 'name it with --url or CODERUN_URL, or go straight to Kubernetes with --kube';

/** What to tell of `error`; `url` is the gateway's. */
export function toCliError(error: unknown, url: string): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof ProblemError) return ofProblem(error);
  if (error instanceof ConnectionError)
    return new CliError(EXIT.unavailable.code, `the gateway at ${url}: ${error.message}; ${TARGET}`, error);
  if (error instanceof KubeError) return ofKube(error);
  return new CliError(EXIT.failure.code, error instanceof Error ? error.message : String(error), error);
}

function ofProblem(error: ProblemError): CliError {
  const code = PROBLEM_EXITS[error.status] ?? (error.status >= 500 ? EXIT.unavailable.code : EXIT.failure.code);
  const later = error.retryAfterSeconds === undefined ? '' : ` Try again in ${error.retryAfterSeconds} s.`;
  const id = error.requestId && error.status >= 500 ? ` (request ${error.requestId})` : '';
  const flag = FLAGS.find(([field]) => error.errors[0]?.field.startsWith(field))?.[1];
  return new CliError(code, `${flag ? `${flag}: ` : ''}${error.code}: ${error.message}${later}${id}`, error);
}

/** The flag that a field of a request comes from. */
const FLAGS: readonly (readonly [field: string, flag: string])[] = [
  ['timeoutSeconds', '--timeout'],
  ['resources.memory', '--memory'],
  ['resources.cpu', '--cpu'],
  ['className', '--class'],
  ['files', '--file'],
  ['packages', '--package'],
  ['artifacts', '--artifact'],
  ['env', '--env'],
  ['sessionRef', '--session'],
  ['name', '--name'],
];

function ofKube(error: KubeError): CliError {
  const of = (code: number, what: string) => new CliError(code, `Kubernetes: ${what}`, error);
  if (error.code === 401) return of(EXIT.notAllowed.code, 'it does not know you; log in to the cluster again');
  if (error.code === 403) return of(EXIT.notAllowed.code, error.message);
  if (error.code === 404) return of(EXIT.notFound.code, error.message);
  return of(error.code === 0 || error.code >= 429 ? EXIT.unavailable.code : EXIT.failure.code, error.message);
}
