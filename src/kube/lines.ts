/** Lines out of bytes that come in chunks of any size. */

import { KubeError } from './error.ts';

const NEWLINE = 0x0a;

/**
 * The lines of `chunks`, without their newlines.
 * Throws `KubeError` before more than `limitBytes` of one line are held, and where the last line has no end.
 */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  limitBytes: number,
): AsyncGenerator<string, void, undefined> {
  let pieces: Uint8Array[] = [];
  let held = 0;
  const hold = (piece: Uint8Array): void => {
    held += piece.length;
    if (held > limitBytes) throw new KubeError(0, 'InvalidResponse', `a line is longer than ${limitBytes} bytes`);
    pieces.push(piece);
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      hold(chunk.subarray(start, end));
      const line = Buffer.concat(pieces).toString('utf8');
      pieces = [];
      held = 0;
      start = end + 1;
      yield line;
    }
    if (start < chunk.length) hold(chunk.subarray(start));
  }
  if (held > 0) throw new KubeError(0, 'InvalidResponse', 'the answer ended in the middle of a line');
}
