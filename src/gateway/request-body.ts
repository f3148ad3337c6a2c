/** The body of a request piece by piece: no larger than it may be, and given up where nothing comes. */

import type { Readable } from 'node:stream';
import type { GatewayDeps } from './deps.ts';
import { Problem } from './problem.ts';
import { onAbort } from './session-calls.ts';

interface BodyOptions {
  deps: Pick<GatewayDeps, 'clock' | 'config'>;
  hold: AbortController;
  /** In bytes. */
  limit: number;
  tooLarge: () => Problem;
}

/** What is not wanted any more is passed over, so that the client can finish and read the answer. */
export async function* readBody(
  body: Readable | null | undefined,
  { deps, hold, limit, tooLarge }: BodyOptions,
): AsyncGenerator<Uint8Array> {
  if (!body) return;
  // Ending the loop must not end the connection.
  const pieces = body.iterator({ destroyOnReturn: false });
  let bytes = 0;
  try {
    for (;;) {
      const { value, done } = await nextPiece(pieces, deps, hold);
      if (done) return;
      bytes += value.length;
      if (bytes > limit) throw tooLarge();
      yield value;
    }
  } finally {
    // Not awaited: it ends only after what it waits for.
    void Promise.resolve(pieces.return?.()).then(
      () => body.resume(),
      () => undefined,
    );
  }
}

async function nextPiece(
  pieces: NodeJS.AsyncIterator<Uint8Array>,
  { clock, config }: BodyOptions['deps'],
  hold: AbortController,
): Promise<IteratorResult<Uint8Array>> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stalled = () => hold.abort(new Problem('RequestTimeout', 'The body of the request did not come.'));
  using _timer = clock.after(config.limits.stalledReaderTimeout, stalled);
  using _abort = onAbort(hold.signal, () => reject(hold.signal.reason));
  return await Promise.race([pieces.next(), aborted]);
}
