/** Runs a reconciler over the keys that sources bring, with several workers, until it is told to stop. */

import type { KubernetesObject } from '../api/object.ts';
import { AbortError, aborted, orAborted } from './abort.ts';
import { type Clock, TimeoutError, within } from './clock.ts';
import { LeadershipLostError } from './lease-term.ts';
import type { Logger } from './logger.ts';
import type { Change, Store } from './store.ts';
import type { WorkQueue } from './workqueue.ts';

/**
 * Brings the world closer to what the object `key` asks for. Reads the world as it is; doesn't ask what has changed.
 *
 * Resolves with `{}` to wait for the next change, or with `{ after }`, in milliseconds, to be called again by then at
 * the latest. Throws to be called again with growing delays; throws TerminalError not to be.
 */
export type Reconciler = (key: string, signal: AbortSignal) => Promise<{ after?: number }>;

/** An error that trying again can't mend: it is logged and counted, and the key waits for its next change. */
export class TerminalError extends Error {
  override readonly name = 'TerminalError';
}

/** Something that brings keys. */
export interface Source {
  /** Resolves when everything that there is has been read. */
  readonly synced: Promise<void>;
  /** Calls `add` with what there is, and from then on with what changes. */
  subscribe(add: (key: string) => void): Disposable;
}

/** The changes of `store`, as the keys that `keysOf` makes of each: those of the objects to reconcile because of it. */
export function changesOf<T extends KubernetesObject, Index extends string = never>(
  store: Store<T, Index>,
  keysOf: (change: Change<T>) => Iterable<string>,
): Source {
  return {
    synced: store.synced,
    subscribe(add) {
      const addAll = (change: Change<T>): void => {
        for (const key of keysOf(change)) add(key);
      };
      for (const object of store.list()) addAll({ type: 'ADDED', object });
      return store.onChange(addAll);
    },
  };
}

export type ReconcileResult = 'success' | 'requeue_after' | 'requeue' | 'error';

export interface ControllerMetrics {
  /** The number of workers; told once, at the start. */
  maxConcurrent(workers: number): void;
  /** The number of reconciles running now. */
  active(workers: number): void;
  /** A reconcile ended; `requeue` is a conflict, tried again quietly. */
  reconciled(result: ReconcileResult, seconds: number): void;
  /** A reconcile threw something other than a conflict. */
  failed(): void;
  /** A reconcile threw a TerminalError; told as well as `failed`. */
  failedTerminally(): void;
}

export interface ControllerOptions {
  name: string;
  queue: WorkQueue;
  sources: readonly Source[];
  /** Further caches that the reconciler reads. */
  caches?: readonly { synced: Promise<void> }[];
  reconcile: Reconciler;
  /** An error that says no more than that the object read was stale. */
  isConflict(error: unknown): boolean;
  workers: number;
  /** How long reconciles that are running when the controller stops may go on; 20 s if absent. */
  drainMilliseconds?: number;
  clock: Clock;
  logger: Logger;
  metrics?: ControllerMetrics;
}

/** How long a reconcile may go on after its signal has aborted. */
const ABORT_GRACE_MILLISECONDS = 1_000;

/**
 * Guarantees: nothing is reconciled before every source and cache is synced; never one key twice at once; no more
 * than `workers` at once; nothing is begun after the stop.
 *
 * Caveat: a reconciler that doesn't heed its signal may still be running when `run` has resolved.
 */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #abort = new AbortController();
  #active = 0;

  constructor(options: ControllerOptions) {
    this.#options = options;
  }

  /**
   * Runs until `signal` aborts; then running reconciles are given `drainMilliseconds` (none if leadership was lost)
   * before their own signal aborts. The queue is shut down with it, so a controller runs once.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { queue, sources, caches = [], workers, metrics } = this.#options;
    using subscriptions = new DisposableStack();
    for (const source of sources) subscriptions.use(source.subscribe((key) => queue.add(key)));
    metrics?.maxConcurrent(workers);
    const work = this.#startWhenSynced([...sources, ...caches], signal);
    try {
      await Promise.race([work, aborted(signal)]);
    } finally {
      void queue.shutDown({ drain: false });
    }
    await this.#drain(work, signal.reason);
  }

  async #startWhenSynced(caches: readonly { synced: Promise<void> }[], signal: AbortSignal): Promise<void> {
    try {
      await orAborted(Promise.all(caches.map((cache) => cache.synced)), signal);
    } catch (error) {
      if (error instanceof AbortError) return;
      throw error;
    }
    await Promise.all(Array.from({ length: this.#options.workers }, () => this.#work()));
  }

  async #work(): Promise<void> {
    const { queue } = this.#options;
    for (let key = await queue.get(); key !== undefined; key = await queue.get()) {
      try {
        await this.#reconcile(key);
      } finally {
        queue.done(key);
      }
    }
  }

  async #reconcile(key: string): Promise<void> {
    const { clock, metrics } = this.#options;
    const startedAt = clock.monotonic();
    this.#active += 1;
    metrics?.active(this.#active);
    const result = await this.#attempt(key);
    this.#active -= 1;
    metrics?.active(this.#active);
    metrics?.reconciled(result, (clock.monotonic() - startedAt) / 1000);
  }

  async #attempt(key: string): Promise<ReconcileResult> {
    const { queue, reconcile } = this.#options;
    try {
      const { after } = await reconcile(key, this.#abort.signal);
      // A time that isn't one would be due at once, again and again.
      if (after !== undefined && !Number.isFinite(after)) throw new RangeError(`after: ${after}`);
      queue.forget(key);
      if (after === undefined) return 'success';
      queue.addAfter(key, after);
      return 'requeue_after';
    } catch (error) {
      return this.#failed(key, error);
    }
  }

  #failed(key: string, error: unknown): ReconcileResult {
    const { name, queue, isConflict, logger, metrics } = this.#options;
    const fields = { controller: name, key, err: error };
    if (isConflict(error) || this.#abort.signal.aborted) {
      logger.debug(fields, 'reconcile to be repeated');
      queue.addRateLimited(key);
      return 'requeue';
    }
    metrics?.failed();
    if (error instanceof TerminalError) {
      metrics?.failedTerminally();
      logger.error(fields, 'reconcile failed for good');
      queue.forget(key);
      return 'error';
    }
    logger.error(fields, 'reconcile failed');
    queue.addRateLimited(key);
    return 'error';
  }

  async #drain(work: Promise<void>, reason: unknown): Promise<void> {
    const { name, queue, clock, logger, drainMilliseconds = 20_000 } = this.#options;
    const bound = reason instanceof LeadershipLostError ? 0 : drainMilliseconds;
    if (await endsWithin(clock, bound, work)) return;
    this.#abort.abort(reason);
    if (await endsWithin(clock, ABORT_GRACE_MILLISECONDS, work)) return;
    logger.error({ controller: name, keys: queue.processing }, 'stopped with reconciles still running');
  }
}

/** Whether `work` resolves within `milliseconds`. Rejects where it does. */
async function endsWithin(clock: Clock, milliseconds: number, work: Promise<void>): Promise<boolean> {
  try {
    await within(clock, milliseconds, work);
    return true;
  } catch (error) {
    if (error instanceof TimeoutError) return false;
    throw error;
  }
}
