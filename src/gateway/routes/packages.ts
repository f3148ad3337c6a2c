/** POST /v1/sessions/{name}/packages: installs Python packages into a session. */

import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { GatewayDeps } from '../deps.ts';
import type { Holds } from '../plugins/holds.ts';
import { PROBLEMS } from '../plugins/openapi.ts';
import { streamWork } from '../session-events.ts';
import { InstalledPackages, InstallPackages, installPackages } from '../session-packages.ts';
import { SESSION_PROBLEMS } from '../session-problem.ts';
import { findReadySession } from '../session-store.ts';
import { wantsEvents } from '../sse.ts';
import { EVENTS, SessionPath } from './schemas.ts';

export function packageRoute(app: FastifyInstance, deps: GatewayDeps, holds: Holds): void {
  app.withTypeProvider<ZodTypeProvider>().post(
    '/v1/sessions/:name/packages',
    {
      schema: {
        operationId: 'installPackages',
        summary: 'Install Python packages into a session',
        description:
          'In its turn among the executions of the session. With "Accept: text/event-stream" the progress is told as ' +
          'events stdout and stderr, and the outcome as finished.',
        params: SessionPath,
        body: InstallPackages,
        response: {
          200: {
            description: 'What became of each package.',
            content: { 'application/json': { schema: InstalledPackages }, ...EVENTS },
          },
          ...PROBLEMS,
        },
      },
      config: { problems: [...SESSION_PROBLEMS, 'SessionBusy', 'Interrupted', 'PackagesNotOffered', 'DiskFull'] },
    },
    async (request, reply) => {
      const { body, params, caller, headers } = request;
      const hold = holds.take(reply);
      const { signal } = hold;
      const ready = await findReadySession(deps, caller, params.name, signal);
      if (!wantsEvents(headers.accept)) return installPackages(deps, ready, body, { signal });
      const work = async (tell: Parameters<Parameters<typeof streamWork>[1]['work']>[0]) => [
        { event: 'finished', data: await installPackages(deps, ready, body, { signal, tell }) },
      ];
      return streamWork(deps, { request, reply, hold, work });
    },
  );
}
