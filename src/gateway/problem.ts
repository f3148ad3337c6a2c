/** Errors as a client reads them: RFC 9457 problem details, with one row a code. */

import { z } from 'zod';
import { REASONS, type Reason } from '../api/reasons.ts';

/** The status of every error that is about the request or the gateway. Clients match on the code, never on a text. */
export const ERROR_STATUS = {
  MalformedRequest: 400,
  MalformedBody: 400,
  InvalidRequest: 400,
  Unauthenticated: 401,
  Forbidden: 403,
  OriginNotAllowed: 403,
  NetworkNotAllowed: 403,
  PathNotAllowed: 403,
  ClassNotAllowed: 403,
  RouteNotFound: 404,
  RunNotFound: 404,
  BatchNotFound: 404,
  ArtifactNotFound: 404,
  SessionNotFound: 404,
  FileNotFound: 404,
  ContextNotFound: 404,
  MethodNotAllowed: 405,
  RequestTimeout: 408,
  AlreadyExists: 409,
  NotAFile: 409,
  NotAFolder: 409,
  FileExists: 409,
  Interrupted: 409,
  PackagesNotOffered: 409,
  RunDeleted: 410,
  BatchDeleted: 410,
  SessionDeleted: 410,
  ArtifactGone: 410,
  PageExpired: 410,
  BodyTooLarge: 413,
  FileTooLarge: 413,
  UrlTooLong: 414,
  UnsupportedMediaType: 415,
  RefusedByCluster: 422,
  IdempotencyKeyReused: 422,
  TooManyFailures: 429,
  TooManyRequests: 429,
  TooManyQueued: 429,
  TooManyConcurrentRuns: 429,
  TooManyRuns: 429,
  SessionBusy: 429,
  TooManyHeld: 429,
  HeadersTooLarge: 431,
  ClientClosedRequest: 499,
  Internal: 500,
  AgentNotConfigured: 501,
  ModelFailed: 502,
  SandboxFailed: 502,
  StateUnknown: 502,
  ClusterUnavailable: 503,
  TooManyWaiting: 503,
  SessionStarting: 503,
  SandboxUnreachable: 503,
  Overloaded: 503,
  ShuttingDown: 503,
  ModelBusy: 503,
  ModelTimeout: 504,
  DiskFull: 507,
} as const satisfies Record<string, number>;

export type ErrorCode = keyof typeof ERROR_STATUS;

/** A code of an answer; the reason of a run or a session has its status beside it. */
export type AnsweredCode = ErrorCode | `${Reason}:${number}`;

/** Codes after which something may have happened already; after every other nothing has, and sending again is safe. */
const MAY_HAVE_ACTED: readonly ErrorCode[] = [
  'ClientClosedRequest',
  'Internal',
  'RunDeleted',
  'BatchDeleted',
  'SessionDeleted',
  'Interrupted',
  'SandboxFailed',
  'StateUnknown',
];

/** Where a wrong value stood. */
export const FieldError = z.strictObject({
  field: z.string().describe('Path of the field, such as timeoutSeconds or env.0.name; empty for the whole.'),
  in: z.enum(['body', 'query', 'path', 'header']).describe('The part of the request that the field is in.'),
  message: z.string().describe('What is wrong with it.'),
});
export type FieldError = z.output<typeof FieldError>;

export const ProblemBody = z
  .strictObject({
    type: z.literal('about:blank'),
    title: z.string().describe('The code in words.'),
    status: z.int().describe('HTTP status of the answer.'),
    code: z
      .enum([...Object.keys(ERROR_STATUS), ...Object.keys(REASONS)])
      .describe('Stable name of the error, or the reason of a run that could not be carried out; the one to match on.'),
    detail: z.string().describe('What is wrong, and what to do.'),
    retrySafe: z.boolean().describe('True where the very same request may be sent again without a double effect.'),
    requestId: z.string().describe('Id of the request, for the log of the gateway.'),
    field: z.string().optional().describe('The first wrong field.'),
    errors: z.array(FieldError).optional().describe('Every wrong field, up to 20.'),
  })
  .meta({ id: 'Problem', description: 'An error, as RFC 9457 has it.' });
export type ProblemBody = z.output<typeof ProblemBody>;

interface ProblemOptions {
  errors?: FieldError[];
  retrySafe?: boolean;
  retryAfterSeconds?: number | undefined;
  headers?: Record<string, string>;
  cause?: unknown;
}

/** An answer that is an error. `detail` goes to the client as it stands: it holds nothing of the cluster's insides. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ErrorCode | Reason;
  readonly status: number;
  readonly errors: FieldError[];
  readonly retrySafe: boolean;
  readonly headers: Record<string, string>;

  constructor(code: ErrorCode, detail: string, options?: ProblemOptions);
  /** For a run that could not be carried out: its reason is the code. */
  constructor(code: Reason, detail: string, options: ProblemOptions & { status: number });
  constructor(code: ErrorCode | Reason, detail: string, options: ProblemOptions & { status?: number } = {}) {
    super(detail, { cause: options.cause });
    this.code = code;
    this.status = options.status ?? ERROR_STATUS[code as ErrorCode];
    this.errors = options.errors ?? [];
    this.retrySafe = options.retrySafe ?? defaultRetrySafe(code);
    this.headers = { ...options.headers };
    // Clients repeat by themselves what names a time to come back.
    if (options.retryAfterSeconds !== undefined && this.retrySafe)
      this.headers['retry-after'] = String(options.retryAfterSeconds);
  }

  body(requestId: string): ProblemBody {
    const [first] = this.errors;
    return {
      type: 'about:blank',
      title: this.code.replace(/(?<=[a-z])(?=[A-Z])/g, ' '),
      status: this.status,
      code: this.code,
      detail: this.message,
      retrySafe: this.retrySafe,
      requestId,
      ...(first && { field: first.field, errors: this.errors }),
    };
  }
}

export const isProblem = (error: unknown, code: ErrorCode | Reason): boolean =>
  error instanceof Problem && error.code === code;

const defaultRetrySafe = (code: ErrorCode | Reason): boolean =>
  isReason(code) ? REASONS[code].retrySafe : !MAY_HAVE_ACTED.includes(code);

export const isReason = (code: string): code is Reason => Object.hasOwn(REASONS, code);

/** Keys may be a client's own words: they are given back, but not at any length. */
const MAX_FIELD = 200;

export const fieldError = (place: FieldError['in'], field: string, message: string): FieldError => ({
  field: field.slice(0, MAX_FIELD),
  in: place,
  message,
});
