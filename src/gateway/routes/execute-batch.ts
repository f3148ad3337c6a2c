/** POST /execute/batch: a list of what POST /execute takes, run as one batch. */

import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { MAX_ITEMS } from '../../api/codebatch.ts';
import { allowedClass } from '../auth/classes.ts';
import { createBatch } from '../batch-store.ts';
import { BatchView, batchView } from '../batch-view.ts';
import type { GatewayDeps } from '../deps.ts';
import { IdempotencyHeaders, namingOf } from '../idempotency.ts';
import { PROBLEMS } from '../plugins/openapi.ts';
import { batchSpec, CreateBatch } from './batch-schemas.ts';
import { ExecuteRequest, networkClass } from './execute.ts';

const ExecuteBatchRequest = z
  .array(ExecuteRequest)
  .min(1)
  .max(MAX_ITEMS)
  .meta({
    id: 'ExecuteBatchRequest',
    examples: [[{ code: 'print(1)' }, { code: 'print(2)', timeout: 10 }]],
  });

export function executeBatchRoute(app: FastifyInstance, deps: GatewayDeps): void {
  app.withTypeProvider<ZodTypeProvider>().post(
    '/execute/batch',
    {
      schema: {
        operationId: 'executeBatch',
        summary: 'Run many Python programs',
        description:
          'Answers at once: GET /v1/batches/{name} says how it stands, and GET /v1/batches/{name}/results what each printed. The items are named item-0, item-1, …',
        headers: IdempotencyHeaders,
        body: ExecuteBatchRequest,
        response: { 201: BatchView, ...PROBLEMS },
      },
      config: { problems: ['NetworkNotAllowed'] },
    },
    async ({ body, caller, headers }, reply) => {
      const first = body.findIndex(({ allow_network }) => allow_network);
      const className = first < 0 ? undefined : await networkClass(deps, caller, `${first}.allow_network`);
      const usual = allowedClass(caller, undefined, 'className');
      const items = body.map(({ code, timeout, allow_network, memory_mb }) => ({
        code,
        timeoutSeconds: timeout,
        resources: { memory: `${memory_mb}Mi` },
        ...(allow_network && { className }),
      }));
      const parsed = CreateBatch.parse({ items, template: { ...(usual !== undefined && { className: usual }) } });
      const parallelism = Math.min(parsed.parallelism, caller.concurrentRuns ?? parsed.parallelism);
      const naming = namingOf({ caller, headers, body }, 'execute');
      const batch = await createBatch(deps, caller, { ...batchSpec(parsed), parallelism }, naming);
      reply.code(201).header('location', `/v1/batches/${batch.metadata.name}`);
      return batchView(batch);
    },
  );
}
