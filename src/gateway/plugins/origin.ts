/** Keeps web pages out: a browser that visits somebody's page must not reach a gateway on its own network or machine. */

import type { FastifyInstance } from 'fastify';
import { Problem } from '../problem.ts';

export function installOriginCheck(app: FastifyInstance, allowed: readonly string[]): void {
  app.addHook('onRequest', async ({ headers }, reply) => {
    reply.headers({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' });
    if (headers.origin !== undefined && !allowed.includes(headers.origin))
      throw new Problem('OriginNotAllowed', 'This gateway does not answer web pages of this origin.');
  });
}
