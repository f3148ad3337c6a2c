/** A body as lines, each of which is bounded: what ends them is LF, CR or both. */

import { ConnectionError } from './error.ts';

/** A line holds a run at most: its output, figures and artifacts as JSON. In characters. */
export const LINE_LIMIT = 16 * 1024 * 1024;

export const tooLong = (what: string): ConnectionError =>
  new ConnectionError('invalid', `${what} that the gateway sent is longer than ${LINE_LIMIT} characters`);

/** A last line that nothing ends is given too. */
export async function* linesOf(body: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    // A CR at the very end may be the first half of CR LF.
    const whole = rest.endsWith('\r') ? rest.slice(0, -1) : rest;
    const lines = whole.split(/\r\n|\n|\r/);
    const last = lines.pop() ?? '';
    rest = last + rest.slice(whole.length);
    if (rest.length > LINE_LIMIT) throw tooLong(what);
    yield* lines;
  }
  rest += decoder.decode();
  if (rest !== '') yield rest.replace(/\r$/, '');
}
