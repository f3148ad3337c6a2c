/** The channels that this process holds open, one a sandbox pod. */

import type { AttachedStream } from '../kube/port.ts';
import { Channel, type Hello, type Opened, type Refused } from './channel.ts';
import type { Command } from './protocol.ts';
import type { Transcript, TranscriptLimits } from './transcript.ts';

/** What is known of the channel to a sandbox, and of one execution in it. */
export interface ChannelView {
  podUID: string;
  state: 'opening' | 'open' | 'closed';
  hello: Hello | undefined;
  /** When the last hello came. */
  helloAt: Date | undefined;
  /** When hello was last said to the agent. */
  askedAt: Date | undefined;
  refused: Refused | undefined;
  /** What became of the order to open the sandbox for a session. */
  opened: Opened | undefined;
  /** Whether that order was given over this channel. */
  wasToldToOpen: boolean;
  /** Undefined before an execution was ordered over this channel. */
  transcript: Transcript | undefined;
  /** False where the transcript may lack what was said before this channel was open. */
  isWhole: boolean;
  /** When the execution began, as this process saw it. */
  startedAt: Date | undefined;
  /** When the execution was first told to end. */
  interruptedAt: Date | undefined;
  /** Whether it was told so over this channel; what went over one that broke may have been lost. */
  wasToldToEnd: boolean;
  /** Since when the agent is not reached, however often it was tried. */
  silentSince: Date | undefined;
  /** When a closed channel may be opened again. */
  reopenAt: Date;
}

interface Entry {
  state: ChannelView['state'];
  reopenAt: Date;
  channel: Channel | undefined;
  /** Execution → when it was first told to end. */
  interrupted: Map<string, Date>;
  toldToEnd: Set<string>;
  silentSince: Date | undefined;
  abort: AbortController;
  failures: number;
}

export interface ChannelsOptions {
  attach: (namespace: string, pod: string, signal: AbortSignal) => Promise<AttachedStream>;
  now: () => Date;
  /** Ends an attempt to reach an agent that does not answer. */
  helloTimeout: () => AbortSignal;
}

export interface OpenOptions {
  podUID: string;
  namespace: string;
  podName: string;
  limits: TranscriptLimits;
  epoch: number;
  /** Called whenever the view has changed in a way that a decision may depend on. */
  onChange: () => void;
}

/** A container is tried this often at first, in milliseconds: as long as a pod takes to start. */
const FIRST_WAIT = 100;
const QUICK_ATTEMPTS = 20;
const LONGEST_WAIT = 5000;

export class Channels {
  readonly #options: ChannelsOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: ChannelsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The channel to a pod and what is known of the execution `id`; without one, of the only one there is. */
  view(podUID: string, id?: string): ChannelView | undefined {
    const entry = this.#entries.get(podUID);
    if (!entry) return undefined;
    const { state, reopenAt, channel, interrupted, toldToEnd } = entry;
    const execution = channel?.execution(id);
    return {
      podUID,
      state,
      hello: channel?.hello,
      helloAt: channel?.helloAt,
      askedAt: channel?.askedAt,
      refused: channel?.refused(id),
      opened: channel?.opened,
      wasToldToOpen: channel?.wasToldToOpen ?? false,
      transcript: execution?.transcript,
      isWhole: execution?.isWhole ?? false,
      startedAt: execution?.startedAt,
      interruptedAt: id === undefined ? interrupted.values().next().value : interrupted.get(id),
      wasToldToEnd: id === undefined ? toldToEnd.size > 0 : toldToEnd.has(id),
      silentSince: state === 'open' && channel?.hello ? undefined : entry.silentSince,
      reopenAt,
    };
  }

  /** Attaches and says hello in the background; does nothing where a channel is open or being opened. */
  open(options: OpenOptions): void {
    const before = this.#entries.get(options.podUID);
    if (before && before.state !== 'closed') return;
    const entry: Entry = {
      state: 'opening',
      reopenAt: this.#options.now(),
      channel: undefined,
      interrupted: before?.interrupted ?? new Map(),
      toldToEnd: new Set(),
      silentSince: before?.silentSince,
      abort: new AbortController(),
      failures: before?.failures ?? 0,
    };
    this.#entries.set(options.podUID, entry);
    void this.#hold(entry, options);
  }

  async #hold(entry: Entry, options: OpenOptions): Promise<void> {
    const silent = new AbortController();
    this.#options
      .helloTimeout()
      .addEventListener('abort', () => entry.channel?.hello || silent.abort(), { once: true });
    const { limits, onChange } = options;
    const { now } = this.#options;
    try {
      const signal = AbortSignal.any([entry.abort.signal, silent.signal]);
      const stream = await this.#options.attach(options.namespace, options.podName, signal);
      entry.channel = new Channel(stream, { limits, now, onChange });
      entry.state = 'open';
      await entry.channel.read(options.epoch);
      if (entry.channel.hello) entry.failures = 0;
    } catch {
      // Why an attempt failed is the pod's to tell: its status says so, or the next attempt succeeds.
    }
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** Math.max(0, ++entry.failures - QUICK_ATTEMPTS));
    entry.state = 'closed';
    if (entry.channel?.hello || !entry.silentSince) entry.silentSince = now();
    entry.reopenAt = new Date(now().getTime() + wait);
    if (!entry.abort.signal.aborted) onChange();
  }

  /** Sends a command. Rejects where there is no open channel to the pod. With `again`, see `Channel.send`. */
  async send(podUID: string, command: Command, options: { again?: boolean } = {}): Promise<void> {
    const entry = this.#entries.get(podUID);
    if (entry?.state !== 'open' || !entry.channel) throw new Error('the channel to the sandbox is not open');
    if ('interrupt' in command) {
      const { id } = command.interrupt;
      entry.interrupted.set(id, entry.interrupted.get(id) ?? this.#options.now());
      entry.toldToEnd.add(id);
    }
    await entry.channel.send(command, options);
  }

  /** Lets go of what is known of the execution `id`. */
  forget(podUID: string, id: string): void {
    const entry = this.#entries.get(podUID);
    entry?.channel?.forget(id);
    entry?.interrupted.delete(id);
    entry?.toldToEnd.delete(id);
  }

  close(podUID: string): void {
    const entry = this.#entries.get(podUID);
    this.#entries.delete(podUID);
    entry?.abort.abort();
    entry?.channel?.close();
  }

  closeAll(): void {
    for (const podUID of [...this.#entries.keys()]) this.close(podUID);
  }
}
