/** Finds out that the peer of a WebSocket is gone, which TCP alone can take hours to tell. */

import type { WebSocket } from 'ws';
import type { Clock } from '../runtime/clock.ts';

/** Pings every `milliseconds`, and calls `onSilence` once when nothing at all came back before the next ping. */
export function startHeartbeat(
  socket: WebSocket,
  clock: Clock,
  milliseconds: number,
  onSilence: () => void,
): Disposable {
  let heard = true;
  let timer: Disposable;
  const hear = (): void => {
    heard = true;
  };
  const beat = (): void => {
    // While we don't read, silence says nothing.
    const listening = !socket.isPaused;
    if (listening && !heard) {
      onSilence();
      return;
    }
    heard = !listening;
    if (listening) socket.ping(undefined, undefined, ignore);
    timer = clock.after(milliseconds, beat);
  };
  socket.on('pong', hear);
  socket.on('message', hear);
  timer = clock.after(milliseconds, beat);
  return {
    [Symbol.dispose]: () => {
      timer[Symbol.dispose]();
      socket.off('pong', hear);
      socket.off('message', hear);
    },
  };
}

/** A ping that can't be sent is followed by the socket's own close. */
const ignore = (): void => undefined;
