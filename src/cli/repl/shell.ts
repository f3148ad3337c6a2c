/** The interactive shell: reads lines, gathers them to whole inputs, and has each executed. */

import { createInterface, type Interface } from 'node:readline';
import { ProblemError } from '../../client/index.ts';
import { toCliError } from '../errors.ts';
import { note, write } from '../io.ts';
import { execute, type ShellContext } from './execution.ts';
import { loadHistory, saveHistory } from './history.ts';
import { complete, needsMore } from './source.ts';
import { WORDS } from './words.ts';

const FIRST = '>>> ';
const MORE = '... ';

/** After these, the session is of no use any more. */
const ENDS = ['SessionNotFound', 'SessionEnded', 'SessionDeleted'];

export interface ShellOptions {
  historyFile: string;
  /** Of each input. */
  timeoutSeconds: number | undefined;
}

/** Reads until Ctrl-D, or until the session has ended: then rejects with the `ProblemError` that said so. */
export async function runShell(shell: ShellContext, options: ShellOptions): Promise<void> {
  await new Shell(shell, options).run();
}

class Shell {
  readonly #shell: ShellContext;
  readonly #options: ShellOptions;
  #pending: string[] = [];
  #names: string[] = [];
  /** Of what is executed now. */
  #running: { stop: AbortController; interrupted: boolean } | undefined;

  constructor(shell: ShellContext, options: ShellOptions) {
    this.#shell = shell;
    this.#options = options;
  }

  async run(): Promise<void> {
    const { io } = this.#shell;
    const terminal = io.stdin.isTTY === true && io.stdout.isTTY === true;
    const history = terminal ? await loadHistory(this.#options.historyFile) : [];
    let kept = history;
    using lines = createInterface({
      input: io.stdin,
      output: io.stdout,
      terminal,
      history,
      completer: (line: string) => complete(line, [...this.#names, ...Object.keys(WORDS)]),
    });
    // From now on: what is typed before the first prompt is not lost.
    const input = lines[Symbol.asyncIterator]();
    lines.on('history', (newest) => {
      kept = newest;
    });
    lines.on('SIGINT', () => this.#interrupt(lines));
    using _interrupts = io.onInterrupt(() => this.#interrupt(lines));
    try {
      await this.#learnNames();
      await this.#read(lines, input, terminal);
    } finally {
      if (terminal) await saveHistory(this.#options.historyFile, kept);
    }
  }

  async #read(lines: Interface, input: AsyncIterable<string>, terminal: boolean): Promise<void> {
    const prompt = () => {
      lines.setPrompt(this.#pending.length > 0 ? MORE : FIRST);
      if (terminal) lines.prompt();
    };
    prompt();
    for await (const line of input) {
      await this.#take(line);
      prompt();
    }
    if (this.#pending.length > 0) await this.#executeInput(this.#pending.join('\n'));
    if (terminal) await write(this.#shell.io.stdout, '\n');
  }

  async #take(line: string): Promise<void> {
    const isFirst = this.#pending.length === 0;
    if (isFirst && line.trim() === '') return;
    if (isFirst && line.startsWith('%')) return this.#word(line);
    if (isFirst && line.startsWith('!')) return this.#run(line.slice(1), 'bash');
    this.#pending.push(line);
    const source = this.#pending.join('\n');
    if (!needsMore(source)) await this.#executeInput(source);
  }

  async #executeInput(source: string): Promise<void> {
    this.#pending = [];
    await this.#run(source, 'python');
    await this.#learnNames();
  }

  async #word(line: string): Promise<void> {
    const [name = '', ...operands] = line.trim().split(/\s+/);
    const word = Object.hasOwn(WORDS, name) ? WORDS[name] : undefined;
    if (!word) return note(this.#shell.io, `${name}: there is no such word; %help lists them`);
    await this.#telling(() => word.run(this.#shell, operands));
  }

  async #run(code: string, language: 'python' | 'bash'): Promise<void> {
    const running = { stop: new AbortController(), interrupted: false };
    this.#running = running;
    const { timeoutSeconds } = this.#options;
    const execution = { code, language, ...(timeoutSeconds !== undefined && { timeoutSeconds }) };
    try {
      await this.#telling(() => execute(this.#shell, execution, running.stop.signal));
    } finally {
      this.#running = undefined;
    }
  }

  /** Tells what went wrong and goes on, unless the session is gone. */
  async #telling(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (error instanceof ProblemError && ENDS.includes(error.code)) throw error;
      await note(this.#shell.io, toCliError(error, 'its URL').message);
    }
  }

  /** The program first; a second time, what it prints is not waited for any longer; at the prompt, what is typed is dropped. */
  #interrupt(lines: Interface): void {
    const { client, session, io } = this.#shell;
    const running = this.#running;
    if (!running) {
      this.#pending = [];
      lines.setPrompt(FIRST);
      if (!lines.terminal) return;
      lines.write(null, { ctrl: true, name: 'u' });
      io.stdout.write('\n');
      lines.prompt();
    } else if (running.interrupted) running.stop.abort(new Error('left the program behind; %restart ends it'));
    else {
      running.interrupted = true;
      client.sessions.interrupt(session).catch((error: Error) => note(io, `not interrupted: ${error.message}`));
    }
  }

  /** Completion knows what it knew before where the session does not answer. */
  async #learnNames(): Promise<void> {
    const { client, session, io } = this.#shell;
    if (io.stdin.isTTY !== true) return;
    const variables = await client.sessions.variables(session).catch(() => undefined);
    if (variables) this.#names = variables.map(({ name }) => name).filter((name) => /^\w+$/.test(name));
  }
}
