/** What was learned a moment ago, so that it need not be asked again: bounded in number and in age. */

import type { Clock } from '../deps.ts';

export interface ExpiringOptions {
  clock: Pick<Clock, 'monotonic'>;
  limit: number;
  milliseconds: number;
}

export class ExpiringMap<V> {
  readonly #options: ExpiringOptions;
  /** In the order of their ages. */
  readonly #entries = new Map<string, { value: V; until: number }>();

  constructor(options: ExpiringOptions) {
    this.#options = options;
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    return entry && entry.until > this.#options.clock.monotonic() ? entry.value : undefined;
  }

  /** Puts the oldest out where there is no room. */
  set(key: string, value: V): void {
    const { clock, limit, milliseconds } = this.#options;
    this.#entries.delete(key);
    this.#entries.set(key, { value, until: clock.monotonic() + milliseconds });
    if (this.#entries.size <= limit) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }

  /** Forgets `key`, unless it has another value by now. */
  drop(key: string, value: V): void {
    if (this.#entries.get(key)?.value === value) this.#entries.delete(key);
  }
}
