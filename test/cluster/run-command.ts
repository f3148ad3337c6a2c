/** Runs an external command: bounded in time, its output in a log, ended together with its children. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { finished } from 'node:stream/promises';
import { CommandError } from './errors.ts';

export interface CommandOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Written to its standard input. */
  input?: string;
  /** A file that stdout and stderr are appended to. */
  log?: string;
  /** Milliseconds after which the command is ended and has failed; 10 minutes unless told. */
  timeout?: number;
  signal?: AbortSignal;
  /** Called with each line of output, as it comes. */
  onLine?: (line: string) => void;
}

const TAIL_LINES = 15;
/** Milliseconds to clear up in, once told to end: mmdebstrap has mounts to undo. */
const GRACE = 15_000;
const LONGEST_LINE = 400;

/** Resolves with the command's stdout. Rejects with `CommandError` where it can't start, fails, or takes too long. */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const spelled = [command, ...args].join(' ').slice(0, LONGEST_LINE);
  const tail: string[] = [];
  const log = options.log === undefined ? undefined : createWriteStream(options.log, { flags: 'a' });
  log?.write(`$ ${spelled}\n`);
  const child = spawn(command, args, { cwd: options.cwd, env: options.env, stdio: 'pipe', detached: true });
  const onLine = (line: string) => {
    if (line.trim() === '') return;
    tail.push(line.slice(0, LONGEST_LINE));
    if (tail.length > TAIL_LINES) tail.shift();
    options.onLine?.(line);
  };
  const stdout: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => log?.write(chunk));
    createInterface({ input: stream }).on('line', onLine);
  }
  child.stdin.on('error', () => {}); // A command that doesn't read its input tells by its exit code.
  child.stdin.end(options.input ?? '');
  const outcome = await ending(child, options);
  log?.end();
  if (log) await finished(log);
  if (outcome !== undefined) throw new CommandError(spelled, outcome, tail, options.log);
  return Buffer.concat(stdout).toString('utf8');
}

/** Resolves once the command has ended: with nothing when all is well, else with what went wrong. */
function ending(child: ChildProcess, options: CommandOptions): Promise<string | undefined> {
  return new Promise((resolve) => {
    let reason: string | undefined;
    const stop = (why: string) => {
      reason ??= why;
      endGroup(child, 'SIGTERM');
      setTimeout(() => endGroup(child, 'SIGKILL'), GRACE).unref();
    };
    const timeout = options.timeout ?? 600_000;
    const timer = setTimeout(() => stop(`took longer than ${timeout / 1000} s and was ended`), timeout);
    const onAbort = () => stop('was interrupted');
    options.signal?.addEventListener('abort', onAbort);
    if (options.signal?.aborted) onAbort();
    const settle = (result: string | undefined) => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
      resolve(result);
    };
    child.on('error', (error) => settle(`could not be started: ${error.message}`));
    child.on('close', (code, signal) => {
      settle(reason ?? (code === 0 ? undefined : `ended with ${signal ?? `exit code ${code}`}`));
    });
  });
}

function endGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group has ended already.
  }
}
