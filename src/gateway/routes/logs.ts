/** GET /v1/runs/{name}/logs: what the program prints, as plain text, while it runs or afterwards. */

import type { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { GatewayDeps } from '../deps.ts';
import type { Holds } from '../plugins/holds.ts';
import { PROBLEMS } from '../plugins/openapi.ts';
import { programOutput } from '../program-output.ts';
import { findRun } from '../run-store.ts';
import { sendHeadersAtOnce, streamOf } from '../stream.ts';
import { RunPath } from './schemas.ts';

const LogQuery = z.strictObject({
  follow: z
    .string()
    .regex(/^(true|false)$/, 'must be true or false')
    .optional()
    .transform((follow) => follow === 'true')
    .meta({ type: 'boolean', description: 'True streams the output until the run ends; false if left out.' }),
  stream: z.enum(['stdout', 'stderr']).optional().describe('Only one of the two; left out, both as they came.'),
});

export function logRoute(app: FastifyInstance, deps: GatewayDeps, holds: Holds): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    '/v1/runs/:name/logs',
    {
      schema: {
        operationId: 'getRunLogs',
        summary: 'Read or follow the output of a run',
        params: RunPath,
        querystring: LogQuery,
        response: {
          200: {
            description: 'The output.',
            content: { 'text/plain; charset=utf-8': { schema: z.custom<Readable>().meta({ type: 'string' }) } },
          },
          ...PROBLEMS,
        },
      },
    },
    async ({ params, query: { follow, stream }, caller }, reply) => {
      const hold = holds.take(reply);
      const run = await findRun(deps, caller, params.name);
      const output = programOutput(deps, run, { follow, stream, signal: hold.signal });
      if (follow) sendHeadersAtOnce(reply);
      return reply.type('text/plain; charset=utf-8').send(streamOf(output, hold, deps));
    },
  );
}
