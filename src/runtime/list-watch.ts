/** Where a reflector reads from: one kind of object, of one namespace or all, by one selector. */

import type { List, ListOptions, WatchEvent, WatchOptions } from '../kube/port.ts';

export interface ListWatch<T> {
  list(options: Pick<ListOptions, 'limit' | 'continue' | 'resourceVersion' | 'signal'>): Promise<List<T>>;
  /** Ends when the server ends it; throws for an ERROR event, a refusal, a broken connection or an aborted signal. */
  watch(options: Pick<WatchOptions, 'resourceVersion' | 'timeoutSeconds' | 'signal'>): AsyncIterable<WatchEvent<T>>;
}

export interface ListAllOptions {
  pageSize: number;
  /** False reads the API server's cache, which may lag; true is as of now. */
  consistent: boolean;
  signal: AbortSignal;
  /** Is called after each page. */
  onPage?: () => void;
}

/** The whole list, read page by page. All pages are of the same moment: the returned resource version. */
export async function listAll<T>(
  source: ListWatch<T>,
  { pageSize, consistent, signal, onPage }: ListAllOptions,
): Promise<{ items: T[]; resourceVersion: string }> {
  const first = consistent ? {} : { resourceVersion: '0' };
  let page = await source.list({ limit: pageSize, signal, ...first });
  const items = [...page.items];
  while (page.metadata.continue) {
    onPage?.();
    page = await source.list({ limit: pageSize, signal, continue: page.metadata.continue });
    for (const item of page.items) items.push(item);
  }
  return { items, resourceVersion: page.metadata.resourceVersion };
}
