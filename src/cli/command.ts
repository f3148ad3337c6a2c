/** What a command is: its words for the help, its flags, and what it does. */

import type { Connection } from './connection.ts';
import type { Flags, FlagValues } from './flags.ts';
import type { Io } from './io.ts';

export interface Invocation {
  io: Io;
  flags: FlagValues;
  operands: string[];
  /** What stands after `--`. */
  rest: string[];
  /** Opened when it is wanted, and closed after the command. */
  connect(): Promise<Connection>;
}

export interface Command {
  name: string;
  /** What follows the name: `FILE [-- ARGUMENT...]`. */
  operands: string;
  summary: string;
  details?: string;
  flags: Flags;
  examples: readonly string[];
  /** Resolves with the exit code. */
  run(invocation: Invocation): Promise<number>;
}
