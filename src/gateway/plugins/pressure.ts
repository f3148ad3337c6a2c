/** Refuses requests while the process can't keep up: an answer at once is better than one that comes too late. */

import type { FastifyInstance } from 'fastify';
import type { GatewayDeps } from '../deps.ts';
import { Problem } from '../problem.ts';

const RETRY_SECONDS = 2;

export function installPressure(app: FastifyInstance, { lag, config }: Pick<GatewayDeps, 'lag' | 'config'>): void {
  if (!lag) return;
  app.addHook('onRequest', async () => {
    if (lag() <= config.limits.eventLoopLag) return;
    throw new Problem('Overloaded', 'This gateway has more to do than it can; try again in a moment.', {
      retryAfterSeconds: RETRY_SECONDS,
    });
  });
}
