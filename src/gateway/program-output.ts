/** What a program prints, as it comes: from the journal, or from the status where the journal is gone. */

import type { CodeRun } from '../api/coderun.ts';
import type { GatewayDeps } from './deps.ts';
import { type RunEvent, readJournal } from './journal.ts';
import { isEnded, succeeded } from './run-view.ts';
import { waitFor } from './wait.ts';

type OutputStream = 'stdout' | 'stderr';

export interface OutputOptions {
  follow: boolean;
  /** Undefined means both. */
  stream: OutputStream | undefined;
  signal: AbortSignal;
}

/** How long a journal that ended before its run is left alone before it is opened again. */
const REOPEN_MILLISECONDS = 1000;

export async function* programOutput(
  deps: GatewayDeps,
  first: CodeRun,
  { follow, stream, signal }: OutputOptions,
): AsyncGenerator<string> {
  let run = follow ? (await waitFor(deps, first, { wanted: isStarted, milliseconds: undefined, signal })).run : first;
  let read = 0;
  for (let next: CodeRun | undefined = run; next; ) {
    run = next;
    let exited = false;
    for await (const event of after(read, readJournal(deps, run, { follow: follow && !isEnded(run), signal }))) {
      read++;
      exited = 'exit' in event;
      const text = textOf(event, stream);
      if (text) yield text;
    }
    next = follow && !exited ? await laterState(deps, run, signal) : undefined;
  }
  if (read === 0) yield* statusOutput(run, stream);
}

/** A journal only grows: what was read of it once is the beginning of every later reading. */
async function* after(count: number, events: AsyncIterable<RunEvent>): AsyncGenerator<RunEvent> {
  let index = 0;
  for await (const event of events) if (index++ >= count) yield event;
}

/** A run whose journal is worth another reading; undefined where nothing more will come. */
async function laterState(deps: GatewayDeps, run: CodeRun, signal: AbortSignal): Promise<CodeRun | undefined> {
  if (isEnded(run)) return undefined;
  const waited = await waitFor(deps, run, { wanted: isEnded, milliseconds: REOPEN_MILLISECONDS, signal });
  return waited.kind === 'met' || waited.kind === 'timedOut' ? waited.run : undefined;
}

const isStarted = (run: CodeRun): boolean => isEnded(run) || succeeded(run)?.reason === 'Running';

function textOf(event: RunEvent, stream: OutputStream | undefined): string | undefined {
  if ('stdout' in event && stream !== 'stderr') return event.stdout;
  if ('stderr' in event && stream !== 'stdout') return event.stderr;
  return undefined;
}

function* statusOutput({ status }: CodeRun, stream: OutputStream | undefined): Generator<string> {
  if (status?.stdout && stream !== 'stderr') yield status.stdout;
  if (status?.stderr && stream !== 'stdout') yield status.stderr;
}
