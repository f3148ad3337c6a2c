/** Who is asking: every request but those to public routes has a caller, and a caller has one namespace. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from '../problem.ts';

export interface Caller {
  /** For logs, metrics and limits, the same for every request of theirs; never a secret. */
  name: string;
  /** Where the caller's runs are; all else does not exist for them. */
  namespace: string;
  /** The API key that they showed. */
  keyId?: string;
  /** SandboxClasses that they may use, the first for runs that name none; undefined means every class. */
  classes?: readonly string[];
  requestsPerMinute?: number;
  /** Runs and sessions of theirs that may be unfinished at once. */
  concurrentRuns?: number;
}

/** The failed attempts from one address, counted by whoever asks. */
export interface Attempts {
  /** True where there were too many in the last minute. */
  readonly exhausted: boolean;
  /** Notes that the credentials of this request are wrong; `problem` is thrown as it is, or as TooManyFailures. */
  failed(problem: Problem): Problem;
}

/** Who sends `request`; throws a `Problem` where that can't be told or isn't anybody known. */
export type Identify = (request: FastifyRequest, attempts: Attempts) => Caller | Promise<Caller>;

declare module 'fastify' {
  interface FastifyRequest {
    /** Undefined on public routes only. */
    caller: Caller;
  }
  interface FastifyContextConfig {
    /** Answered to anybody. */
    public?: boolean;
  }
}

/** Counts an attempt for the address of the request, or with `increment: false` only looks. */
export type CountFailures = (
  request: FastifyRequest,
  options?: { increment: boolean },
) => Promise<{ isAllowed: true } | { isAllowed: false; remaining: number; isExceeded: boolean; ttlInSeconds: number }>;

export function installIdentity(app: FastifyInstance, identify: Identify, count: () => CountFailures): void {
  app.decorateRequest('caller');
  app.addHook('onRequest', async (request: FastifyRequest, _reply: FastifyReply) => {
    if (request.routeOptions.config.public) return;
    const before = await count()(request, { increment: false });
    const exhausted = !before.isAllowed && before.remaining === 0;
    let failed = false;
    const attempts: Attempts = {
      exhausted,
      failed(problem) {
        failed = true;
        return exhausted && !before.isAllowed ? tooManyFailures(before.ttlInSeconds) : problem;
      },
    };
    try {
      request.caller = await identify(request, attempts);
    } finally {
      if (failed) await count()(request);
    }
  });
}

const tooManyFailures = (seconds: number): Problem =>
  new Problem('TooManyFailures', 'Too many requests from your address had wrong credentials; correct them and wait.', {
    retryAfterSeconds: seconds,
  });

const CHALLENGE = { headers: { 'www-authenticate': 'Bearer realm="coderun"' } };

export const unauthenticated = (detail: string): Problem => new Problem('Unauthenticated', detail, CHALLENGE);
