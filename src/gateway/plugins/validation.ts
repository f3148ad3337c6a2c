/** Validation by the zod schemas of the routes, and its findings as a problem that names every field. */

import type { FastifyInstance, FastifySchemaCompiler } from 'fastify';
import { type core, type ZodError, z } from 'zod';
import { type FieldError, fieldError, Problem } from '../problem.ts';

const MAX_ERRORS = 20;

const PLACES: Record<string, FieldError['in']> = { querystring: 'query', params: 'path', headers: 'header' };

/** Answers need no check of their own: they are built from the types that the documentation is made of. */
export function installValidation(app: FastifyInstance): void {
  app.setValidatorCompiler(validator);
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.addHook('preValidation', async ({ body, is404, routeOptions }) => {
    if (body !== undefined && !is404 && !routeOptions.schema?.body)
      throw new Problem('InvalidRequest', 'This request takes no body; send it without.');
  });
}

const validator: FastifySchemaCompiler<z.ZodType> =
  ({ schema }) =>
  (data) => {
    const { success, data: value, error } = z.safeParse(schema, data);
    return success ? { value } : { error };
  };

/** Fastify adds to the error which part of the request it is about. */
export function validationProblem(error: ZodError & { validationContext?: string }): Problem {
  const place = PLACES[error.validationContext ?? ''] ?? 'body';
  const errors = error.issues.flatMap((issue) => findings(issue, place)).slice(0, MAX_ERRORS);
  const [first] = errors;
  const detail = first ? `${first.field || 'The request'}: ${first.message}.` : 'The request is not valid.';
  return new Problem('InvalidRequest', `${detail} Correct it and send the request again.`, { errors });
}

function findings(issue: core.$ZodIssue, place: FieldError['in']): FieldError[] {
  const at = (path: readonly PropertyKey[], message: string) => fieldError(place, path.map(String).join('.'), message);
  if (issue.code === 'unrecognized_keys')
    return issue.keys.slice(0, MAX_ERRORS).map((key) => at([...issue.path, key], 'is not a known field'));
  if (issue.code === 'invalid_union') return [at(issue.path, issue.errors[0]?.[0]?.message ?? issue.message)];
  return [at(issue.path, issue.message)];
}
