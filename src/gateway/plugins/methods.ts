/** Answers a path that exists under another method with 405 and the methods that it has. */

import type { FastifyInstance } from 'fastify';
import { Problem } from '../problem.ts';

/** Watches which routes are added; what it returns, called after the last of them, adds the answers. */
export function watchMethods(app: FastifyInstance): (app: FastifyInstance) => void {
  const methods = new Map<string, Set<string>>();
  let watching = true;
  app.addHook('onRoute', ({ url, method }) => {
    if (watching) methods.set(url, new Set([...(methods.get(url) ?? []), ...[method].flat()]));
  });
  return (scope) => {
    watching = false;
    for (const [url, allowed] of methods) {
      const allow = [...allowed].join(', ');
      scope.route({
        url,
        method: scope.supportedMethods.filter((method) => !allowed.has(method)),
        schema: { hide: true },
        config: { public: true },
        onRequest: async () => {
          throw new Problem('MethodNotAllowed', `This path takes ${allow}.`, { headers: { allow } });
        },
        handler: async () => undefined,
      });
    }
  };
}
