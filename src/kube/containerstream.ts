/** A WebSocket to a container as a stream that ends exactly once, with a reason, and pushes back both ways. */

import { Readable } from 'node:stream';
import { WebSocket } from 'ws';
import type { Clock } from '../runtime/clock.ts';
import { KubeError } from './error.ts';
import { Channel, decodeFrame, encodeFrames, endOfStatus } from './frames.ts';
import { startHeartbeat } from './heartbeat.ts';
import type { AttachedStream, StreamEnd } from './port.ts';
import { safeMessage } from './status.ts';

export interface ContainerStream extends AttachedStream {
  /** Ends the container's stdin, where the container has `stdinOnce`. Resolves and rejects as `write` does. */
  closeInput(): Promise<void>;
}

/** Output that may wait to be read: beyond it the socket is paused. */
const BUFFER_BYTES = 64 * 1024;
/** How long the server may take to close after either side said that it is over. */
const LINGER_MILLISECONDS = 2000;
const NORMAL_CLOSURE = 1000;

/** Takes over `socket`, which may still be connecting. Leaving a loop over the output early closes the stream. */
export function createContainerStream(socket: WebSocket, clock: Clock, pingMilliseconds: number): ContainerStream {
  const { promise: ended, resolve } = Promise.withResolvers<StreamEnd>();
  let heartbeat: Disposable | undefined;
  let end: StreamEnd | undefined;
  let status: StreamEnd | undefined;
  let trouble = 'the connection was lost';
  let linger: Disposable | undefined;

  const finish = (how: StreamEnd): void => {
    if (end !== undefined) return;
    end = how;
    heartbeat?.[Symbol.dispose]();
    output.push(null);
    resolve(how);
  };
  const expectClose = (): void => {
    linger ??= clock.after(LINGER_MILLISECONDS, () => socket.terminate());
  };
  const close = (): void => {
    finish({ kind: 'closed', message: 'closed on this side' });
    if (socket.readyState >= WebSocket.CLOSING) return;
    expectClose();
    socket.close(NORMAL_CLOSURE);
    // What still comes is dropped; a paused socket would not see the peer's answer to the close.
    socket.resume();
  };
  const output = new Readable({
    highWaterMark: BUFFER_BYTES,
    read: () => socket.resume(),
    destroy: (_error, done) => {
      close();
      done(null);
    },
  });

  socket.on('message', (message: Buffer) => {
    if (end !== undefined) return;
    const { channel, data } = decodeFrame(message);
    if (channel === Channel.stdout && data.length > 0 && !output.push(data)) socket.pause();
    if (channel === Channel.error && status === undefined) {
      status = endOfStatus(data);
      expectClose();
    }
  });
  socket.on('open', () => {
    const onSilence = (): void => {
      trouble = 'the server did not answer a ping';
      socket.terminate();
    };
    heartbeat = startHeartbeat(socket, clock, pingMilliseconds, onSilence);
  });
  socket.on('error', (error) => {
    trouble = safeMessage(error.message);
  });
  socket.on('close', (code) => {
    linger?.[Symbol.dispose]();
    const inOrder: StreamEnd = { kind: 'ended', message: 'the server closed the stream without a status' };
    finish(status ?? (code === NORMAL_CLOSURE ? inOrder : { kind: 'broken', message: trouble }));
  });

  const send = (channel: number, data: Uint8Array): Promise<void> => {
    const { promise, resolve: sent, reject } = Promise.withResolvers<void>();
    const settle = (error?: Error | null): void => {
      if (error) reject(new KubeError(0, 'StreamEnded', end?.message ?? trouble));
      else sent();
    };
    // Sent without waiting between, so that writes at the same time don't mix.
    const frames = encodeFrames(channel, data);
    for (const frame of frames.slice(0, -1)) socket.send(frame, ignore);
    socket.send(frames.at(-1) ?? '', settle);
    return promise;
  };

  return {
    output,
    ended,
    close,
    write: (data) => send(Channel.stdin, typeof data === 'string' ? Buffer.from(data) : data),
    closeInput: () => send(Channel.close, Uint8Array.of(Channel.stdin)),
  };
}

/** The last frame of a write fails where an earlier one did. */
const ignore = (): void => undefined;
