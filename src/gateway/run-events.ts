/** A run as a stream of events, each with an id to go on from: out of its journal, or out of its status where that is gone. */

import type { CodeRun } from '../api/coderun.ts';
import type { GatewayDeps } from './deps.ts';
import { type RunEvent, readJournal } from './journal.ts';
import { Problem } from './problem.ts';
import { cancelRun } from './run-store.ts';
import { isEnded, runSummary, runView, succeeded } from './run-view.ts';
import type { ServerSentEvent } from './sse.ts';
import { waitFor } from './wait.ts';

/** What a client has been told of a run. Counts are of UTF-16 units and results, the same from journal and status. */
export interface Position {
  stage: Stage;
  stdout: number;
  stderr: number;
  results: number;
}

/** The last of the events that come once, in their order. */
type Stage = 'nothing' | 'queued' | 'started' | 'error' | 'finished';
const STAGES: readonly Stage[] = ['nothing', 'queued', 'started', 'error', 'finished'];

export const BEGINNING: Position = { stage: 'nothing', stdout: 0, stderr: 0, results: 0 };

/** How long a journal that ended before its run is left alone before it is opened again. */
const REOPEN_MILLISECONDS = 1000;

const idOf = ({ stage, stdout, stderr, results }: Position): string =>
  [STAGES.indexOf(stage), stdout, stderr, results].join('-');

/** What the id of an event looks like. */
export const POSITION_PATTERN = '^[0-4](-(0|[1-9][0-9]{0,8})){3}$';

/** The position that an id of an event stands for; undefined where it is none. */
export function parsePosition(id: string): Position | undefined {
  if (!new RegExp(POSITION_PATTERN).test(id)) return undefined;
  const [stage = 0, stdout = 0, stderr = 0, results = 0] = id.split('-').map(Number);
  return { stage: STAGES[stage] ?? 'nothing', stdout, stderr, results };
}

export interface EventOptions {
  /** Events up to here have been received. */
  from: Position;
  signal: AbortSignal;
}

/** The events of a run after `from`, until it has ended. Throws a `Problem` where it is deleted before. */
export async function* runEvents(
  deps: GatewayDeps,
  first: CodeRun,
  { from, signal }: EventOptions,
): AsyncGenerator<ServerSentEvent> {
  const teller = new Teller(from);
  yield* teller.once('queued', runSummary(first));
  let waited = await waitFor(deps, first, { wanted: isStarted, milliseconds: undefined, signal });
  if (hasStarted(waited.run)) yield* teller.once('started', runSummary(waited.run));
  let exited = false;
  while (waited.kind !== 'deleted' && waited.kind !== 'aborted') {
    for await (const event of teller.reading(readJournal(deps, waited.run, { follow: !isEnded(waited.run), signal }))) {
      if ('event' in event) yield event;
      else exited = true;
    }
    if (isEnded(waited.run)) break;
    // The status comes a moment after the exit; without one, the journal may go on.
    const milliseconds = exited ? undefined : REOPEN_MILLISECONDS;
    waited = await waitFor(deps, waited.run, { wanted: isEnded, milliseconds, signal });
    if (exited) break;
  }
  if (waited.kind === 'deleted') throw new Problem('RunDeleted', 'The run was deleted before it ended.');
  if (waited.kind !== 'aborted') yield* teller.end(waited.run, exited);
}

/** Passes `events` on and cancels the run where its client leaves before it has ended. */
export async function* cancellingEvents(
  { kube }: Pick<GatewayDeps, 'kube'>,
  run: CodeRun,
  events: AsyncIterable<ServerSentEvent>,
  signal: AbortSignal,
): AsyncGenerator<ServerSentEvent> {
  let finished = false;
  try {
    for await (const event of events) {
      finished = event.event === 'finished';
      yield event;
    }
  } finally {
    if (!finished && !isShuttingDown(signal)) await cancelRun(kube, run).catch(() => undefined);
  }
}

/** A client of a gateway that closes comes back to another one. */
const isShuttingDown = ({ reason }: AbortSignal): boolean =>
  reason instanceof Problem && reason.code === 'ShuttingDown';

const isStarted = (run: CodeRun): boolean => isEnded(run) || succeeded(run)?.reason === 'Running';
const hasStarted = (run: CodeRun): boolean => isStarted(run) && run.status?.startTime !== undefined;

/** Tells what has not been told yet, and keeps where it is. */
class Teller {
  #at: Position;

  constructor(from: Position) {
    this.#at = from;
  }

  *once(stage: Stage, data: unknown): Generator<ServerSentEvent> {
    if (STAGES.indexOf(this.#at.stage) >= STAGES.indexOf(stage)) return;
    this.#at = { ...this.#at, stage };
    yield this.#event(stage, data);
  }

  /** One reading of a journal from its beginning: what is new of it, and `exit` as it is. */
  async *reading(events: AsyncIterable<RunEvent>): AsyncGenerator<ServerSentEvent | { exit: unknown }> {
    const read = { stdout: 0, stderr: 0, results: 0 };
    for await (const event of events) {
      if ('stdout' in event) {
        read.stdout += event.stdout.length;
        yield* this.#text('stdout', read.stdout, event.stdout);
      } else if ('stderr' in event) {
        read.stderr += event.stderr.length;
        yield* this.#text('stderr', read.stderr, event.stderr);
      } else if ('result' in event) {
        read.results++;
        yield* this.#result(read.results, event.result);
      } else if ('exit' in event) yield event;
    }
  }

  /** What the status has beyond the journal, and how the run ended. */
  *end(run: CodeRun, isTold: boolean): Generator<ServerSentEvent> {
    const { stdout = '', stderr = '', results = [], error } = run.status ?? {};
    if (!isTold) {
      yield* this.#text('stdout', stdout.length, stdout);
      yield* this.#text('stderr', stderr.length, stderr);
      for (const [index, result] of results.entries()) yield* this.#result(index + 1, result);
    }
    if (error) yield* this.once('error', error);
    yield* this.once('finished', runView(run));
  }

  /** The part of `text`, which ends at `end` of its stream, that has not been told. */
  *#text(stream: 'stdout' | 'stderr', end: number, text: string): Generator<ServerSentEvent> {
    const fresh = end - this.#at[stream];
    if (fresh <= 0 || text === '') return;
    this.#at = { ...this.#at, [stream]: end };
    yield this.#event(stream, { text: text.slice(-fresh) });
  }

  *#result(count: number, result: unknown): Generator<ServerSentEvent> {
    if (count <= this.#at.results) return;
    this.#at = { ...this.#at, results: count };
    yield this.#event('result', result);
  }

  #event(event: string, data: unknown): ServerSentEvent {
    return { id: idOf(this.#at), event, data };
  }
}
