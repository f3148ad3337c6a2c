/** The program `coderun`: hands the process to the command line, and ends it with what that says. */

import { randomBytes } from 'node:crypto';
import { systemClock } from '../runtime/clock.ts';
import { runCli } from './cli.ts';
import { readEnvironment } from './environment.ts';
import type { Io } from './io.ts';

const SIGPIPE_EXIT = 141;
const SIGINT_EXIT = 130;

const interrupts: (() => void)[] = [];
process.on('SIGINT', () => {
  const latest = interrupts.at(-1);
  if (latest) latest();
  else process.exit(SIGINT_EXIT);
});
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? SIGPIPE_EXIT : 1));

const io: Io = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  environment: readEnvironment(),
  cwd: process.cwd(),
  clock: systemClock,
  random: randomBytes,
  onInterrupt(run) {
    interrupts.push(run);
    return { [Symbol.dispose]: () => void interrupts.splice(interrupts.indexOf(run), 1) };
  },
};

process.exit(await runCli(process.argv.slice(2), io));
