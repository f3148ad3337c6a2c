/** How often callers may ask: bounds by caller and by namespace, told in the RateLimit headers, and one for wrong credentials. */

import rateLimit, { normalizeIP } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { GatewayLimits } from '../deps.ts';
import { Problem } from '../problem.ts';
import type { CountFailures } from './identify.ts';

const MINUTE = 60_000;

type Limiter = ReturnType<FastifyInstance['createRateLimit']>;

interface Limiters {
  failures: Limiter;
  caller: Limiter;
  namespace: Limiter;
}

/** The limiters come into being with their plugin, before the first request. */
export function createLimiters(app: FastifyInstance, limits: GatewayLimits): () => Limiters {
  let limiters: Limiters | undefined;
  app.register(rateLimit, { global: false });
  app.after(() => {
    limiters = {
      failures: app.createRateLimit({
        max: limits.failedAttemptsPerMinute,
        timeWindow: MINUTE,
        // A client that has left has no address any more.
        keyGenerator: ({ ip }) => (ip ? normalizeIP(ip) : ''),
      }),
      caller: app.createRateLimit({
        max: ({ caller }) => caller.requestsPerMinute ?? limits.requestsPerMinute,
        timeWindow: MINUTE,
        keyGenerator: ({ caller }) => caller.name,
      }),
      namespace: app.createRateLimit({
        max: limits.namespaceRequestsPerMinute,
        timeWindow: MINUTE,
        keyGenerator: ({ caller }) => caller.namespace,
      }),
    };
  });
  return () => {
    if (!limiters) throw new Error('the limiters are not there yet');
    return limiters;
  };
}

/** Counts by the address that the connection comes from; of IPv6, by the network of it. */
export const failuresOf = (limiters: () => Limiters) => (): CountFailures => limiters().failures;

export function installRates(app: FastifyInstance, limiters: () => Limiters): void {
  app.addHook('onRequest', async (request: FastifyRequest, reply) => {
    if (request.routeOptions.config.public) return;
    const { caller, namespace } = limiters();
    // A caller who asks too often does not use up what the others of the namespace have.
    const own = await enforce(caller, request, reply, 'You ask too often');
    const shared = await enforce(namespace, request, reply, 'Your namespace is asked too often');
    if (own && shared) tell(reply, own.remaining <= shared.remaining ? own : shared);
  });
}

interface Standing {
  max: number;
  remaining: number;
  ttlInSeconds: number;
}

async function enforce(limiter: Limiter, request: FastifyRequest, reply: FastifyReply, what: string) {
  const standing = await limiter(request);
  if (standing.isAllowed) return undefined;
  if (!standing.isExceeded) return standing;
  tell(reply, standing);
  const seconds = Math.max(1, standing.ttlInSeconds);
  throw new Problem('TooManyRequests', `${what}: more than ${standing.max} requests in a minute. Wait ${seconds} s.`, {
    retryAfterSeconds: seconds,
  });
}

/** As draft-ietf-httpapi-ratelimit-headers has them in its widespread form. */
const tell = (reply: FastifyReply, { max, remaining, ttlInSeconds }: Standing): FastifyReply =>
  reply.headers({
    'ratelimit-limit': max,
    'ratelimit-remaining': remaining,
    'ratelimit-reset': ttlInSeconds,
  });
