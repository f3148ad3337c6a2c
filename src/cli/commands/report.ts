/** How a run that has ended is told of: its output, its figures, and why it ended where the output does not say. */

import { resolve } from 'node:path';
import type { Coderun, MimeBundle, Run } from '../../client/index.ts';
import { needsWord } from '../exit-codes.ts';
import type { FlagValues } from '../flags.ts';
import { type Io, note, write, writeProgram } from '../io.ts';
import { printableLine } from '../printable.ts';
import { saveArtifacts, saveBelow } from './artifacts.ts';

const ENDINGS: Readonly<Record<string, string>> = {
  'image/png': 'png',
  'image/jpeg': 'jpg',
  'image/svg+xml': 'svg',
};

/** The first picture of a result, ready to be written. */
export function imageOf({ mime }: MimeBundle): { ending: string; content: Buffer } | undefined {
  for (const [type, ending] of Object.entries(ENDINGS)) {
    const data = mime[type];
    if (data !== undefined) return { ending, content: Buffer.from(data, ending === 'svg' ? 'utf8' : 'base64') };
  }
  return undefined;
}

export interface ReportOptions {
  /** What the program printed was shown as it came. */
  streamed: boolean;
  flags: FlagValues;
  signal?: AbortSignal;
}

export async function report(
  client: Coderun,
  run: Run,
  io: Io,
  { streamed, flags, signal }: ReportOptions,
): Promise<void> {
  if (!streamed) {
    await writeProgram(io.stdout, run.stdout ?? '');
    await writeProgram(io.stderr, run.stderr ?? '');
    await tellOfCuts(run, io);
  }
  await tellOfResults(run, io, flags);
  await saveArtifacts(client, run, flags.text('output') ?? '.', io, signal);
  if (needsWord(run.reason)) await note(io, `${printableLine(run.reason)}: ${printableLine(run.message, 1000)}`);
}

async function tellOfCuts({ name, output }: Run, io: Io): Promise<void> {
  for (const stream of ['stdout', 'stderr'] as const)
    if (output?.[`${stream}Truncated`])
      await note(io, `${stream} is cut: it is ${output[`${stream}Bytes`]} bytes; coderun logs ${name} may have more`);
}

async function tellOfResults({ name, results = [] }: Run, io: Io, flags: FlagValues): Promise<void> {
  const images = results.map(imageOf).filter((image) => image !== undefined);
  const folder = flags.text('images');
  for (const [index, { ending, content }] of images.entries()) {
    if (folder === undefined) continue;
    await note(io, `saved ${await saveBelow(resolve(io.cwd, folder), `${name}-${index}.${ending}`, content)}`);
  }
  if (folder === undefined && images.length > 0)
    await note(io, `the program made ${images.length} figure(s); --images DIR saves them`);
  const text = results.at(-1)?.mime['text/plain'];
  if (flags.text('code') !== undefined && text !== undefined && images.length === 0)
    await write(io.stdout, io.stdout.isTTY ? `${printableLine(text, 10_000)}\n` : `${text}\n`);
}
