/** Requests that stay open: bounded in number, told when their client leaves, and finished before the gateway closes. */

import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Clock, GatewayLimits, GatewayMetrics } from '../deps.ts';
import { Problem } from '../problem.ts';

const RETRY_SECONDS = 2;

const clientLeft = (): Problem => new Problem('ClientClosedRequest', 'The client left.');

export class Holds {
  readonly #limits: Pick<GatewayLimits, 'heldRequests' | 'heldRequestsPerCaller'>;
  readonly #metrics: GatewayMetrics | undefined;
  readonly #held = new Set<AbortController>();
  readonly #callers = new Map<string, number>();

  constructor(
    limits: Pick<GatewayLimits, 'heldRequests' | 'heldRequestsPerCaller'>,
    metrics: GatewayMetrics | undefined,
  ) {
    this.#limits = limits;
    this.#metrics = metrics;
  }

  /** Holds the request of `reply` until that is sent; its signal aborts with a `Problem`. Throws where too many are held. */
  take(reply: FastifyReply): AbortController {
    if (reply.raw.destroyed) throw clientLeft();
    const { name } = reply.request.caller;
    this.#checkRoom(name);
    const hold = new AbortController();
    this.#held.add(hold);
    this.#count(name, 1);
    this.#metrics?.heldRequests(this.#held.size);
    // Nothing moves on this connection while the run goes on.
    reply.raw.setTimeout(0, () => undefined);
    reply.raw.once('close', () => {
      this.#held.delete(hold);
      this.#count(name, -1);
      this.#metrics?.heldRequests(this.#held.size);
      hold.abort(clientLeft());
    });
    return hold;
  }

  #checkRoom(caller: string): void {
    const { heldRequests, heldRequestsPerCaller } = this.#limits;
    const retry = { retryAfterSeconds: RETRY_SECONDS };
    if (this.#held.size >= heldRequests)
      throw new Problem('TooManyWaiting', 'Too many requests wait for runs already; try again in a moment.', retry);
    if ((this.#callers.get(caller) ?? 0) >= heldRequestsPerCaller)
      throw new Problem(
        'TooManyHeld',
        'Too many requests of yours wait for runs; try again when some are done.',
        retry,
      );
  }

  #count(caller: string, change: 1 | -1): void {
    const count = (this.#callers.get(caller) ?? 0) + change;
    if (count > 0) this.#callers.set(caller, count);
    else this.#callers.delete(caller);
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
