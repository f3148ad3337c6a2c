/** Requests that stay open: bounded in number, told when their client leaves, and finished before the gateway closes. */

import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Clock, GatewayLimits, GatewayMetrics } from '../deps.ts';
import { Problem } from '../problem.ts';

const RETRY_SECONDS = 2;

const clientLeft = (): Problem => new Problem('ClientClosedRequest', 'The client left.');

export class Holds {
  readonly #limit: number;
  readonly #metrics: GatewayMetrics | undefined;
  readonly #held = new Set<AbortController>();

  constructor(limit: number, metrics: GatewayMetrics | undefined) {
    this.#limit = limit;
    this.#metrics = metrics;
  }

  /** Holds the request of `reply` until that is sent; its signal aborts with a `Problem`. Throws where too many are held. */
  take(reply: FastifyReply): AbortController {
    if (reply.raw.destroyed) throw clientLeft();
    if (this.#held.size >= this.#limit) {
      const detail = 'Too many requests wait for runs already; try again in a moment.';
      throw new Problem('TooManyWaiting', detail, { retryAfterSeconds: RETRY_SECONDS });
    }
    const hold = new AbortController();
    this.#held.add(hold);
    this.#metrics?.heldRequests(this.#held.size);
    // Nothing moves on this connection while the run goes on.
    reply.raw.setTimeout(0, () => undefined);
    reply.raw.once('close', () => {
      this.#held.delete(hold);
      this.#metrics?.heldRequests(this.#held.size);
      hold.abort(clientLeft());
    });
    return hold;
  }

  releaseAll(): void {
    const detail = 'This gateway is shutting down; send the request again.';
    for (const hold of this.#held) hold.abort(new Problem('ShuttingDown', detail));
  }
}

/** From the moment that the gateway closes, new requests are refused, and held ones have `drainTimeout` to finish. */
export function installDrain(app: FastifyInstance, holds: Holds, clock: Clock, { drainTimeout }: GatewayLimits): void {
  const cleanup = new DisposableStack();
  let closing = false;
  app.addHook('preClose', async () => {
    closing = true;
    cleanup.use(clock.after(drainTimeout, () => holds.releaseAll()));
  });
  app.addHook('onClose', async () => cleanup.dispose());
  // A connection that stays open for another request would hold up the end until it times out.
  app.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close');
  });
  app.addHook('onResponse', async () => {
    if (closing) setImmediate(() => app.server.closeIdleConnections());
  });
  app.addHook('onRequest', async () => {
    if (closing)
      throw new Problem('ShuttingDown', 'This gateway is shutting down; send the request again.', {
        retryAfterSeconds: 1,
      });
  });
}
