/** One input of the shell, executed in the session and shown as it goes. */

import { join } from 'node:path';
import type { Coderun, ExecutionEvent, NewExecution } from '../../client/index.ts';
import { saveBelow } from '../commands/artifacts.ts';
import { imageOf } from '../commands/report.ts';
import { type Io, newName, note, write, writeProgram } from '../io.ts';
import { printable } from '../printable.ts';

export interface ShellContext {
  client: Coderun;
  /** Name of the session. */
  session: string;
  io: Io;
  imageFolder: string;
}

/** Rejects with `ProblemError` where the session refuses, and with the reason of `signal`. */
export async function execute(shell: ShellContext, execution: NewExecution, signal: AbortSignal): Promise<void> {
  const shown = new Shown(shell);
  for await (const event of shell.client.sessions.follow(shell.session, execution, { signal })) await shown.take(event);
}

/** The end of stderr that is held, to see whether a traceback stands there already. */
const TAIL = 4096;

class Shown {
  readonly #shell: ShellContext;
  #stderrTail = '';

  constructor(shell: ShellContext) {
    this.#shell = shell;
  }

  async take(event: ExecutionEvent): Promise<void> {
    const { io } = this.#shell;
    switch (event.event) {
      case 'stdout':
        return writeProgram(io.stdout, event.text);
      case 'stderr':
        this.#stderrTail = (this.#stderrTail + event.text).slice(-TAIL);
        return writeProgram(io.stderr, event.text);
      case 'result':
        return this.#result(event.mime);
      case 'error':
        return this.#error(event.error.traceback);
      case 'finished':
        return this.#finished(event.execution);
    }
  }

  async #result(mime: Record<string, string>): Promise<void> {
    const { io, imageFolder } = this.#shell;
    const image = imageOf({ mime });
    const text = mime['text/plain'];
    if (image) {
      const path = await saveBelow(imageFolder, `${newName(io, 'figure')}.${image.ending}`, image.content);
      await note(io, `figure saved: ${join(path)}`);
    } else if (text !== undefined) await write(io.stdout, `${io.stdout.isTTY ? printable(text) : text}\n`);
  }

  async #error(traceback: string): Promise<void> {
    const last = traceback.trimEnd().split('\n').at(-1) ?? '';
    if (last && this.#stderrTail.includes(last)) return;
    await writeProgram(this.#shell.io.stderr, traceback.endsWith('\n') ? traceback : `${traceback}\n`);
  }

  async #finished({ reason, stateKept }: { reason?: string; stateKept?: boolean }): Promise<void> {
    const { io } = this.#shell;
    if (reason !== undefined && !['Completed', 'NonZeroExit', 'Interrupted', 'Cancelled'].includes(reason))
      await note(io, reason);
    if (stateKept === false) await note(io, 'the interpreter was restarted: variables are gone, files are kept');
  }
}
