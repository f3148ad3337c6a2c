/** One attached sandbox: commands go in, events come out and are folded into the transcripts of what it executes. */

import type { AttachedStream } from '../kube/port.ts';
import { LineSplitter } from './lines.ts';
import { type AgentEvent, type Command, encodeCommand, parseEvent, type SessionState } from './protocol.ts';
import { Transcript, type TranscriptLimits } from './transcript.ts';

/** What the agent says of itself. */
export interface Hello {
  kernel: string;
  gvisor: boolean;
  /** What it ran or runs. */
  run: { id: string; state: 'running' | 'finished' } | null;
  /** The session that it holds, as of this hello. */
  session: SessionState | null;
}

/** Why the agent took no order. */
export interface Refused {
  reason: 'StaleEpoch' | 'Busy' | 'Invalid';
  message: string;
}

/** What became of the order to open the sandbox for a session. */
export interface Opened {
  id: string;
  cause: 'PackageInstallFailed' | 'DiskLimit' | 'OutOfMemory' | null;
  message: string;
}

/** What was ordered over this channel under one id. */
interface Execution {
  transcript: Transcript;
  /** False where it may have begun before this channel was open: then only the journal has all that it said. */
  isWhole: boolean;
  startedAt: Date | undefined;
  refused: Refused | undefined;
}

export interface ChannelOptions {
  limits: TranscriptLimits;
  now: () => Date;
  /** Called after every event that a decision may depend on. */
  onChange: () => void;
}

export class Channel {
  readonly #stream: AttachedStream;
  readonly #options: ChannelOptions;
  readonly #executions = new Map<string, Execution>();
  hello: Hello | undefined;
  helloAt: Date | undefined;
  /** When hello was last said to the agent. */
  askedAt: Date | undefined;
  opened: Opened | undefined;
  /** Whether the agent was told over this channel to open the sandbox for a session. */
  wasToldToOpen = false;
  /** Ours; the agent takes no orders from an older leader than it has seen. */
  #epoch = 0;
  /** As of the last hello. */
  #newestEpoch: number | undefined;
  /** The last refusal that concerns none of the executions, with the id that it names. */
  #refused: (Refused & { id: string | null }) | undefined;

  constructor(stream: AttachedStream, options: ChannelOptions) {
    this.#stream = stream;
    this.#options = options;
  }

  /** Reads until the stream ends; says hello first. Resolves with why it ended, never rejects. */
  async read(epoch: number): Promise<string> {
    const splitter = new LineSplitter();
    this.#epoch = epoch;
    try {
      await this.send({ hello: { epoch } });
      for await (const chunk of this.#stream.output)
        for (const line of splitter.push(chunk)) {
          const event = parseEvent(line);
          if (event) this.#take(event);
        }
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      this.#stream.close();
    }
    return (await this.#stream.ended).message;
  }

  /**
   * Rejects where the stream has ended; whether the agent has read a command is for its answer to say. With `again`,
   * the agent may have been given this very order before.
   */
  async send(command: Command, { again = false } = {}): Promise<void> {
    if (this.#refused?.reason !== 'StaleEpoch') this.#refused = undefined;
    if ('execute' in command) this.#expect(command.execute.id, !again);
    else if ('open' in command) this.wasToldToOpen = true;
    else if ('hello' in command) this.askedAt = this.#options.now();
    await this.#stream.write(encodeCommand(command));
  }

  /** What is known of the execution `id`; without one, of the only execution of a sandbox that runs one program. */
  execution(id?: string): Execution | undefined {
    return id === undefined ? this.#executions.values().next().value : this.#executions.get(id);
  }

  /** Why the order `id` was refused, or any order of ours; without an id, why the last one was that was. */
  refused(id?: string): Refused | undefined {
    const { refused } = this.execution(id) ?? {};
    if (refused || !this.#refused) return refused;
    const { reason, message, id: named } = this.#refused;
    const concernsAll = named === null || reason === 'StaleEpoch';
    return id === undefined || named === id || concernsAll ? { reason, message } : undefined;
  }

  /** Lets go of what an execution said. */
  forget(id: string): void {
    this.#executions.delete(id);
  }

  close(): void {
    this.#stream.close();
  }

  #expect(id: string, isWhole: boolean): Execution {
    const known = this.#executions.get(id);
    if (known) return known;
    const transcript = new Transcript(id, this.#options.limits);
    const execution: Execution = { transcript, isWhole, startedAt: undefined, refused: undefined };
    this.#executions.set(id, execution);
    return execution;
  }

  #take(event: AgentEvent): void {
    if ('hello' in event) this.#takeHello(event.hello);
    else if ('refused' in event) this.#takeRefusal(event.refused);
    else if ('opened' in event) this.opened = { id: event.id, ...event.opened };
    else if (!this.#takeOutput(event)) return;
    this.#options.onChange();
  }

  /** Answers to other leaders come here too: they tell whether there is a newer one. */
  #takeHello(hello: Hello & { epoch: number }): void {
    this.hello = hello;
    this.helloAt = this.#options.now();
    this.#newestEpoch = hello.epoch;
    if (hello.epoch > this.#epoch)
      this.#refused = { reason: 'StaleEpoch', message: 'there is a newer leader', id: null };
    else if (this.#refused?.reason === 'StaleEpoch') this.#refused = undefined;
  }

  #takeRefusal({ id, reason, message }: Refused & { id: string | null }): void {
    // The agent tells everyone: it is an older leader than us that was refused.
    if (reason === 'StaleEpoch' && this.#newestEpoch === this.#epoch) return;
    const execution = id === null ? undefined : this.#executions.get(id);
    if (execution) execution.refused = { reason, message };
    else this.#refused = { reason, message, id };
  }

  /** Whether an execution has ended by it. */
  #takeOutput(event: Extract<AgentEvent, { id: string }>): boolean {
    // Another leader may have been first with the order: its run is this one's too, seen from the start.
    const isFirst = this.hello?.run === null && this.hello.session === null && !this.wasToldToOpen;
    if ('started' in event && isFirst && this.#executions.size === 0) this.#expect(event.id, true);
    const execution = this.#executions.get(event.id);
    if (execution && 'started' in event) execution.startedAt ??= this.#options.now();
    execution?.transcript.add(event);
    return 'exit' in event;
  }
}
