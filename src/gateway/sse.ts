/** Server-Sent Events: how one is written, and how a stream of them is answered and kept alive. */

import type { FastifyReply } from 'fastify';
import type { Clock, GatewayDeps } from './deps.ts';
import { sendHeadersAtOnce, streamOf } from './stream.ts';

export const SSE_TYPE = 'text/event-stream';

export interface ServerSentEvent {
  event: string;
  /** Becomes JSON, on one line. */
  data: unknown;
  /** What a client sends back as Last-Event-ID to go on after this event; without line breaks. */
  id?: string;
}

/** A comment: it says that the stream lives, to proxies as to clients. */
const HEARTBEAT = ': the stream is alive\n\n';

export const sseText = ({ event, data, id }: ServerSentEvent): string =>
  `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;

/** True where the client asks for events rather than for JSON. */
export const wantsEvents = (accept: string | undefined): boolean =>
  (accept ?? '').split(',').some((range) => range.split(';')[0]?.trim().toLowerCase() === SSE_TYPE);

/** Answers with the events of `source`, which ends when it is done or `hold` aborts. */
export function sendEvents(
  reply: FastifyReply,
  source: AsyncIterable<ServerSentEvent>,
  hold: AbortController,
  deps: Pick<GatewayDeps, 'clock' | 'config'>,
): FastifyReply {
  sendHeadersAtOnce(reply);
  // A proxy that collects answers would hold events back.
  reply.type(SSE_TYPE).header('x-accel-buffering', 'no');
  return reply.send(streamOf(withHeartbeats(source, deps.clock, deps.config.limits.heartbeat), hold, deps));
}

/** `source` as text, and a comment after every `milliseconds` without an event. */
export async function* withHeartbeats(
  source: AsyncIterable<ServerSentEvent>,
  clock: Pick<Clock, 'after'>,
  milliseconds: number,
): AsyncGenerator<string> {
  const events = source[Symbol.asyncIterator]();
  const ask = () => {
    const next = events.next();
    // It may fail while nobody waits for it, after a client has left.
    next.catch(() => undefined);
    return next;
  };
  try {
    for (let next = ask(); ; ) {
      const first = await withinSilence(next, clock, milliseconds);
      if (first === 'silent') {
        yield HEARTBEAT;
        continue;
      }
      if (first.done) return;
      yield sseText(first.value);
      next = ask();
    }
  } finally {
    // Not awaited: it ends only after what it waits for.
    events.return?.().catch(() => undefined);
  }
}

async function withinSilence<T>(next: Promise<T>, clock: Pick<Clock, 'after'>, milliseconds: number) {
  const { promise: silence, resolve } = Promise.withResolvers<'silent'>();
  using _timer = clock.after(milliseconds, () => resolve('silent'));
  return await Promise.race([next, silence]);
}
