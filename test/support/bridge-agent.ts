/** The agent's side of the bridge, as a test plays it: every request is kept, and answered by a rule. */

import type { BridgeRequest } from '../../src/sandbox/bridge-protocol.ts';
import { TestStream } from './stream.ts';

export type Say = (...events: object[]) => void;
export type Rule = (request: BridgeRequest, say: Say, stream: BridgeStream) => void;

/** One connection. */
export class BridgeStream extends TestStream {
  readonly requests: BridgeRequest[] = [];
  readonly #rule: () => Rule;

  constructor(rule: () => Rule) {
    super();
    this.#rule = rule;
  }

  override async write(data: string | Uint8Array): Promise<void> {
    await super.write(data);
    for (const line of String(data).split('\n').filter(Boolean)) {
      const request = JSON.parse(line) as BridgeRequest;
      this.requests.push(request);
      this.#rule()(request, (...events) => this.say(...events.map((event) => ({ id: request.id, ...event }))), this);
    }
  }

  /** Bytes that are no event. */
  babble(text: string): void {
    this.sayBytes(Buffer.from(text));
  }
}

export class BridgeAgent {
  readonly streams: BridgeStream[] = [];
  rule: Rule;

  constructor(rule: Rule = () => undefined) {
    this.rule = rule;
  }

  /** A connection whose first request, which asks whether anybody is there, has its answer. */
  connect(): BridgeStream {
    let greeted = false;
    const stream = new BridgeStream(() => (request, say, from) => {
      if (!greeted && 'interrupt' in request) say({ done: {} });
      else this.rule(request, say, from);
      greeted = true;
    });
    this.streams.push(stream);
    return stream;
  }

  /** What was asked, but for the first request of each connection. */
  get requests(): BridgeRequest[] {
    return this.streams.flatMap(({ requests }) => requests.slice(1));
  }
}

/** The last word about an execution. */
export const anExit = (changes: object = {}): object => ({
  done: {
    exit: {
      exitCode: 0,
      signal: null,
      cause: null,
      error: null,
      durationMilliseconds: 3,
      session: { executionCount: 1, stateKept: true },
      usage: { cpuMilliseconds: 2, peakMemoryBytes: 1000 },
      output: { stdoutBytes: 0, stderrBytes: 0, stdoutTruncated: false, stderrTruncated: false },
      ...changes,
    },
  },
});
