/** Stdin and stdout of a container over one WebSocket. */

import type { Agent, IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import { onAbort } from '../runtime/abort.ts';
import type { Clock } from '../runtime/clock.ts';
import { type ContainerStream, createContainerStream } from './containerstream.ts';
import { startDeadline } from './deadline.ts';
import { failure } from './failure.ts';
import { PROTOCOL } from './frames.ts';
import { readRefusal } from './status.ts';

export interface AttachRequest {
  /** `http:` or `https:`. */
  url: URL;
  headers: Record<string, string>;
  agent: Agent;
  clock: Clock;
  /** For the connection to stand, in milliseconds. */
  timeoutMilliseconds: number;
  /** Between two pings. */
  pingMilliseconds: number;
  /** Closes the stream at any time. */
  signal: AbortSignal;
}

/** The largest frame that is taken; API servers and kubelets copy by 32 KiB. */
const FRAME_LIMIT_BYTES = 1024 * 1024;

/** Resolves when the connection stands. Rejects with `KubeError`, or with `AbortError` when the signal aborts. */
export async function openAttach(request: AttachRequest): Promise<ContainerStream> {
  using deadline = startDeadline(request.clock, request.timeoutMilliseconds, request.signal);
  const socket = new WebSocket(request.url, PROTOCOL, {
    headers: request.headers,
    agent: request.agent,
    perMessageDeflate: false,
    maxPayload: FRAME_LIMIT_BYTES,
  });
  // Made before the connection stands: the first frames can come together with the answer to the handshake.
  const stream = createContainerStream(socket, request.clock, request.pingMilliseconds);
  using _ = onAbort(deadline.signal, () => socket.terminate());
  try {
    await opened(socket);
  } catch (error) {
    throw failure(error, deadline.signal);
  }
  const closing = onAbort(request.signal, () => stream.close());
  void stream.ended.then(() => closing[Symbol.dispose]());
  return stream;
}

function opened(socket: WebSocket): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('open', resolve);
  socket.once('error', reject);
  socket.once('unexpected-response', (_request, response: IncomingMessage) => {
    readRefusal(response.statusCode ?? 0, response.headers, response)
      .then(reject, reject)
      .finally(() => socket.terminate());
  });
  return promise;
}
