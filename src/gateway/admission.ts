/** What is refused before anything is created: more than a namespace may have waiting, more than an API key may have unfinished. */

import type { Clock } from './deps.ts';
import type { Caller } from './plugins/identify.ts';
import { fieldError, Problem } from './problem.ts';

/** How much there is, as the watch last saw it. */
export interface Census {
  /** Runs and sessions of the namespace that wait for a sandbox or for its start. */
  waiting(namespace: string): number;
  /** Runs and sessions that an API key has made and that have not ended, and runs that its unfinished batches may have at once. */
  unfinished(namespace: string, keyId: string): number;
}

export interface Wanted {
  /** Runs that there may be at once of what is to be created; a session is as one. */
  runs: number;
  /** The field that asks for so many. */
  field?: string;
}

/** Room that a creation takes until the watch has seen what it made. */
export interface Place {
  runs: number;
  until: number;
  isSeen(): boolean;
}

/** A watch that has not shown an object for so long won't show it any more. */
const UNSEEN_MILLISECONDS = 10_000;
const QUEUE_SECONDS = 5;
const CONCURRENT_SECONDS = 2;

interface AdmissionOptions {
  census: Census;
  clock: Pick<Clock, 'monotonic'>;
  /** Runs and sessions of one namespace that may wait. */
  queuedRuns: number;
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #places = new Map<string, Set<Place>>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Runs `create` where there is room; throws a `Problem` before it where there is none. `isSeen` is asked of what it made. */
  async admit<T>(
    caller: Caller,
    wanted: Wanted,
    create: () => Promise<T>,
    isSeen: (created: T) => boolean,
  ): Promise<T> {
    this.#checkQueue(caller);
    const { keyId, concurrentRuns } = caller;
    if (keyId === undefined || concurrentRuns === undefined) return create();
    const places = this.#unseen(keyId);
    this.#checkConcurrency(caller, concurrentRuns, wanted, places);
    const place: Place = { runs: wanted.runs, until: Number.POSITIVE_INFINITY, isSeen: () => false };
    this.#places.set(keyId, places.add(place));
    try {
      const created = await create();
      place.isSeen = () => isSeen(created);
      place.until = this.#options.clock.monotonic() + UNSEEN_MILLISECONDS;
      return created;
    } catch (error) {
      places.delete(place);
      throw error;
    }
  }

  #checkQueue({ namespace }: Caller): void {
    const { census, queuedRuns } = this.#options;
    if (census.waiting(namespace) < queuedRuns) return;
    const detail = `${queuedRuns} runs and sessions of your namespace wait for a sandbox already; send the request again later.`;
    throw new Problem('TooManyQueued', detail, { retryAfterSeconds: QUEUE_SECONDS });
  }

  #checkConcurrency(
    { namespace, keyId = '' }: Caller,
    limit: number,
    { runs, field }: Wanted,
    places: ReadonlySet<Place>,
  ): void {
    if (field !== undefined && runs > limit) {
      const errors = [fieldError('body', field, `must be ${limit} or less`)];
      throw new Problem('Forbidden', `${field}: your API key may have ${limit} unfinished runs at once.`, { errors });
    }
    const coming = [...places].reduce((sum, place) => sum + place.runs, 0);
    if (this.#options.census.unfinished(namespace, keyId) + coming + runs <= limit) return;
    const detail = `Your API key may have ${limit} unfinished runs and sessions at once; wait until one has ended.`;
    throw new Problem('TooManyConcurrentRuns', detail, { retryAfterSeconds: CONCURRENT_SECONDS });
  }

  /** What the key has created and the watch has not shown yet. */
  #unseen(keyId: string): Set<Place> {
    const places = this.#places.get(keyId) ?? new Set();
    const now = this.#options.clock.monotonic();
    for (const place of places) if (place.until <= now || place.isSeen()) places.delete(place);
    return places;
  }
}
