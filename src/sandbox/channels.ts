/** The channels that this process holds open, one a sandbox pod. */

import type { AttachedStream } from '../kube/port.ts';
import { Channel, type Hello, type Refused } from './channel.ts';
import type { Command } from './protocol.ts';
import type { Transcript, TranscriptLimits } from './transcript.ts';

/** What is known of the channel to a sandbox. */
export interface ChannelView {
  podUID: string;
  state: 'opening' | 'open' | 'closed';
  hello: Hello | undefined;
  refused: Refused | undefined;
  /** Undefined before a run was started over this channel. */
  transcript: Transcript | undefined;
  /** When the run was told to end. */
  interruptedAt: Date | undefined;
  /** When a closed channel may be opened again. */
  reopenAt: Date;
}

interface Entry {
  view: ChannelView;
  channel: Channel | undefined;
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

  view(podUID: string): ChannelView | undefined {
    const entry = this.#entries.get(podUID);
    if (!entry) return undefined;
    const { hello, refused, transcript } = entry.channel ?? entry.view;
    return { ...entry.view, hello, refused, transcript };
  }

  /** Attaches and says hello in the background; does nothing where a channel is open or being opened. */
  open(options: OpenOptions): void {
    const before = this.#entries.get(options.podUID);
    if (before && before.view.state !== 'closed') return;
    const entry: Entry = {
      view: {
        podUID: options.podUID,
        state: 'opening',
        hello: undefined,
        refused: undefined,
        transcript: undefined,
        interruptedAt: before?.view.interruptedAt,
        reopenAt: this.#options.now(),
      },
      channel: undefined,
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
    try {
      const signal = AbortSignal.any([entry.abort.signal, silent.signal]);
      const stream = await this.#options.attach(options.namespace, options.podName, signal);
      entry.channel = new Channel(stream, options.limits, options.onChange);
      entry.view.state = 'open';
      await entry.channel.read(options.epoch);
      if (entry.channel.hello) entry.failures = 0;
    } catch {
      // Why an attempt failed is the pod's to tell: its status says so, or the next attempt succeeds.
    }
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** Math.max(0, ++entry.failures - QUICK_ATTEMPTS));
    entry.view = { ...entry.view, state: 'closed', reopenAt: new Date(this.#options.now().getTime() + wait) };
    if (!entry.abort.signal.aborted) options.onChange();
  }

  /** Sends a command. Rejects where there is no open channel to the pod. */
  async send(podUID: string, command: Command): Promise<void> {
    const entry = this.#entries.get(podUID);
    if (entry?.view.state !== 'open' || !entry.channel) throw new Error('the channel to the sandbox is not open');
    if ('interrupt' in command) entry.view.interruptedAt ??= this.#options.now();
    await entry.channel.send(command);
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
