/** Server-Sent Events, read as the HTML standard has them, with a bound on what one event may hold. */

import { ConnectionError, ProblemError, problemIn } from './error.ts';
import { parseJson } from './http.ts';
import { LINE_LIMIT, linesOf, tooLong } from './lines.ts';

export interface ServerSentEvent {
  /** `message` where the stream names none. */
  event: string;
  data: string;
  /** The last id that the stream gave. */
  id: string;
}

/** The events of `body`; comments, which keep a connection alive, are passed over. An event that is cut off is dropped. */
export async function* serverSentEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  let fields: [string, string][] = [];
  let id = '';
  let held = 0;
  for await (const line of linesOf(body, 'an event')) {
    if (line !== '') {
      held += line.length;
      if (held > LINE_LIMIT) throw tooLong('an event');
      fields.push(fieldOf(line));
      continue;
    }
    id = valuesOf(fields, 'id').at(-1) ?? id;
    const data = valuesOf(fields, 'data');
    if (data.length > 0) yield { event: valuesOf(fields, 'event').at(-1) || 'message', data: data.join('\n'), id };
    fields = [];
    held = 0;
  }
}

const valuesOf = (fields: readonly [string, string][], name: string): string[] =>
  fields.filter(([field]) => field === name).map(([, value]) => value);

function fieldOf(line: string): [string, string] {
  const colon = line.indexOf(':');
  if (colon === -1) return [line, ''];
  const value = line.slice(colon + 1);
  return [line.slice(0, colon), value.startsWith(' ') ? value.slice(1) : value];
}

/**
 * The events of `body` with their data, as `read` knows them; those that it does not know are passed over, and what the
 * gateway tells as a problem is thrown.
 */
export async function* knownEvents<T>(
  body: AsyncIterable<Uint8Array>,
  read: (event: string, data: Record<string, unknown>) => T | undefined,
): AsyncGenerator<T> {
  for await (const { event, data } of serverSentEvents(body)) {
    const parsed = parseData(data);
    if (event === 'problem') throw problemOf(parsed);
    const known = read(event, parsed);
    if (known !== undefined) yield known;
  }
}

function problemOf(data: Record<string, unknown>): ProblemError {
  const { status } = data;
  return new ProblemError(typeof status === 'number' ? status : 500, problemIn(data));
}

function parseData(text: string): Record<string, unknown> {
  const data = parseJson<unknown>(text);
  if (typeof data === 'object' && data !== null) return data as Record<string, unknown>;
  throw new ConnectionError('invalid', 'an event that the gateway sent is not an object');
}
