/** What goes into a run: code, files, environment and the rest, from flags and the local machine. */

import { open } from 'node:fs/promises';
import { basename, extname, resolve } from 'node:path';
import type { NewRun } from '../../client/index.ts';
import type { Invocation } from '../command.ts';
import { CliError, usageError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import type { Flags, FlagValues } from '../flags.ts';
import type { Io } from '../io.ts';

type Language = NonNullable<NewRun['language']>;

const CODE_LIMIT = 512 * 1024;

export const LANGUAGES: Readonly<Record<string, Language>> = {
  '.py': 'python',
  '.sh': 'bash',
  '.bash': 'bash',
  '.js': 'javascript',
  '.mjs': 'javascript',
};

/** What a single run and every item of a batch may be given. */
export const RUN_FLAGS: Flags = {
  language: { value: 'NAME', short: 'l', help: 'python, bash or javascript; else by the ending of the file, python' },
  timeout: { value: 'TIME', short: 't', help: 'how long the program may run: 30, 90s, 5m' },
  memory: { value: 'AMOUNT', short: 'm', help: 'memory that it may use: 512Mi' },
  cpu: { value: 'AMOUNT', help: 'processor time that it may use: 500m is half a core' },
  class: { value: 'NAME', help: 'the SandboxClass' },
  file: { value: 'PATH[:NAME]', short: 'f', multiple: true, help: 'a local file put into the working directory' },
  package: { value: 'NAME==VERSION', short: 'p', multiple: true, help: 'a Python package installed first' },
  artifact: { value: 'GLOB', short: 'a', multiple: true, help: 'files brought back from the working directory: *.png' },
  env: { value: 'NAME[=VALUE]', short: 'e', multiple: true, help: 'an environment variable; without =VALUE, yours' },
};

/** The fields that `RUN_FLAGS` fill. */
export async function runFields(flags: FlagValues, io: Io) {
  const timeoutSeconds = flags.seconds('timeout', { min: 1, max: 3600 });
  const [memory, cpu, className] = [flags.text('memory'), flags.text('cpu'), flags.text('class')];
  const files = await Promise.all(flags.texts('file').map((text) => inputFile(text, io)));
  const env = flags.texts('env').map((text) => variable(text, io));
  const [packages, artifacts] = [flags.texts('package'), flags.texts('artifact')];
  return {
    ...(timeoutSeconds !== undefined && { timeoutSeconds }),
    ...((memory ?? cpu) !== undefined && { resources: { ...(memory && { memory }), ...(cpu && { cpu }) } }),
    ...(className !== undefined && { className }),
    ...(files.length > 0 && { files }),
    ...(env.length > 0 && { env }),
    ...(packages.length > 0 && { packages }),
    ...(artifacts.length > 0 && { artifacts }),
  };
}

export function language(flags: FlagValues, path = ''): Language {
  const given = flags.text('language');
  if (given === undefined) return LANGUAGES[extname(path)] ?? 'python';
  const known = [...new Set(Object.values(LANGUAGES))];
  const found = known.find((one) => one === given);
  if (found) return found;
  throw usageError(`--language: ${JSON.stringify(given)} is not one of ${known.join(', ')}`);
}

/** The code that FILE, -c or stdin gives. */
export async function readCode({
  flags,
  operands,
  io,
}: Pick<Invocation, 'flags' | 'operands' | 'io'>): Promise<string> {
  const given = flags.text('code');
  const [path, ...more] = operands;
  if (more.length > 0) throw usageError(`FILE: ${more.length + 1} are given; arguments of the program come after --`);
  if (given !== undefined && path !== undefined) throw usageError('-c and FILE can not be given together');
  if (given !== undefined) return given;
  if (path === undefined) throw usageError('FILE: name a file, - for stdin, or give the code with -c');
  const content = path === '-' ? await readStdin(io) : await readBounded(path, io, 'FILE');
  return asText(content, path === '-' ? 'stdin' : path);
}

export function asText(content: Uint8Array, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch {
    throw new CliError(EXIT.data.code, `${what} is not text in UTF-8`);
  }
}

export async function readStdin({ stdin }: Io): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let held = 0;
  for await (const chunk of stdin) {
    chunks.push(Buffer.from(chunk));
    held += chunk.length;
    if (held > CODE_LIMIT) throw tooLarge('stdin');
  }
  return Buffer.concat(chunks);
}

/** `flag` is what named the file. */
export async function readBounded(path: string, { cwd }: Io, flag: string): Promise<Buffer> {
  try {
    await using file = await open(resolve(cwd, path));
    const stats = await file.stat();
    if (!stats.isFile() && !stats.isFIFO()) throw new CliError(EXIT.notFound.code, `${flag}: ${path} is not a file`);
    if (stats.size > CODE_LIMIT) throw tooLarge(path);
    return await file.readFile();
  } catch (error) {
    if (error instanceof CliError) throw error;
    const why =
      error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'does not exist' : "can't be read";
    throw new CliError(EXIT.notFound.code, `${flag}: ${path} ${why}`, error);
  }
}

const tooLarge = (what: string): CliError =>
  new CliError(EXIT.data.code, `${what} is larger than the ${CODE_LIMIT} bytes that a run takes`);

async function inputFile(text: string, io: Io): Promise<{ path: string; contentBase64: string }> {
  const colon = text.lastIndexOf(':');
  const [local, path] = colon > 0 ? [text.slice(0, colon), text.slice(colon + 1)] : [text, basename(text)];
  return { path, contentBase64: (await readBounded(local, io, '--file')).toString('base64') };
}

function variable(text: string, { environment }: Io): { name: string; value: string } {
  const equals = text.indexOf('=');
  if (equals > 0) return { name: text.slice(0, equals), value: text.slice(equals + 1) };
  const value = equals === 0 ? undefined : environment.variable(text);
  if (value === undefined) throw usageError(`--env: ${JSON.stringify(text)} is not NAME=VALUE nor a variable of yours`);
  return { name: text, value };
}
