/** `coderun batch`: every program of a folder, so many at a time. */

import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';
import type { BatchItemResult, NewBatch } from '../../client/index.ts';
import type { Command, Invocation } from '../command.ts';
import { CliError, usageError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { type Io, newName, note, write, writeJson } from '../io.ts';
import { printableLine } from '../printable.ts';
import { duration } from '../table.ts';
import { asText, LANGUAGES, language, RUN_FLAGS, readBounded, runFields } from './input.ts';

const MAX_ITEMS = 1000;

export const batch: Command = {
  name: 'batch',
  operands: 'DIR',
  summary: 'Runs every program of a folder',
  details: `
Each file of DIR that ends with .py, .sh or .js is an item; all must be of one language. A line is printed as each ends.
It ends with 0 where all items did, else with 1. Ctrl-C cancels what has not ended.`,
  flags: {
    ...RUN_FLAGS,
    parallelism: { value: 'N', help: 'how many may run at once (10)' },
    'fail-fast': { help: 'cancel the others as soon as one has failed' },
    output: { value: 'DIR', short: 'o', help: 'write ITEM.stdout and ITEM.stderr here' },
    json: { help: 'print every result as a line of JSON' },
    name: { value: 'NAME', help: 'name of the batch; else one is made' },
  },
  examples: ['coderun batch submissions --timeout 10s --parallelism 20 --output results'],
  async run(invocation) {
    const { io, flags } = invocation;
    const body = await newBatch(invocation);
    const { client } = await invocation.connect();
    await client.batches.create(body);
    await note(io, `batch/${body.name}: ${body.items.length} items`);
    using _interrupts = io.onInterrupt(() => {
      client.batches
        .cancel(body.name)
        .catch((error: Error) => note(io, `${body.name} is not cancelled: ${error.message}`));
    });
    const folder = flags.text('output');
    if (folder !== undefined) await mkdir(resolve(io.cwd, folder), { recursive: true });
    let failed = 0;
    for await (const result of client.batches.results(body.name)) {
      if (result.state !== 'succeeded') failed++;
      await (flags.isOn('json') ? writeJson(io, result, 0) : write(io.stdout, line(result)));
      if (folder !== undefined) await save(result, folder, io);
    }
    return failed === 0 ? EXIT.ok.code : EXIT.failure.code;
  },
};

async function newBatch({ io, flags, operands }: Invocation): Promise<NewBatch & { name: string }> {
  const [folder, ...more] = operands;
  if (folder === undefined || more.length > 0) throw usageError('DIR: name one folder of programs');
  const paths = await programs(folder, io);
  const [first = ''] = paths;
  const odd = paths.find((path) => language(flags, path) !== language(flags, first));
  if (odd !== undefined) throw usageError(`DIR: ${first} and ${odd} are of two languages; put them into two folders`);
  const parallelism = flags.integer('parallelism', { min: 1, max: MAX_ITEMS });
  return {
    name: flags.text('name') ?? newName(io, 'batch'),
    template: { language: language(flags, first), ...(await runFields(flags, io)) },
    ...(parallelism !== undefined && { parallelism }),
    failFast: flags.isOn('fail-fast'),
    items: await Promise.all(
      paths.map(async (path) => ({
        name: itemName(path),
        code: asText(await readBounded(join(folder, path), io, 'DIR'), path),
      })),
    ),
  };
}

async function programs(folder: string, { cwd }: Io): Promise<string[]> {
  const entries = await readdir(resolve(cwd, folder), { withFileTypes: true }).catch((error: unknown) => {
    throw new CliError(EXIT.notFound.code, `DIR: ${folder} can't be read; name a folder of programs`, error);
  });
  const paths = entries
    .filter((entry) => entry.isFile() && extname(entry.name) in LANGUAGES)
    .map(({ name }) => name)
    .sort();
  if (paths.length === 0) throw new CliError(EXIT.notFound.code, `DIR: ${folder} holds no .py, .sh or .js`);
  if (paths.length > MAX_ITEMS)
    throw usageError(`DIR: ${folder} holds ${paths.length} programs; a batch takes ${MAX_ITEMS}`);
  return paths;
}

/** A file's name as the name of an object; that no two are the same is for the gateway to check. */
export const itemName = (path: string): string =>
  path
    .slice(0, path.length - extname(path).length)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replaceAll(/^-+|-+$/g, '') || 'item';

const line = ({ item, reason, exitCode, durationMilliseconds, stdout = '' }: BatchItemResult): string => {
  const cells = [
    item.padEnd(20),
    reason.padEnd(12),
    String(exitCode ?? '').padStart(3),
    duration(durationMilliseconds).padStart(7),
  ];
  const shown = `${printableLine(cells.join('  '))}  ${printableLine(stdout.trim(), 60)}`;
  return `${shown.trimEnd()}\n`;
};

async function save({ item, stdout = '', stderr = '' }: BatchItemResult, folder: string, { cwd }: Io): Promise<void> {
  // The gateway is trusted with names no more than a sandbox is.
  const stem = join(resolve(cwd, folder), itemName(item));
  await writeFile(`${stem}.stdout`, stdout);
  await writeFile(`${stem}.stderr`, stderr);
}
