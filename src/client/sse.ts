/** Server-Sent Events, read as the HTML standard has them, with a bound on what one event may hold. */

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
