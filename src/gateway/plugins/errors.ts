/** Turns everything that goes wrong into a problem, and logs what is ours to mend. */

import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ZodError } from 'zod';
import { KubeError } from '../../kube/error.ts';
import { JsonError } from '../json.ts';
import { kubeProblem } from '../kube-problem.ts';
import { type ErrorCode, fieldError, Problem } from '../problem.ts';
import { validationProblem } from './validation.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** Errors of the framework that are the client's doing. */
const FRAMEWORK_ERRORS: Record<string, readonly [ErrorCode, string]> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['BodyTooLarge', 'The body is larger than the gateway takes; send less code or files.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    'UnsupportedMediaType',
    'Send the body as JSON, with content-type: application/json.',
  ],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['MalformedRequest', 'The body is not as long as Content-Length says.'],
  FST_ERR_BAD_URL: ['MalformedRequest', 'The URL is not encoded as it must be.'],
  FST_ERR_MAX_PARAM_LENGTH: ['UrlTooLong', 'A part of the path is longer than any name or path may be.'],
};

export function installErrors(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => sendProblem(toProblem(error, request), request, reply));
  app.setNotFoundHandler((request, reply) => {
    const detail = 'There is nothing at this path; /openapi.json lists what there is.';
    return sendProblem(new Problem('RouteNotFound', detail), request, reply);
  });
}

export function sendProblem(problem: Problem, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (problem.status >= 500) logFailure(problem, request.log);
  return reply
    .code(problem.status)
    .headers({ ...problem.headers, 'content-type': PROBLEM_TYPE, 'x-request-id': request.id })
    .send(JSON.stringify(problem.body(request.id)));
}

export function toProblem(error: unknown, request: FastifyRequest): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof KubeError) return kubeProblem(error, request.method !== 'POST');
  if (error instanceof ZodError) return validationProblem(error);
  if (error instanceof JsonError) return malformedBody(error);
  const known = FRAMEWORK_ERRORS[codeOf(error)];
  if (known) return new Problem(known[0], known[1], { cause: error });
  if (request.raw.destroyed && !request.raw.complete)
    return new Problem('ClientClosedRequest', 'The request ended before it was whole.', { cause: error });
  return new Problem('Internal', 'Something went wrong in the gateway; its log has more under the request id.', {
    cause: error,
    retrySafe: request.method !== 'POST',
  });
}

function malformedBody({ message, field }: JsonError): Problem {
  const detail = `The body can't be read: ${message}. Send one JSON object.`;
  if (field === undefined) return new Problem('MalformedBody', detail);
  return new Problem('MalformedBody', detail, { errors: [fieldError('body', field, message)] });
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';

/** The text of a KubeError may quote what a user sent, so that only its numbers are logged. */
function logFailure({ code, cause }: Problem, log: FastifyBaseLogger): void {
  if (cause instanceof KubeError)
    log.warn({ code, kube: { code: cause.code, reason: cause.reason } }, 'request failed');
  else if (cause instanceof Error) log.error({ code, stack: cause.stack }, 'request failed');
  else log.debug({ code }, 'request failed');
}
