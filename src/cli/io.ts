/** Everything of the world that a command may touch: handed in, so that tests hand in their own. */

import type { Readable, Writable } from 'node:stream';
import type { Clock } from '../runtime/clock.ts';
import type { Environment } from './environment.ts';
import { printable, printableJson } from './printable.ts';

export interface Io {
  readonly stdin: Readable & { isTTY?: boolean };
  readonly stdout: Writable & { isTTY?: boolean; columns?: number };
  readonly stderr: Writable & { isTTY?: boolean };
  readonly environment: Environment;
  /** Folder that relative paths of files are resolved against. */
  readonly cwd: string;
  readonly clock: Clock;
  readonly random: (count: number) => Uint8Array;
  /** Calls `run` at every Ctrl-C until disposed of; only the latest one is called. */
  onInterrupt(run: () => void): Disposable;
}

/** Writes, and waits where the reader is slow. */
export async function write(stream: Writable, text: string | Uint8Array): Promise<void> {
  if (text.length === 0 || stream.destroyed) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  // An error ends the waiting as well; it is for whoever listens to the stream.
  stream.write(text, () => resolve());
  await promise;
}

/** What came out of a sandbox: as it is into a file or a pipe, harmless on a terminal. */
export const writeProgram = (stream: Io['stdout'], text: string): Promise<void> =>
  write(stream, stream.isTTY ? printable(text) : text);

/** An answer as JSON, which may hold what a program printed. */
export const writeJson = ({ stdout }: Io, answer: unknown, indent = 2): Promise<void> => {
  const text = JSON.stringify(answer, null, indent);
  return write(stdout, `${stdout.isTTY ? printableJson(text) : text}\n`);
};

/** A note of the client's own, which may quote the sandbox. */
export const note = ({ stderr }: Io, text: string): Promise<void> => write(stderr, `coderun: ${printable(text)}\n`);

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** A name that nobody else will think of. */
export const newName = ({ random }: Io, prefix: string): string =>
  `${prefix}-${Array.from(random(10), (byte) => BASE32[byte % BASE32.length]).join('')}`;
