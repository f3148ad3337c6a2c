/** Who is asking: every request but those to public routes has a caller, and a caller has one namespace. */

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem } from '../problem.ts';

export interface Caller {
  /** For logs and metrics; never a secret. */
  name: string;
  /** Where the caller's runs are; all else does not exist for them. */
  namespace: string;
}

/** Who sends `request`; throws a `Problem` where that can't be told or isn't anybody known. */
export type Identify = (request: FastifyRequest) => Caller | Promise<Caller>;

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller;
  }
  interface FastifyContextConfig {
    /** Answered to anybody. */
    public?: boolean;
  }
}

export function installIdentity(app: FastifyInstance, identify: Identify): void {
  app.decorateRequest('caller');
  app.addHook('onRequest', async (request) => {
    if (!request.routeOptions.config.public) request.caller = await identify(request);
  });
}

const CHALLENGE = { headers: { 'www-authenticate': 'Bearer realm="coderun"' } };

/** Everybody is the same caller, in `namespace`; nobody is where that is undefined. Credentials are refused: nothing here could check them. */
export function anonymousOnly(namespace: string | undefined): Identify {
  return ({ headers }) => {
    if (headers.authorization !== undefined)
      throw new Problem('Unauthenticated', 'This gateway does not take credentials; send none.', CHALLENGE);
    if (namespace === undefined)
      throw new Problem(
        'Unauthenticated',
        'This gateway has no anonymous callers; ask its administrator for access.',
        CHALLENGE,
      );
    return { name: 'anonymous', namespace };
  };
}
