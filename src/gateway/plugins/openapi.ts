/** The OpenAPI document, made from the schemas that validate, and the page that shows it. */

import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { NAMESPACE_HEADER } from '../auth/bearer.ts';
import { docsPage, PAGE_POLICY, type ShownDocument } from '../docs-page.ts';
import { IdempotencyHeaders } from '../idempotency.ts';
import { ProblemBody } from '../problem.ts';
import { PROBLEM_TYPE } from './errors.ts';
import { type Operation, problemsOf, withProblems } from './openapi-problems.ts';

const problem = (description: string) => ({ description, content: { [PROBLEM_TYPE]: { schema: ProblemBody } } });

/** For the responses of every route; in the document they become each status that the route can answer. */
export const PROBLEMS = {
  '4XX': problem('The request is at fault; the code says how.'),
  '5XX': problem('The gateway or the cluster is at fault.'),
};

const DESCRIPTION = `Runs untrusted code in sandboxes and answers what it did.

Errors are problem+json (RFC 9457): match on \`code\`. \`retrySafe\` says whether the very same request may be sent again
without a double effect. HTTP errors speak of the request: a program that failed is answered with 200.`;

const NAMESPACE_PARAMETER = {
  in: 'header',
  name: NAMESPACE_HEADER,
  required: false,
  schema: { type: 'string', minLength: 1, maxLength: 63, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' },
  description: 'Namespace to work in, for tokens of Kubernetes; others have but one.',
};

export function installOpenApi(app: FastifyInstance): void {
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'coderun', version: 'v1', description: DESCRIPTION },
      servers: [{ url: '/' }],
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            description:
              'An API key (crk_…) or a token of Kubernetes. Without it, the anonymous caller, if there is one.',
          },
        },
      },
      security: [{ bearer: [] }, {}],
    },
    transform(input) {
      const { schema, url } = jsonSchemaTransform(input);
      const { config, method } = input.route;
      const codes = problemsOf({
        method: String(method),
        url: input.url,
        body: input.schema?.body !== undefined,
        keyed: input.schema?.headers === IdempotencyHeaders,
        config,
      });
      return { schema: schema.hide ? schema : { ...schema, 'x-problems': codes }, url };
    },
    transformObject: (document) => withoutUnused(completed(jsonSchemaTransformObject(document))),
  });
}

export function openApiRoutes(app: FastifyInstance): void {
  const options = { schema: { hide: true }, config: { public: true } };
  // Made once: anybody may ask for them, again and again.
  let document: string | undefined;
  let page: string | undefined;
  app.get('/openapi.json', options, async (_request, reply) => {
    document ??= JSON.stringify(app.swagger());
    return reply.type('application/json').send(document);
  });
  app.get('/docs', options, async (_request, reply) => {
    page ??= docsPage(app.swagger() as ShownDocument);
    return reply.type('text/html; charset=utf-8').header('content-security-policy', PAGE_POLICY).send(page);
  });
}

interface Document {
  paths?: unknown;
  components?: { schemas?: Record<string, unknown> };
}

type Paths = Record<string, Record<string, Operation>>;

/** Every operation with the problems that it can answer and the header that all take. */
function completed<T extends object>(document: T): T {
  const paths = (document as { paths?: Paths }).paths ?? {};
  const complete = (operation: Operation): Operation => ({
    ...withProblems(operation),
    parameters: [...(operation.parameters ?? []), NAMESPACE_PARAMETER],
  });
  const entries = Object.entries(paths).map(([path, operations]) => [
    path,
    Object.fromEntries(Object.entries(operations).map(([method, operation]) => [method, complete(operation)])),
  ]);
  return { ...document, paths: Object.fromEntries(entries) };
}

/** Every named schema is there twice, as it is sent and as it is answered; only what the paths refer to is kept. */
function withoutUnused<T extends object>(document: T): T {
  const { paths, components }: Document = document;
  const schemas = Object.entries(components?.schemas ?? {});
  const used = new Set<string>();
  const use = (part: unknown): void => {
    const text = JSON.stringify(part);
    for (const [name, schema] of schemas) {
      if (used.has(name) || !text.includes(`"#/components/schemas/${name}"`)) continue;
      used.add(name);
      use(schema);
    }
  };
  use(paths);
  const kept = Object.fromEntries(schemas.filter(([name]) => used.has(name)));
  return { ...document, components: { ...components, schemas: kept } };
}
