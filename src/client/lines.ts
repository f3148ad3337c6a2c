/** A body as lines, each of which is bounded: what ends them is LF, CR or both. */

import { ConnectionError } from './error.ts';

/** A line holds a run at most: its output, figures and artifacts as JSON. In characters. */
export const LINE_LIMIT = 16 * 1024 * 1024;

export const tooLong = (what: string): ConnectionError =>
  new ConnectionError('invalid', `${what} that the gateway sent is longer than ${LINE_LIMIT} characters`);

/** A last line that nothing ends is given too. */
export async function* linesOf(body: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  /** Of the line that has not ended yet: put together once, so that a long one is not read again with every piece. */
  let parts: string[] = [];
  let held = 0;
  let carried = '';
  for await (const chunk of body) {
    const text = carried + decoder.decode(chunk, { stream: true });
    // A CR at the very end may be the first half of CR LF.
    carried = text.endsWith('\r') ? '\r' : '';
    const [first = '', ...others] = text.slice(0, text.length - carried.length).split(/\r\n|\n|\r/);
    parts.push(first);
    held += first.length;
    const last = others.pop();
    if (last !== undefined) {
      yield parts.join('');
      yield* others;
      parts = [last];
      held = last.length;
    }
    if (held > LINE_LIMIT) throw tooLong(what);
  }
  const rest = parts.join('') + decoder.decode();
  if (rest !== '' || carried !== '') yield rest;
}
