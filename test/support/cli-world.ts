/** The command line with streams, a folder and an environment that a test holds. */

import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { runCli } from '../../src/cli/cli.ts';
import { readEnvironment } from '../../src/cli/environment.ts';
import type { Io } from '../../src/cli/io.ts';
import { systemClock } from '../../src/runtime/clock.ts';

export interface CliOptions {
  /** Variables of the environment. */
  env?: Record<string, string>;
  stdin?: string | PassThrough;
  /** True where stdout and stderr are a terminal. */
  terminal?: boolean;
}

class Sink extends PassThrough {
  isTTY = false;
  text = '';

  constructor() {
    super();
    this.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('utf8');
    });
  }
}

export function aCli({ env = {}, stdin = '', terminal = false }: CliOptions = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'coderun-cli-'));
  const [stdout, stderr] = [new Sink(), new Sink()];
  stdout.isTTY = terminal;
  stderr.isTTY = terminal;
  const handlers: (() => void)[] = [];
  let random = 0;
  const io: Io = {
    stdin: typeof stdin === 'string' ? new PassThrough().end(stdin) : stdin,
    stdout,
    stderr,
    environment: readEnvironment({ HOME: folder, ...env }),
    cwd: folder,
    clock: systemClock,
    random: (count) => Uint8Array.from({ length: count }, () => random++ % 256),
    onInterrupt(run) {
      handlers.push(run);
      return { [Symbol.dispose]: () => void handlers.splice(handlers.indexOf(run), 1) };
    },
  };
  return {
    io,
    folder,
    out: () => stdout.text,
    err: () => stderr.text,
    /** Resolves with the exit code. */
    run: (...argv: string[]) => runCli(argv, io),
    pressCtrlC: () => handlers.at(-1)?.(),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
