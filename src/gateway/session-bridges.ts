/** The bridges that this gateway holds open: opened on first use, closed when unused, bounded in number. */

import type { AttachedStream } from '../kube/port.ts';
import { Bridge, BridgeFailed } from '../sandbox/bridge.ts';
import type { Clock } from './deps.ts';
import { Problem } from './problem.ts';
import { Turns } from './turns.ts';

/** The sandbox pod of a session. */
export interface SandboxAddress {
  namespace: string;
  podName: string;
  podUID: string;
}

export interface BridgesOptions {
  /** Starts the process in the sandbox that copies between its stdio and the agent. */
  exec: (address: SandboxAddress, signal: AbortSignal) => Promise<AttachedStream>;
  clock: Clock;
  /** How many may be open at once. */
  limit: number;
}

/** The sandbox of a session does not answer. Nothing was asked of it yet. */
export class SandboxUnreachable extends Error {
  override readonly name = 'SandboxUnreachable';
}

/** A bridge of one's own until it is disposed of. */
export interface Lease extends Disposable {
  readonly bridge: Bridge;
}

interface Entry {
  readonly opening: Promise<Bridge>;
  readonly abort: AbortController;
  users: number;
  idle: Disposable | undefined;
}

const OPEN_MILLISECONDS = 10_000;
const IDLE_MILLISECONDS = 60_000;
/** Files are moved over a connection of their own, which takes memory in the sandbox: it is closed sooner. */
const FILES_IDLE_MILLISECONDS = 10_000;
const RETRY_SECONDS = 2;
/** How many files may wait for others of their session, and how long. */
const WAITING_FILES = 16;
const FILE_TURN_MILLISECONDS = 30_000;

/** What a bridge is for: a file that is read slowly must not hold up what programs say. */
export type Purpose = 'calls' | 'files';

export class SessionBridges {
  readonly #options: BridgesOptions;
  /** In the order of their last use. */
  readonly #entries = new Map<string, Entry>();
  #closed = false;
  /** One file at a time is moved in or out of a sandbox. */
  readonly fileTurns: Turns;

  constructor(options: BridgesOptions) {
    this.#options = options;
    this.fileTurns = new Turns({
      clock: options.clock,
      limit: WAITING_FILES,
      milliseconds: FILE_TURN_MILLISECONDS,
      refusal: () =>
        new Problem('SessionBusy', 'Other files of this session are being moved; try again in a moment.', {
          retryAfterSeconds: RETRY_SECONDS,
        }),
    });
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The bridge to the sandbox, opened where there is none. Rejects with `SandboxUnreachable`, or with a `Problem` where there are too many. */
  async lease(address: SandboxAddress, purpose: Purpose = 'calls', again = true): Promise<Lease> {
    const key = `${address.podUID}/${purpose}`;
    const known = this.#entries.get(key);
    const entry = known ?? this.#open(key, address);
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    entry.idle?.[Symbol.dispose]();
    entry.users++;
    // What somebody else has begun may have failed, or ended, for want of what is there by now.
    const isBegun = known !== undefined && again;
    const bridge = await (isBegun ? entry.opening.catch(() => undefined) : entry.opening);
    if (!bridge || (isBegun && !bridge.isOpen)) {
      this.#forget(key, entry);
      return this.lease(address, purpose, false);
    }
    return { bridge, [Symbol.dispose]: once(() => this.#release(key, entry, purpose)) };
  }

  /** Whether the agent answers. */
  async reaches(address: SandboxAddress): Promise<boolean> {
    try {
      using _lease = await this.lease(address);
      return true;
    } catch {
      return false;
    }
  }

  closeAll(): void {
    this.#closed = true;
    for (const [key, entry] of this.#entries) this.#drop(key, entry);
  }

  #open(key: string, address: SandboxAddress): Entry {
    if (this.#closed) throw new Problem('ShuttingDown', 'This gateway is shutting down; send the request again.');
    if (this.#entries.size >= this.#options.limit) this.#dropLeastUsed();
    const abort = new AbortController();
    const opening = this.#connect(address, abort);
    const entry: Entry = { opening, abort, users: 0, idle: undefined };
    opening
      .then(({ ended }) => ended)
      .then(
        () => this.#forget(key, entry),
        () => this.#forget(key, entry),
      );
    return entry;
  }

  /** Open is a bridge over which the agent has answered. */
  async #connect(address: SandboxAddress, abort: AbortController): Promise<Bridge> {
    using _deadline = this.#options.clock.after(OPEN_MILLISECONDS, () => abort.abort());
    try {
      const bridge = new Bridge(await this.#options.exec(address, abort.signal));
      // Any answer will do: there is no such execution.
      await bridge.call({ interrupt: { id: 'none' } }).done.catch((error: unknown) => {
        if (!(error instanceof BridgeFailed)) throw error;
      });
      return bridge;
    } catch (cause) {
      throw new SandboxUnreachable('the sandbox does not answer', { cause });
    }
  }

  #release(key: string, entry: Entry, purpose: Purpose): void {
    if (--entry.users > 0 || this.#entries.get(key) !== entry) return;
    const milliseconds = purpose === 'calls' ? IDLE_MILLISECONDS : FILES_IDLE_MILLISECONDS;
    entry.idle = this.#options.clock.after(milliseconds, () => this.#drop(key, entry));
  }

  #dropLeastUsed(): void {
    const unused = [...this.#entries].find(([, { users }]) => users === 0);
    if (unused) {
      this.#drop(...unused);
      return;
    }
    const detail = 'This gateway holds connections to too many sessions; try again in a moment.';
    throw new Problem('TooManyWaiting', detail, { retryAfterSeconds: RETRY_SECONDS });
  }

  #drop(key: string, entry: Entry): void {
    this.#forget(key, entry);
    entry.abort.abort();
  }

  #forget(key: string, entry: Entry): void {
    entry.idle?.[Symbol.dispose]();
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
  }
}

function once(run: () => void): () => void {
  let left = 1;
  return () => {
    if (left-- > 0) run();
  };
}
