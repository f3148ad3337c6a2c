/** One attached sandbox: commands go in, events come out and are folded into the transcript of its run. */

import type { AttachedStream } from '../kube/port.ts';
import { LineSplitter } from './lines.ts';
import { type AgentEvent, type Command, encodeCommand, parseEvent } from './protocol.ts';
import { Transcript, type TranscriptLimits } from './transcript.ts';

/** What the agent says of itself. */
export interface Hello {
  kernel: string;
  gvisor: boolean;
  /** What it ran or runs. */
  run: { id: string; state: 'running' | 'finished' } | null;
}

/** Why the agent took no order. */
export interface Refused {
  reason: 'StaleEpoch' | 'Busy' | 'Invalid';
  message: string;
}

export class Channel {
  readonly #stream: AttachedStream;
  readonly #limits: TranscriptLimits;
  readonly #onChange: () => void;
  hello: Hello | undefined;
  refused: Refused | undefined;
  /** The run's, where this channel was open from before its start; one that came later has missed a part. */
  transcript: Transcript | undefined;

  constructor(stream: AttachedStream, limits: TranscriptLimits, onChange: () => void) {
    this.#stream = stream;
    this.#limits = limits;
    this.#onChange = onChange;
  }

  /** Reads until the stream ends; says hello first. Resolves with why it ended, never rejects. */
  async read(epoch: number): Promise<string> {
    const splitter = new LineSplitter();
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

  /** Rejects where the stream has ended; whether the agent has read a command is for its answer to say. */
  async send(command: Command): Promise<void> {
    if ('execute' in command) this.transcript ??= new Transcript(command.execute.id, this.#limits);
    await this.#stream.write(encodeCommand(command));
  }

  close(): void {
    this.#stream.close();
  }

  #take(event: AgentEvent): void {
    if ('hello' in event) this.hello = event.hello;
    else if ('refused' in event) this.refused = event.refused;
    else {
      // Another leader may have been first with the order: its run is this one's too, seen from the start.
      if ('started' in event && this.hello?.run === null) this.transcript ??= new Transcript(event.id, this.#limits);
      this.transcript?.add(event);
      if (!('exit' in event)) return;
    }
    this.#onChange();
  }
}
