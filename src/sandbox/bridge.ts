/** A client of the bridge: requests over one connection to the agent of a session, their answers told apart by id. */

import type { AttachedStream } from '../kube/port.ts';
import { type BridgeCommand, type BridgeEvent, type BridgeFailure, parseBridgeEvent } from './bridge-protocol.ts';
import { LineSplitter } from './lines.ts';

export type BridgeDone = Extract<BridgeEvent, { done: unknown }>['done'];
/** What comes before the last answer to a request. */
export type BridgeProgress = Exclude<BridgeEvent, { done: unknown } | { failed: unknown }>;

/** The agent has refused a request, or could not carry it out. */
export class BridgeFailed extends Error {
  override readonly name = 'BridgeFailed';
  readonly reason: BridgeFailure;

  constructor(reason: BridgeFailure, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** The connection ended before the last answer. `sent`: whether the agent may have read the request. */
export class BridgeBroken extends Error {
  override readonly name = 'BridgeBroken';
  readonly sent: boolean;

  constructor(sent: boolean, message: string) {
    super(message);
    this.sent = sent;
  }
}

export interface BridgeCall {
  readonly id: string;
  /** Rejects with `BridgeFailed`, with `BridgeBroken`, or with what `take` threw. */
  readonly done: Promise<BridgeDone>;
}

interface Pending {
  take: (event: BridgeProgress) => unknown;
  resolve: (done: BridgeDone) => void;
  reject: (error: unknown) => void;
}

export class Bridge {
  readonly #stream: AttachedStream;
  readonly #calls = new Map<string, Pending>();
  readonly #end = Promise.withResolvers<void>();
  /** Resolves when the connection has ended. */
  readonly ended = this.#end.promise;
  #lastId = 0;
  #isOpen = true;

  constructor(stream: AttachedStream) {
    this.#stream = stream;
    void this.#read();
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** `take` is given what comes before the last answer; while a promise of its is open, nothing more is read at all. */
  call(command: BridgeCommand, take: Pending['take'] = () => undefined): BridgeCall {
    const id = `r${++this.#lastId}`;
    const { promise: done, resolve, reject } = Promise.withResolvers<BridgeDone>();
    // Whoever asked may have left before the answer.
    done.catch(() => undefined);
    if (this.#isOpen) {
      this.#calls.set(id, { take, resolve, reject });
      // A write fails where the stream has ended, which is seen by reading as well.
      void this.send(id, command).catch(() => undefined);
    } else reject(new BridgeBroken(false, 'the connection has ended'));
    return { id, done };
  }

  /** Sends more of the request `id`. Resolves when the transport has taken it; rejects where the stream has ended. */
  async send(id: string, command: BridgeCommand): Promise<void> {
    try {
      await this.#stream.write(`${JSON.stringify({ id, ...command })}\n`);
    } catch (error) {
      this.#finish(messageOf(error));
      throw new BridgeBroken(true, messageOf(error));
    }
  }

  close(): void {
    this.#finish('closed on this side');
  }

  async #read(): Promise<void> {
    try {
      this.#finish(await this.#takeAll());
    } catch (error) {
      this.#finish(messageOf(error));
    }
  }

  async #takeAll(): Promise<string> {
    const splitter = new LineSplitter();
    for await (const chunk of this.#stream.output) {
      for (const line of splitter.push(chunk)) {
        const event = parseBridgeEvent(line);
        if (!event) return 'a line was not of the protocol';
        await this.#take(event);
      }
      if (splitter.overrun) return 'a line was too long';
    }
    return (await this.#stream.ended).message;
  }

  /** Events of calls that nobody knows (any more) are passed over. */
  async #take(event: BridgeEvent): Promise<void> {
    const call = this.#calls.get(event.id);
    if (!call) return;
    if ('done' in event) this.#settle(event.id)?.resolve(event.done);
    else if ('failed' in event)
      this.#settle(event.id)?.reject(new BridgeFailed(event.failed.reason, event.failed.message));
    else {
      try {
        await this.#orEnded(call.take(event));
      } catch (error) {
        this.#settle(event.id)?.reject(error);
      }
    }
  }

  /** Almost nothing that takes an event lets the others wait, and a race for each would be slow. */
  #orEnded(taken: unknown): unknown {
    return taken instanceof Promise ? Promise.race([taken, this.ended]) : taken;
  }

  #settle(id: string): Pending | undefined {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    return call;
  }

  #finish(why: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#stream.close();
    for (const { reject } of this.#calls.values()) reject(new BridgeBroken(true, why));
    this.#calls.clear();
    this.#end.resolve();
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
