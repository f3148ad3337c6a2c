/** /v1/batches: creating batches, looking at them, cancelling them, and the results of their items as they come. */

import type { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { CodeBatch, CodeBatchSpec } from '../../api/codebatch.ts';
import { allowedClass } from '../auth/classes.ts';
import { batchResults } from '../batch-results.ts';
import { awaitBatch, cancelBatch, createBatch, findBatch } from '../batch-store.ts';
import { BatchResult, BatchView, batchView } from '../batch-view.ts';
import type { GatewayDeps } from '../deps.ts';
import { IdempotencyHeaders, namingOf } from '../idempotency.ts';
import type { Holds } from '../plugins/holds.ts';
import type { Caller } from '../plugins/identify.ts';
import { PROBLEMS } from '../plugins/openapi.ts';
import { isEnded } from '../run-view.ts';
import { sendHeadersAtOnce, streamOf } from '../stream.ts';
import { BatchPath, batchSpec, CreateBatch } from './batch-schemas.ts';
import { WaitQuery } from './schemas.ts';

function allowedSpec(caller: Caller, spec: CodeBatchSpec): CodeBatchSpec {
  const className = allowedClass(caller, spec.template.className, 'template.className');
  for (const [index, item] of spec.items.entries())
    if (item.className !== undefined) allowedClass(caller, item.className, `items.${index}.className`);
  return { ...spec, template: { ...spec.template, ...(className !== undefined && { className }) } };
}

export function batchRoutes(root: FastifyInstance, deps: GatewayDeps, holds: Holds): void {
  const app = root.withTypeProvider<ZodTypeProvider>();

  app.post(
    '/v1/batches',
    {
      schema: {
        operationId: 'createBatch',
        summary: 'Run many programs',
        description: 'Makes a run of each item, so many at a time. With wait, the answer is held until all have ended.',
        headers: IdempotencyHeaders,
        body: CreateBatch,
        querystring: WaitQuery,
        response: { 201: BatchView, ...PROBLEMS },
      },
    },
    async ({ body, query, caller, headers }, reply) => {
      const { name, ...fields } = body;
      const hold = query.wait ? holds.take(reply) : undefined;
      const naming = namingOf({ caller, headers, body }, 'batch', name);
      const batch = await createBatch(deps, caller, allowedSpec(caller, batchSpec(fields)), naming);
      reply.code(201).header('location', `/v1/batches/${batch.metadata.name}`);
      return batchView(await ended(batch, query.wait, hold?.signal));
    },
  );

  app.get(
    '/v1/batches/:name',
    {
      schema: {
        operationId: 'getBatch',
        summary: 'Get a batch',
        params: BatchPath,
        querystring: WaitQuery,
        response: { 200: BatchView, ...PROBLEMS },
      },
    },
    async ({ params, query, caller }, reply) => {
      const hold = query.wait ? holds.take(reply) : undefined;
      return batchView(await ended(await findBatch(deps, caller, params.name), query.wait, hold?.signal));
    },
  );

  app.get(
    '/v1/batches/:name/results',
    {
      schema: {
        operationId: 'getBatchResults',
        summary: 'Read or follow the results of a batch',
        description:
          'A line of JSON for every item that has ended, in the order of their ends, until the batch has ended. Asked again, it begins anew.',
        params: BatchPath,
        response: {
          200: {
            description: `A line an item: ${BatchResult.meta()?.description}`,
            content: { 'application/x-ndjson': { schema: z.custom<Readable>().meta({ type: 'string' }) } },
          },
          ...PROBLEMS,
        },
      },
    },
    async ({ params, caller }, reply) => {
      const hold = holds.take(reply);
      const batch = await findBatch(deps, caller, params.name);
      sendHeadersAtOnce(reply);
      return reply.type('application/x-ndjson').send(streamOf(batchResults(deps, batch, hold.signal), hold, deps));
    },
  );

  app.delete(
    '/v1/batches/:name',
    {
      schema: {
        operationId: 'cancelBatch',
        summary: 'Cancel a batch',
        description: 'Cancels every item that has not ended, and answers the batch as it stands.',
        params: BatchPath,
        response: { 200: BatchView, ...PROBLEMS },
      },
    },
    async ({ params, caller }) => batchView(await cancelBatch(deps.kube, await findBatch(deps, caller, params.name))),
  );

  /** The batch at its end, or as it stands after `seconds`. */
  const ended = async (batch: CodeBatch, seconds: number | undefined, signal: AbortSignal | undefined) =>
    seconds && signal ? awaitBatch(deps, batch, { wanted: isEnded, milliseconds: seconds * 1000, signal }) : batch;
}
