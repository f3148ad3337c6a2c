/** Leader election over a Lease object: one of several processes leads, and another takes over when it fails. */

import { onAbort, orAborted } from './abort.ts';
import { spread } from './backoff.ts';
import { within } from './clock.ts';
import { acquiredSpec, type LeaseSpec } from './lease-record.ts';
import { type Acquired, JITTER, type LeadershipLostError, type LeaseOptions, Term } from './lease-term.ts';

export type { LeasePort } from './lease-record.ts';

const DEFAULTS = { leaseMilliseconds: 15_000, renewDeadlineMilliseconds: 10_000, retryMilliseconds: 2_000 };

export type LeaderElectorOptions = Omit<LeaseOptions, keyof typeof DEFAULTS> &
  Partial<typeof DEFAULTS> & {
    /** Is told whether this process leads. */
    masterStatus?: (isLeader: boolean) => void;
  };

/**
 * Guarantees:
 * - Of processes whose clocks run at the same rate, one at most leads, as far as their signals say. What their clocks
 *   show doesn't matter: a holder counts as failed when its record wasn't seen to change for as long as it says.
 * - The epoch grows with each term, of whomever, for as long as the Lease object isn't deleted.
 * - The lease is held until `onLeading` has returned, and then given back, so that another can take over at once.
 *
 * Caveat: a leader that was suspended may act before it knows that it was replaced. So each of its writes must be safe
 * by itself: by preconditions, or with the epoch as a fencing token.
 */
export class LeaderElector {
  readonly #options: LeaderElectorOptions & LeaseOptions;
  /** The record as last seen to change, and when that was, by our own clock. */
  #observed = { record: '', at: 0 };
  #highestEpoch = 0;

  constructor(options: LeaderElectorOptions) {
    this.#options = { ...DEFAULTS, ...options };
    const { leaseMilliseconds, renewDeadlineMilliseconds, retryMilliseconds } = this.#options;
    const isOrdered =
      leaseMilliseconds > renewDeadlineMilliseconds && renewDeadlineMilliseconds > retryMilliseconds * (1 + JITTER);
    if (!isOrdered) throw new RangeError('lease duration > renew deadline > retry period is needed');
  }

  /**
   * Waits to lead, then calls `onLeading`, whose signal aborts when leadership is lost (its reason is a
   * LeadershipLostError) or when `signal` aborts (its reason is that of `signal`).
   *
   * Resolves when `onLeading` has returned, or when `signal` aborted before. Rejects with what `onLeading` threw, or
   * with LeadershipLostError, in both cases after `onLeading` has ended.
   */
  async run(onLeading: (signal: AbortSignal, epoch: number) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { logger, identity, masterStatus } = this.#options;
    const acquired = await this.#acquire(signal);
    if (acquired === undefined) return;
    const { epoch } = acquired;
    logger.info({ identity, epoch }, 'became leader');
    masterStatus?.(true);
    const leading = new AbortController();
    using _stop = onAbort(signal, () => leading.abort(signal.reason));
    let lost: LeadershipLostError | undefined;
    const term = new Term(this.#options, acquired, (error) => {
      lost = error;
      logger.error({ identity, epoch, err: error }, 'lost leadership');
      masterStatus?.(false);
      leading.abort(error);
    });
    try {
      await onLeading(leading.signal, epoch);
    } finally {
      if (lost === undefined) {
        masterStatus?.(false);
        await term.release();
      }
    }
    if (lost !== undefined) throw lost;
  }

  async #acquire(signal: AbortSignal): Promise<Acquired | undefined> {
    const { clock, random, logger, retryMilliseconds, renewDeadlineMilliseconds } = this.#options;
    while (!signal.aborted) {
      try {
        const attempt = within(clock, renewDeadlineMilliseconds / 2, this.#tryToAcquire());
        const acquired = await orAborted(attempt, signal);
        if (acquired !== undefined) return acquired;
      } catch (error) {
        if (!signal.aborted) logger.warn({ err: error }, 'could not acquire the lease');
      }
      await clock.sleep(spread(retryMilliseconds, JITTER, random), signal).catch(() => undefined);
    }
    return undefined;
  }

  /** Undefined where another holds the lease. */
  async #tryToAcquire(): Promise<Acquired | undefined> {
    const { port, identity, clock, leaseMilliseconds } = this.#options;
    const lease = await port.get();
    if (lease) this.#observe(lease.spec ?? {});
    if (lease && this.#isHeldByAnother(lease.spec ?? {})) return undefined;
    const epoch = this.#highestEpoch + 1;
    const spec = acquiredSpec(identity, epoch, leaseMilliseconds, clock.now());
    const at = clock.monotonic();
    const written = lease
      ? await port.replace({ ...lease, spec: { ...lease.spec, ...spec } })
      : await port.create(spec);
    this.#highestEpoch = epoch;
    return { lease: written, epoch, at };
  }

  #observe(spec: LeaseSpec): void {
    const record = JSON.stringify(spec);
    if (record === this.#observed.record) return;
    this.#observed = { record, at: this.#options.clock.monotonic() };
    this.#highestEpoch = Math.max(this.#highestEpoch, spec.leaseTransitions ?? 0);
  }

  #isHeldByAnother({ holderIdentity, leaseDurationSeconds }: LeaseSpec): boolean {
    const { identity, clock, leaseMilliseconds } = this.#options;
    if (!holderIdentity || holderIdentity === identity) return false;
    const duration = leaseDurationSeconds === undefined ? leaseMilliseconds : leaseDurationSeconds * 1000;
    return clock.monotonic() - this.#observed.at < duration;
  }
}
