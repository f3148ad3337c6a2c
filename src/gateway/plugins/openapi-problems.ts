/** Which problems a route can answer, by what kind of route it is, and how they stand in the OpenAPI document. */

import { REASONS, type Reason } from '../../api/reasons.ts';
import { EXECUTE_PROBLEMS } from '../execute-result.ts';
import { type AnsweredCode, ERROR_STATUS, type ErrorCode, isReason, Problem } from '../problem.ts';
import { meaningOf } from '../problem-meanings.ts';
import { PROBLEM_TYPE } from './errors.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Codes of problems that only this route answers, beside those that follow from what it takes. */
    problems?: readonly AnsweredCode[];
    /** The route answers that a run could not be carried out. */
    answersRuns?: boolean;
  }
}

interface Route {
  method: string;
  url: string;
  /** Whether it takes a body. */
  body: boolean;
  /** Whether it takes an Idempotency-Key. */
  keyed: boolean;
  config: { problems?: readonly AnsweredCode[]; answersRuns?: boolean } | undefined;
}

const ALWAYS: readonly ErrorCode[] = [
  'MalformedRequest',
  'InvalidRequest',
  'Unauthenticated',
  'Forbidden',
  'OriginNotAllowed',
  'RequestTimeout',
  'TooManyFailures',
  'TooManyRequests',
  'HeadersTooLarge',
  'Internal',
  'ClusterUnavailable',
  'Overloaded',
  'ShuttingDown',
];
const WITH_BODY: readonly ErrorCode[] = ['MalformedBody', 'BodyTooLarge', 'UnsupportedMediaType'];
const CREATING: readonly ErrorCode[] = [
  'ClassNotAllowed',
  'AlreadyExists',
  'RefusedByCluster',
  'TooManyQueued',
  'TooManyConcurrentRuns',
  'TooManyRuns',
  'TooManyHeld',
  'TooManyWaiting',
];
/** Routes about one object may hold their answer, or stream it. */
const NAMED: readonly ErrorCode[] = ['UrlTooLong', 'TooManyHeld', 'TooManyWaiting'];

const WORDS: readonly (readonly [path: string, word: string])[] = [
  ['/v1/runs', 'Run'],
  ['/execute/batch', 'Batch'],
  ['/execute', 'Run'],
  ['/v1/batches', 'Batch'],
  ['/v1/sessions', 'Session'],
  ['/repl', 'Session'],
];

const isCode = (code: string): code is ErrorCode => Object.hasOwn(ERROR_STATUS, code);

export function problemsOf({ method, url, body, keyed, config }: Route): AnsweredCode[] {
  const word = WORDS.find(([path]) => url.startsWith(path))?.[1] ?? '';
  const named = url.includes(':');
  const codes = [
    ...ALWAYS,
    ...(body ? WITH_BODY : []),
    ...(method === 'POST' && !named ? CREATING : []),
    ...(keyed ? (['IdempotencyKeyReused'] as const) : []),
    ...(named ? [...NAMED, `${word}NotFound`] : []),
    `${word}Deleted`,
  ].filter(isCode);
  return [...new Set([...codes, ...(config?.problems ?? []), ...(config?.answersRuns ? EXECUTE_PROBLEMS : [])])];
}

/** An operation of an OpenAPI document, as far as it is changed here. */
export interface Operation {
  parameters?: unknown[];
  responses?: Record<string, unknown>;
  'x-problems'?: AnsweredCode[];
}

/** The ranges of statuses become those that there are, each with its codes, headers and examples. */
export function withProblems({ 'x-problems': answered = [], ...operation }: Operation): Operation {
  const { '4XX': _client, '5XX': _server, ...responses } = operation.responses ?? {};
  const byStatus = Map.groupBy(answered, statusOf);
  const sorted = [...byStatus].sort(([a], [b]) => a - b);
  const problems = sorted.map(([status, codes]) => [status, responseOf(status, codes.map(codeOf))]);
  return { ...operation, responses: { ...responses, ...Object.fromEntries(problems) } };
}

const codeOf = (answered: AnsweredCode): ErrorCode | Reason => answered.split(':')[0] as ErrorCode | Reason;

function statusOf(answered: AnsweredCode): number {
  const [code, status] = answered.split(':');
  return status === undefined ? ERROR_STATUS[code as ErrorCode] : Number(status);
}

const RETRY_AFTER = {
  description: 'Seconds after which the same request may be sent again.',
  schema: { type: 'integer', minimum: 1 },
};

function responseOf(status: number, codes: (ErrorCode | Reason)[]): object {
  const retries = status === 429 || status === 503;
  return {
    description: codes.map((code) => `${code}: ${meaningOf(code)}`).join('\n'),
    ...(retries && { headers: { 'retry-after': RETRY_AFTER } }),
    content: {
      [PROBLEM_TYPE]: {
        schema: { $ref: '#/components/schemas/Problem' },
        examples: Object.fromEntries(codes.map((code) => [code, { value: exampleOf(status, code) }])),
      },
    },
  };
}

function exampleOf(status: number, code: ErrorCode | Reason): object {
  const problem = isReason(code)
    ? new Problem(code, REASONS[code].sentence, { status })
    : new Problem(code, meaningOf(code));
  return problem.body('k3vq7nbyzmwzl5p2h6ta');
}
