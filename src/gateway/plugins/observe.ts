/** One line in the log and one observation for the metrics a request, none of it from its body. */

import type { FastifyInstance } from 'fastify';
import type { GatewayMetrics } from '../deps.ts';
import { ERROR_STATUS } from '../problem.ts';

export function installObservation(app: FastifyInstance, metrics: GatewayMetrics | undefined): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    const { method, routeOptions, log } = request;
    // The framework's own hook does not tell of answers that were never taken.
    reply.raw.once('close', () => {
      const status = reply.raw.writableEnded ? reply.statusCode : ERROR_STATUS.ClientClosedRequest;
      const finished = { method, route: routeOptions.url ?? 'unmatched', status, seconds: reply.elapsedTime / 1000 };
      metrics?.requestFinished(finished);
      log.debug(finished, 'request finished');
    });
  });
}
