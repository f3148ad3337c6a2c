/** GET /v1/runs/{name}/artifacts/{path}: a file that the run brought back. */

import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { RelativePath } from '../../api/schema.ts';
import { readArtifact } from '../artifact.ts';
import type { GatewayDeps } from '../deps.ts';
import type { Holds } from '../plugins/holds.ts';
import type { Caller } from '../plugins/identify.ts';
import { PROBLEMS } from '../plugins/openapi.ts';
import { findRun } from '../run-store.ts';
import { RunPath } from './schemas.ts';

const path = RelativePath.describe('Path of the file, as the artifacts of the run have it.');

export function artifactRoutes(root: FastifyInstance, deps: GatewayDeps, holds: Holds): void {
  const app = root.withTypeProvider<ZodTypeProvider>();

  app.get(
    '/v1/runs/:name/artifacts/:path',
    {
      schema: {
        operationId: 'getRunArtifact',
        summary: 'Download an artifact of a run',
        description: 'A path with slashes may be written as it is or with %2F.',
        params: RunPath.extend({ path }),
        response: {
          200: {
            description: 'The file.',
            content: {
              'application/octet-stream': { schema: z.custom<Buffer>().meta({ type: 'string', format: 'binary' }) },
            },
          },
          ...PROBLEMS,
        },
      },
      config: { problems: ['ArtifactNotFound', 'ArtifactGone'] },
    },
    async ({ params, caller }, reply) => download(caller, params.name, params.path, reply),
  );

  // OpenAPI has no parameter that spans slashes; this is the same route for paths that hold some.
  app.get(
    '/v1/runs/:name/artifacts/*',
    { schema: { hide: true, params: RunPath.extend({ '*': path }) } },
    async ({ params, caller }, reply) => download(caller, params.name, params['*'], reply),
  );

  async function download(caller: Caller, name: string, file: string, reply: FastifyReply): Promise<Buffer> {
    const { signal } = holds.take(reply);
    const content = await readArtifact(deps, await findRun(deps, caller, name), file, signal);
    // Whatever a program made is never shown as a page of the gateway's own origin.
    reply.type('application/octet-stream').header('content-disposition', 'attachment');
    return content;
  }
}
