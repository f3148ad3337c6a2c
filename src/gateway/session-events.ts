/** What a session does, told as it happens: events for Server-Sent Events, which wait here within a bound until they are read. */

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { BridgeProgress } from '../sandbox/bridge.ts';
import type { GatewayDeps } from './deps.ts';
import { toProblem } from './plugins/errors.ts';
import { Problem } from './problem.ts';
import type { Tell } from './session-calls.ts';
import { type ServerSentEvent, sendEvents } from './sse.ts';

/** What is refused is refused at once, and is answered as a problem: so long is waited before the stream begins. */
const REFUSAL_MILLISECONDS = 1000;
/** What may wait to be read, in characters. */
const WAITING_LIMIT = 8 * 1024 * 1024;

export interface Streamed {
  request: FastifyRequest;
  reply: FastifyReply;
  hold: AbortController;
  /** Does it, tells what happens on the way, and resolves with the last events. */
  work: (tell: Tell) => Promise<ServerSentEvent[]>;
}

/** Answers `work` as Server-Sent Events. Rejects where it fails before there is an event to be told. */
export async function streamWork(deps: GatewayDeps, { request, reply, hold, work }: Streamed): Promise<FastifyReply> {
  const unread = () => hold.abort(new Problem('RequestTimeout', 'The output was not read.', { retrySafe: false }));
  const feed = new Feed<ServerSentEvent>(WAITING_LIMIT, unread);
  const told = work((event) => {
    for (const one of eventsOf(event)) feed.push(one, JSON.stringify(one.data).length);
  });
  await begun(deps, feed, told);
  void told
    .catch((error: unknown) => [{ event: 'problem', data: toProblem(error, request).body(request.id) }])
    .then((last) => feed.end(last));
  return sendEvents(reply, feed, hold, deps);
}

/** Resolves when the stream may begin. */
async function begun({ clock }: GatewayDeps, feed: Feed<ServerSentEvent>, told: Promise<unknown>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  using _timer = clock.after(REFUSAL_MILLISECONDS, () => {
    feed.push({ event: 'queued', data: {} }, 0);
    resolve();
  });
  await Promise.race([told, feed.filled, late]);
}

function eventsOf(event: BridgeProgress): ServerSentEvent[] {
  if ('stdout' in event) return [{ event: 'stdout', data: { text: event.stdout } }];
  if ('stderr' in event) return [{ event: 'stderr', data: { text: event.stderr } }];
  if ('result' in event) return [{ event: 'result', data: event.result }];
  if ('started' in event) return [{ event: 'started', data: event.started }];
  return [];
}

/** A queue from whoever tells to whoever reads. */
class Feed<T> implements AsyncIterable<T> {
  readonly #limit: number;
  readonly #onOverflow: () => void;
  readonly #filled = Promise.withResolvers<void>();
  /** Resolves when there is something to be read. */
  readonly filled = this.#filled.promise;
  #waiting: T[] = [];
  #size = 0;
  #ended = false;
  #wake = Promise.withResolvers<void>();

  /** `onOverflow` is called once where more than `limit` waits; all that is told after it is dropped. */
  constructor(limit: number, onOverflow: () => void) {
    this.#limit = limit;
    this.#onOverflow = onOverflow;
  }

  push(value: T, size: number): void {
    if (this.#ended) return;
    this.#size += size;
    if (this.#size > this.#limit) {
      this.end([]);
      this.#onOverflow();
      return;
    }
    this.#waiting.push(value);
    this.#filled.resolve();
    this.#wake.resolve();
  }

  /** Nothing comes after `last`. */
  end(last: readonly T[]): void {
    if (this.#ended) return;
    this.#waiting.push(...last);
    this.#ended = true;
    this.#wake.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const values = this.#waiting;
      this.#waiting = [];
      this.#size = 0;
      yield* values;
      if (this.#waiting.length > 0) continue;
      if (this.#ended) return;
      this.#wake = Promise.withResolvers<void>();
      await this.#wake.promise;
    }
  }
}
