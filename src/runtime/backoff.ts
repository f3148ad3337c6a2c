/** How long to wait before the next try. */

export interface Backoff {
  baseMilliseconds: number;
  /** The longest delay, before jitter. */
  maximumMilliseconds: number;
  /** Each delay is lengthened by up to this share of itself, so that many that failed together don't return together. */
  jitter: number;
}

/** A number in [0, 1). */
export type Random = () => number;

/** The delay, in milliseconds, after `failures` failures in a row (1 is the first): doubled each time. */
export function backoffDelay(backoff: Backoff, failures: number, random: Random): number {
  const doubled = backoff.baseMilliseconds * 2 ** (failures - 1);
  return spread(Math.min(doubled, backoff.maximumMilliseconds), backoff.jitter, random);
}

/** `milliseconds`, lengthened by up to `jitter` of itself. */
export const spread = (milliseconds: number, jitter: number, random: Random): number =>
  milliseconds * (1 + jitter * random());

/** Counts failures in a row per key. Keys stay until they are forgotten. */
export class Failures {
  readonly #counts = new Map<string, number>();
  readonly #backoff: Backoff;
  readonly #random: Random;

  constructor(backoff: Backoff, random: Random) {
    this.#backoff = backoff;
    this.#random = random;
  }

  /** Counts one more failure of `key`; gives the delay before its next try, in milliseconds. */
  next(key: string): number {
    const failures = this.count(key) + 1;
    this.#counts.set(key, failures);
    return backoffDelay(this.#backoff, failures, this.#random);
  }

  forget(key: string): void {
    this.#counts.delete(key);
  }

  count(key: string): number {
    return this.#counts.get(key) ?? 0;
  }
}
