/** The frames of `v5.channel.k8s.io`: a byte that names the channel, then its data. */

import type { StreamEnd } from './port.ts';
import { parseStatus, safeMessage } from './status.ts';

export const PROTOCOL = 'v5.channel.k8s.io';

export const Channel = { stdin: 0, stdout: 1, error: 3, close: 255 } as const;

/** Large writes are split, so that a ping needn't wait behind them. */
const FRAME_LIMIT_BYTES = 64 * 1024;

/** At least one frame, however little data there is. */
export function encodeFrames(channel: number, data: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < data.length; at += FRAME_LIMIT_BYTES) {
    const part = data.subarray(at, at + FRAME_LIMIT_BYTES);
    const frame = Buffer.allocUnsafe(part.length + 1);
    frame[0] = channel;
    frame.set(part, 1);
    frames.push(frame);
  }
  return frames;
}

/** The channel is -1 where there is no frame at all. */
export const decodeFrame = (frame: Uint8Array): { channel: number; data: Uint8Array } => ({
  channel: frame[0] ?? -1,
  data: frame.subarray(1),
});

/** What the error channel says when the process, or the attempt to reach it, has ended. */
export function endOfStatus(data: Uint8Array): StreamEnd {
  const status = parseStatus(Buffer.from(data).toString('utf8'));
  if (status?.status === 'Success') return { kind: 'ended', message: 'the process has ended' };
  const message = safeMessage(status?.message ?? '') || 'the server gave no reason';
  return { kind: status?.reason === 'NonZeroExitCode' ? 'ended' : 'broken', message };
}
