/** Answers that come bit by bit: held open, sent no faster than they are read, and let go of where nobody reads. */

import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { Clock, GatewayDeps } from './deps.ts';
import { Problem } from './problem.ts';

/** The body that `source` makes, until it ends or `hold` aborts. */
export function streamOf(
  source: AsyncIterable<string | Uint8Array>,
  hold: AbortController,
  { clock, config }: Pick<GatewayDeps, 'clock' | 'config'>,
): Readable {
  const body = Readable.from(whileRead(source, clock, config.limits.stalledReaderTimeout, hold), {
    objectMode: false,
    highWaterMark: 64 * 1024,
  });
  hold.signal.addEventListener('abort', () => body.destroy(hold.signal.reason));
  return body;
}

/** A client that waits for the first bit learns at once that it is heard. */
export const sendHeadersAtOnce = (reply: FastifyReply): void => {
  reply.raw.once('pipe', () => reply.raw.flushHeaders());
};

/** Passes `source` on, and lets go of it where nobody reads for `milliseconds`. */
async function* whileRead(
  source: AsyncIterable<string | Uint8Array>,
  clock: Clock,
  milliseconds: number,
  hold: AbortController,
): AsyncGenerator<string | Uint8Array> {
  for await (const chunk of source) {
    using _stalled = clock.after(milliseconds, () =>
      hold.abort(new Problem('RequestTimeout', 'The output was not read.')),
    );
    yield chunk;
  }
}
