/** One term of a leader: the lease is renewed until it is given back, or lost. */

import { type Random, spread } from './backoff.ts';
import { type Clock, within } from './clock.ts';
import { acquiredSpec, isTermOf, type Lease, type LeasePort, releasedSpec, renewedSpec } from './lease-record.ts';
import type { Logger } from './logger.ts';

/** Another process leads, or may do so soon. Also the reason of the signal that `onLeading` gets. */
export class LeadershipLostError extends Error {
  override readonly name = 'LeadershipLostError';
}

export interface LeaseOptions {
  port: LeasePort;
  /** Unique to this process. */
  identity: string;
  clock: Clock;
  random: Random;
  logger: Logger;
  /** How long the others wait without seeing the holder renew; whole seconds. */
  leaseMilliseconds: number;
  /** How long the holder, unable to renew, goes on leading. */
  renewDeadlineMilliseconds: number;
  /** Between two tries to acquire or to renew; lengthened by up to a fifth. */
  retryMilliseconds: number;
}

/** The share of itself by which the time between two tries is lengthened at most. */
export const JITTER = 0.2;

/** An acquired lease, and the monotonic time before the write that acquired it. */
export interface Acquired {
  lease: Lease;
  epoch: number;
  at: number;
}

export class Term {
  readonly epoch: number;
  readonly #options: LeaseOptions;
  readonly #stop = new AbortController();
  readonly #renewal: Promise<void>;
  readonly #lose: (error: LeadershipLostError) => void;
  /** As last written, where nothing since says that it may have changed. */
  #lease: Lease | undefined;
  #deadline: Disposable;

  /** Starts to renew; calls `onLost` once if that fails for too long, or if another holds the lease. */
  constructor(options: LeaseOptions, { lease, epoch, at }: Acquired, onLost: (error: LeadershipLostError) => void) {
    this.epoch = epoch;
    this.#options = options;
    this.#lease = lease;
    this.#lose = (error) => {
      this.#end();
      onLost(error);
    };
    this.#deadline = this.#startDeadline(at);
    this.#renewal = this.#keepRenewing();
  }

  /** Stops to renew and gives the lease back; where that fails, the others wait until it expires. Never rejects. */
  async release(): Promise<void> {
    const { identity, clock, logger, retryMilliseconds } = this.#options;
    this.#end();
    try {
      // A renewal still on its way would be in conflict with the release.
      await this.#renewal;
      await within(clock, retryMilliseconds, this.#giveBack());
      logger.info({ identity, epoch: this.epoch }, 'released the lease');
    } catch (error) {
      logger.warn({ identity, epoch: this.epoch, err: error }, 'could not release the lease');
    }
  }

  #end(): void {
    this.#stop.abort();
    this.#deadline[Symbol.dispose]();
  }

  /** `renewedAt` is before the write: the others count from when they see it, which is later. */
  #startDeadline(renewedAt: number): Disposable {
    const { clock, renewDeadlineMilliseconds } = this.#options;
    return clock.after(renewedAt + renewDeadlineMilliseconds - clock.monotonic(), () =>
      this.#lose(new LeadershipLostError(`the lease could not be renewed for ${renewDeadlineMilliseconds} ms`)),
    );
  }

  async #keepRenewing(): Promise<void> {
    const { clock, random, logger, retryMilliseconds, renewDeadlineMilliseconds } = this.#options;
    const stop = this.#stop.signal;
    for (;;) {
      await clock.sleep(spread(retryMilliseconds, JITTER, random), stop).catch(() => undefined);
      if (stop.aborted) return;
      const startedAt = clock.monotonic();
      try {
        this.#lease = await within(clock, renewDeadlineMilliseconds / 2, this.#renew());
        if (stop.aborted) return;
        this.#deadline[Symbol.dispose]();
        this.#deadline = this.#startDeadline(startedAt);
      } catch (error) {
        this.#lease = undefined;
        if (stop.aborted) return;
        if (error instanceof LeadershipLostError) this.#lose(error);
        else logger.warn({ epoch: this.epoch, err: error }, 'could not renew the lease');
      }
    }
  }

  async #renew(): Promise<Lease> {
    const { port, identity, clock, leaseMilliseconds } = this.#options;
    const lease = this.#lease ?? (await port.get());
    if (lease === undefined) return port.create(acquiredSpec(identity, this.epoch, leaseMilliseconds, clock.now()));
    if (!isTermOf(lease.spec, identity, this.epoch)) {
      throw new LeadershipLostError(`the lease is held by ${lease.spec?.holderIdentity || 'nobody'}`);
    }
    return port.replace({ ...lease, spec: renewedSpec(lease.spec ?? {}, clock.now()) });
  }

  async #giveBack(): Promise<void> {
    const { port, identity, clock } = this.#options;
    const lease = this.#lease ?? (await port.get());
    if (!lease?.spec || !isTermOf(lease.spec, identity, this.epoch)) return;
    await port.replace({ ...lease, spec: releasedSpec(lease.spec, clock.now()) });
  }
}
