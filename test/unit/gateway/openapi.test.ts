import { beforeAll, describe, expect, test } from 'vitest';
import { aWorld } from '../../support/gateway-world.ts';

interface Operation {
  operationId: string;
  summary: string;
  parameters?: { name: string; in: string; schema: object }[];
  requestBody?: { content: Record<string, { schema: { $ref?: string } }> };
  responses: Record<string, { content: Record<string, { schema: { $ref?: string } }> }>;
}
interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: {
    schemas: Record<string, { properties: Record<string, { description?: string }>; additionalProperties?: boolean }>;
  };
}

let document: Document;
beforeAll(async () => {
  document = (await aWorld().get('/openapi.json')).json();
});

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ route: `${method.toUpperCase()} ${path}`, operation })),
  );

describe('the OpenAPI document', () => {
  test('is of version 3.1 and has every route, and no other', () => {
    expect(document.openapi).toBe('3.1.0');
    expect(operations().map(({ route }) => route)).toEqual([
      'POST /execute',
      'POST /execute/batch',
      'POST /v1/runs',
      'GET /v1/runs',
      'GET /v1/runs/{name}',
      'DELETE /v1/runs/{name}',
      'GET /v1/runs/{name}/logs',
      'GET /v1/runs/{name}/artifacts/{path}',
      'POST /v1/batches',
      'GET /v1/batches/{name}',
      'DELETE /v1/batches/{name}',
      'GET /v1/batches/{name}/results',
      'POST /v1/agent',
    ]);
  });

  test('has an id, a summary and problems for every operation', () => {
    for (const { operation } of operations()) {
      expect([operation.operationId, operation.summary]).toEqual([expect.any(String), expect.any(String)]);
      for (const status of ['4XX', '5XX'])
        expect(operation.responses[status]?.content).toEqual({
          'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
        });
    }
  });

  test('describes each field of what is sent and answered, and allows no others', () => {
    const { CreateRunInput, CreateBatchInput, ExecuteRequestInput, Run, Batch, Problem } = document.components.schemas;
    for (const schema of [CreateRunInput, CreateBatchInput, ExecuteRequestInput, Run, Batch, Problem]) {
      expect(schema?.additionalProperties).toBe(false);
      const bare = Object.entries(schema?.properties ?? {}).filter(
        ([name, { description }]) => !description && !['type', 'status'].includes(name),
      );
      expect(bare).toEqual([]);
    }
  });

  test('has every schema that it refers to, and no other', () => {
    const references = JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g);
    const names = new Set([...references].map(([, name]) => name));
    expect([...names].sort()).toEqual(Object.keys(document.components.schemas).sort());
  });

  test('gives parameters of the query the types that they are written for', () => {
    const types = operations().flatMap(({ operation }) =>
      (operation.parameters ?? [])
        .filter((parameter) => parameter.in === 'query')
        .map(({ name, schema }) => [name, schema]),
    );
    expect(Object.fromEntries(types)).toMatchObject({
      wait: { type: 'integer', minimum: 0, maximum: 60 },
      limit: { type: 'integer', minimum: 1, maximum: 100 },
      follow: { type: 'boolean' },
      stream: { type: 'string', enum: ['stdout', 'stderr'] },
    });
  });
});
