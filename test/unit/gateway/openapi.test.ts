import { Validator } from '@seriousme/openapi-schema-validator';
import { beforeAll, describe, expect, test } from 'vitest';
import { accessOf } from '../../../src/gateway/auth/access.ts';
import { docsPage } from '../../../src/gateway/docs-page.ts';
import { ERROR_STATUS } from '../../../src/gateway/problem.ts';
import { errorTable } from '../../../src/gateway/problem-meanings.ts';
import { aWorld } from '../../support/gateway-world.ts';

interface Operation {
  operationId: string;
  summary: string;
  parameters?: { name: string; in: string; schema: object }[];
  requestBody?: { required: boolean; content: Record<string, { schema: object }> };
  responses: Record<string, Response>;
}
interface Response {
  headers?: Record<string, unknown>;
  content: Record<string, { schema: { $ref?: string }; examples?: Record<string, { value: { status: number } }> }>;
}
interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: {
    schemas: Record<
      string,
      { properties: Record<string, { description?: string }>; additionalProperties?: boolean; examples?: unknown[] }
    >;
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
      'GET /v1/runs/{name}/events',
      'GET /v1/runs/{name}/artifacts/{path}',
      'POST /v1/batches',
      'GET /v1/batches/{name}',
      'DELETE /v1/batches/{name}',
      'GET /v1/batches/{name}/results',
      'POST /v1/sessions',
      'GET /v1/sessions',
      'GET /v1/sessions/{name}',
      'DELETE /v1/sessions/{name}',
      'POST /v1/sessions/{name}/execute',
      'POST /v1/sessions/{name}/interrupt',
      'POST /v1/sessions/{name}/restart',
      'GET /v1/sessions/{name}/variables',
      'GET /v1/sessions/{name}/files',
      'GET /v1/sessions/{name}/files/content',
      'DELETE /v1/sessions/{name}/files/content',
      'PUT /v1/sessions/{name}/files/content',
      'POST /v1/sessions/{name}/packages',
      'POST /repl/execute',
      'POST /repl/install',
      'POST /v1/agent',
    ]);
  });

  test('is what the specification of OpenAPI allows', async () => {
    expect(await new Validator().validate({ ...structuredClone(document) })).toMatchObject({ valid: true });
  });

  test('has an id, a summary and every problem with its own status for every operation', () => {
    for (const { operation } of operations()) {
      expect([operation.operationId, operation.summary]).toEqual([expect.any(String), expect.any(String)]);
      const problems = Object.entries(operation.responses).filter(([status]) => Number(status) >= 400);
      expect(problems.map(([status]) => status)).toEqual(
        expect.arrayContaining(['400', '401', '403', '408', '429', '431', '500', '503']),
      );
      for (const [status, response] of problems) checkProblem(Number(status), response);
    }
  });

  function checkProblem(status: number, { headers, content }: Response) {
    const { schema, examples = {} } = content['application/problem+json'] ?? { schema: {} };
    expect([Object.keys(content), schema]).toEqual([
      ['application/problem+json'],
      { $ref: '#/components/schemas/Problem' },
    ]);
    expect(Object.values(examples).map(({ value }) => value)).toEqual(
      Object.keys(examples).map((code) => expect.objectContaining({ code, status })),
    );
    expect('retry-after' in (headers ?? {})).toBe(status === 429 || status === 503);
  }

  test('has an example of every body that is sent', () => {
    const bodies = operations().flatMap(({ operation }) => operation.requestBody?.content['application/json'] ?? []);
    for (const { schema } of bodies) {
      const name = /"#\/components\/schemas\/(\w+)"/.exec(JSON.stringify(schema))?.[1] ?? '';
      expect(document.components.schemas[name]).toMatchObject({ examples: [expect.anything()] });
    }
  });

  test('says which bodies may be left out', () => {
    const optional = operations().filter(({ operation }) => operation.requestBody?.required === false);
    expect(optional.map(({ route }) => route)).toEqual([
      'POST /v1/sessions/{name}/restart',
      'PUT /v1/sessions/{name}/files/content',
    ]);
    const types = optional.map(({ operation }) => JSON.stringify(operation.requestBody));
    expect(types.filter((text) => text.includes('null'))).toEqual([]);
  });

  test('names every code of a problem in some operation, but for those that no operation answers', () => {
    const said = JSON.stringify(document.paths);
    const unsaid = Object.keys(ERROR_STATUS).filter((code) => !said.includes(`"${code}"`));
    expect(unsaid).toEqual(['RouteNotFound', 'MethodNotAllowed', 'ClientClosedRequest']);
    expect(
      errorTable()
        .map(({ code }) => code)
        .sort(),
    ).toEqual(Object.keys(ERROR_STATUS).sort());
  });

  test('has no operation that a token of Kubernetes could not be checked for', () => {
    const unchecked = operations().filter(({ route }) => {
      const [method = '', path = ''] = route.split(' ');
      return accessOf(method, path.replaceAll(/\{(\w+)\}/g, ':$1')) === undefined;
    });
    expect(unchecked).toEqual([]);
  });

  test('describes each field of what is sent and answered, and allows no others', () => {
    const all = document.components.schemas;
    const { CreateRunInput, CreateBatchInput, ExecuteRequestInput, Run, Batch, Problem } = all;
    const { CreateSessionInput, ExecuteInSessionInput, Session, Execution, FileList, InstalledPackages } = all;
    for (const schema of [
      ...[CreateRunInput, CreateBatchInput, ExecuteRequestInput, Run, Batch, Problem],
      ...[CreateSessionInput, ExecuteInSessionInput, Session, Execution, FileList, InstalledPackages],
    ]) {
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

describe('the page /docs', () => {
  test('shows every operation, and holds nothing that a browser would run or fetch', async () => {
    const { statusCode, headers, body } = await aWorld().get('/docs');
    expect([statusCode, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    for (const { route } of operations()) expect(body).toContain(`<code>${route}</code>`);
    expect(body).not.toMatch(/<script|<img|<link|src=|@import|url\(|https?:\/\/|\son\w+=/i);
  });

  test('has an end for each of its links', async () => {
    const { body } = await aWorld().get('/docs');
    const links = [...body.matchAll(/href="#([^"]+)"/g)].map(([, id]) => id);
    const missing = links.filter((id) => !body.includes(`id="${id}"`));
    expect([links.length > 20, missing]).toEqual([true, []]);
  });

  test('shows texts as they are, whatever is in them', () => {
    const page = docsPage({
      info: { title: '<script>alert(1)</script>' },
      paths: { '/"><b>': { get: { operationId: '"x', summary: "'&", parameters: [{ name: '<i>', in: 'query' }] } } },
      components: { schemas: { A: { description: '</pre><script>' } } },
    });
    expect(page).not.toMatch(/<script|<b>|<i>|="["x]/);
  });
});
