/** What a watch sends: a line of JSON per event. */

import type { KubernetesObject } from '../api/object.ts';
import { KubeError } from './error.ts';
import { parseJson } from './failure.ts';
import { splitLines } from './lines.ts';
import type { WatchEvent } from './port.ts';
import { errorOf, isStatus } from './status.ts';

/** Above the largest object that etcd takes (1.5 MiB), even where JSON escapes half of it. */
const EVENT_LIMIT_BYTES = 8 * 1024 * 1024;

/** Throws `KubeError` for an ERROR event, and for anything that is no event. */
export async function* watchEvents<T extends KubernetesObject>(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<WatchEvent<T>, void, undefined> {
  for await (const line of splitLines(chunks, EVENT_LIMIT_BYTES)) yield parseEvent<T>(line);
}

function parseEvent<T extends KubernetesObject>(line: string): WatchEvent<T> {
  const event = parseJson(line) as { type?: unknown; object?: T } | null;
  if (event?.type === 'ERROR') throw errorOf(isStatus(event.object) ? event.object : {}, 500);
  const resourceVersion = event?.object?.metadata?.resourceVersion;
  if (event?.object && typeof resourceVersion === 'string') {
    const { type, object } = event;
    if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') return { type, object };
    if (type === 'BOOKMARK') return { type, resourceVersion };
  }
  throw new KubeError(0, 'InvalidResponse', 'a line of the watch is no event');
}
