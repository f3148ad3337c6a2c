/** The OpenAPI document, made from the schemas that validate. */

import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { ProblemBody } from '../problem.ts';
import { PROBLEM_TYPE } from './errors.ts';

const problem = (description: string) => ({ description, content: { [PROBLEM_TYPE]: { schema: ProblemBody } } });

/** For the responses of every route. */
export const PROBLEMS = {
  '4XX': problem('The request is at fault; the code says how.'),
  '5XX': problem('The gateway or the cluster is at fault.'),
};

export function installOpenApi(app: FastifyInstance): void {
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'coderun',
        version: 'v1',
        description: 'Runs untrusted code in sandboxes and answers what it did.',
      },
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => withoutUnused(jsonSchemaTransformObject(document)),
  });
}

export function openApiRoute(app: FastifyInstance): void {
  app.get('/openapi.json', { schema: { hide: true }, config: { public: true } }, async () => app.swagger());
}

interface Document {
  paths?: unknown;
  components?: { schemas?: Record<string, unknown> };
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
