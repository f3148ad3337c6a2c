/** What can go wrong between a client and a gateway, as types: it said no, or it did not answer. */

import type { ProblemDetails } from './types.ts';

/** The gateway refused the request, or could not carry it out. Match on `code`. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly status: number;
  /** Stable name of the error, or the reason of a run that could not be carried out. */
  readonly code: string;
  /** True where the very same request may be sent again without a double effect. */
  readonly retrySafe: boolean;
  /** When to come back, where the gateway says so. */
  readonly retryAfterSeconds: number | undefined;
  readonly requestId: string | undefined;
  /** Every wrong field. */
  readonly errors: NonNullable<ProblemDetails['errors']>;

  constructor(status: number, problem: Partial<ProblemDetails>, retryAfterSeconds?: number) {
    super(problem.detail ?? problem.title ?? `The gateway answered with status ${status}.`);
    this.status = status;
    this.code = problem.code ?? `HTTP${status}`;
    this.retrySafe = problem.retrySafe ?? false;
    this.retryAfterSeconds = retryAfterSeconds;
    this.requestId = problem.requestId;
    this.errors = problem.errors ?? [];
  }
}

/** No answer, or not all of it. What was asked for may have been done. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly kind: 'unreachable' | 'timeout' | 'broken' | 'invalid';

  constructor(kind: ConnectionError['kind'], message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** The fields of a problem that are what they should be. */
export function problemIn(value: unknown): Partial<ProblemDetails> {
  if (!isObject(value)) return {};
  const { code, title, detail, requestId, retrySafe, errors } = value;
  const texts = Object.entries({ code, title, detail, requestId }).filter(([, text]) => typeof text === 'string');
  const fields = Array.isArray(errors) ? errors.filter((one) => isObject(one) && typeof one['field'] === 'string') : [];
  return { ...Object.fromEntries(texts), retrySafe: retrySafe === true, errors: fields };
}
