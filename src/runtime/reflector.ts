/** Keeps a store like the API server: lists once, then watches for as long as it may, whatever breaks in between. */

import type { KubernetesObject } from '../api/object.ts';
import { type Backoff, backoffDelay, type Random } from './backoff.ts';
import type { Clock } from './clock.ts';
import { type ListWatch, listAll } from './list-watch.ts';
import type { Logger } from './logger.ts';
import type { Store } from './store.ts';
import { Watchdog } from './watchdog.ts';

export interface ReflectorOptions<T extends KubernetesObject> {
  /** For the log: what is watched, such as `pods`. */
  name: string;
  source: ListWatch<T>;
  store: Pick<Store<T>, 'apply' | 'replace' | 'resourceVersion'>;
  errors: {
    /** The resource version of a list or watch is too old. */
    isExpired(error: unknown): boolean;
    /** How long the server asks to wait, where it does. */
    retryAfterMilliseconds(error: unknown): number | undefined;
  };
  clock: Clock;
  random: Random;
  logger: Logger;
  pageSize?: number;
  backoff?: Backoff;
  /** The server is asked to end a watch after this time, or up to a quarter less. */
  watchTimeoutSeconds?: number;
  /** A watch is given up when nothing came for so long, bookmarks (one a minute) included. */
  silenceMilliseconds?: number;
  /** The store is checked against a consistent list this often, when a watch ends; never if absent. */
  relistMilliseconds?: number;
}

const DEFAULTS = {
  pageSize: 500,
  backoff: { baseMilliseconds: 800, maximumMilliseconds: 30_000, jitter: 0.5 },
  watchTimeoutSeconds: 290,
  silenceMilliseconds: Number.POSITIVE_INFINITY,
  relistMilliseconds: Number.POSITIVE_INFINITY,
};
/** How long a watch may be silent beyond the time after which the server ends it. */
const IDLE_MARGIN_MILLISECONDS = 5_000;
/** A watch that ends sooner, and empty, didn't work. */
const SHORT_WATCH_MILLISECONDS = 1_000;
/** How long a page of a list may take. */
const PAGE_TIMEOUT_MILLISECONDS = 60_000;

/**
 * Guarantees:
 * - The first list comes from the API server's cache; every later one is consistent.
 * - After a broken watch, the next one goes on where it stopped; only a resource version that has expired leads to a list.
 * - Whatever fails is tried again, for ever, with growing delays, and not before the server wants it.
 * - A connection that has gone silent is noticed.
 */
export class Reflector<T extends KubernetesObject> {
  readonly #options: ReflectorOptions<T> & typeof DEFAULTS;
  #consistent = false;
  #mustList = true;
  #listedAt = 0;
  /** Failures in a row, since a watch last worked. */
  #failures = 0;

  constructor(options: ReflectorOptions<T>) {
    this.#options = { ...DEFAULTS, ...options };
  }

  /** Runs until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#mustList || this.#isRelistDue()) await this.#list(signal);
        await this.#watch(signal);
      } catch (error) {
        if (!signal.aborted) await this.#waitAfter(error, signal);
      }
    }
  }

  #isRelistDue(): boolean {
    return this.#options.clock.monotonic() - this.#listedAt >= this.#options.relistMilliseconds;
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { source, store, pageSize, clock } = this.#options;
    using watchdog = new Watchdog(clock, PAGE_TIMEOUT_MILLISECONDS, signal);
    const consistent = this.#consistent;
    const { items, resourceVersion } = await listAll(source, {
      pageSize,
      consistent,
      signal: watchdog.signal,
      onPage: () => watchdog.touch(),
    });
    store.replace(items, resourceVersion, { consistent });
    this.#consistent = true;
    this.#mustList = false;
    this.#listedAt = clock.monotonic();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { source, store, clock, random, silenceMilliseconds, watchTimeoutSeconds } = this.#options;
    const timeoutSeconds = Math.round(watchTimeoutSeconds * (1 - 0.25 * random()));
    const silence = Math.min(silenceMilliseconds, timeoutSeconds * 1000 + IDLE_MARGIN_MILLISECONDS);
    using watchdog = new Watchdog(clock, silence, signal);
    const startedAt = clock.monotonic();
    const resourceVersion = store.resourceVersion ?? '';
    let isEmpty = true;
    try {
      for await (const event of source.watch({ resourceVersion, timeoutSeconds, signal: watchdog.signal })) {
        isEmpty = false;
        watchdog.touch();
        store.apply(event);
        this.#worked();
      }
    } catch (error) {
      if (!watchdog.hasBarked) throw error;
    }
    if (isEmpty && clock.monotonic() - startedAt < SHORT_WATCH_MILLISECONDS) throw new Error('very short watch');
    this.#worked();
  }

  #worked(): void {
    if (this.#failures > 0) this.#options.logger.info({ watch: this.#options.name }, 'watch works again');
    this.#failures = 0;
  }

  async #waitAfter(error: unknown, signal: AbortSignal): Promise<void> {
    const { errors, backoff, clock, random, logger, name } = this.#options;
    this.#failures += 1;
    if (errors.isExpired(error)) {
      this.#mustList = true;
      this.#consistent = true;
    }
    const asked = errors.retryAfterMilliseconds(error) ?? 0;
    const milliseconds = Math.max(asked, backoffDelay(backoff, this.#failures, random));
    logger.warn({ watch: name, err: error, failures: this.#failures, milliseconds }, 'watch failed, trying again');
    await clock.sleep(milliseconds, signal).catch(() => undefined);
  }
}
