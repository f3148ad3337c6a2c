/** The command line from its arguments to its exit code. */

import type { Command } from './command.ts';
import { agent } from './commands/agent.ts';
import { batch } from './commands/batch.ts';
import { cancel, remove } from './commands/cancel.ts';
import { doctor } from './commands/doctor.ts';
import { get } from './commands/get.ts';
import { keys } from './commands/keys.ts';
import { listRuns, listSessions } from './commands/lists.ts';
import { logs } from './commands/logs.ts';
import { repl } from './commands/repl.ts';
import { run } from './commands/run.ts';
import { type Connection, connect } from './connection.ts';
import { toCliError, usageError } from './errors.ts';
import { EXIT } from './exit-codes.ts';
import { type FlagValues, parseFlags } from './flags.ts';
import { commandHelp, exitCodesHelp, overview } from './help.ts';
import { type Io, note, write } from './io.ts';
import { DEFAULT_URL, findTarget, TARGET_FLAGS } from './target.ts';

const COMMANDS: readonly Command[] = [
  run,
  batch,
  get,
  logs,
  cancel,
  remove,
  listRuns,
  listSessions,
  repl,
  agent,
  keys,
  doctor,
];

const HELP = { help: { short: 'h', help: 'these words' } } as const;

/** Never rejects: what goes wrong is told on stderr. */
export async function runCli(argv: readonly string[], io: Io): Promise<number> {
  const opened: { connection?: Connection; url: string } = { url: DEFAULT_URL };
  try {
    return await dispatch(argv, io, opened);
  } catch (error) {
    const { message, exitCode } = toCliError(error, opened.url);
    await note(io, message);
    return exitCode;
  } finally {
    await opened.connection?.[Symbol.asyncDispose]();
  }
}

async function dispatch(
  argv: readonly string[],
  io: Io,
  opened: { connection?: Connection; url: string },
): Promise<number> {
  const { before, name, after, rest } = split(argv);
  if (name === undefined || name === 'help') return help(after[0], before, io);
  const command = named(name);
  const { flags, operands } = parseFlags([...before, ...after], { ...TARGET_FLAGS, ...HELP, ...command.flags }, name);
  if (flags.isOn('help')) {
    await write(io.stdout, commandHelp(command));
    return EXIT.ok.code;
  }
  checkWords(command, operands, rest);
  const open = async (): Promise<Connection> => {
    const target = await findTarget(flags, io.environment);
    if (target.kind === 'gateway') opened.url = target.url;
    opened.connection = await connect(target, io);
    return opened.connection;
  };
  let connection: Promise<Connection> | undefined;
  return command.run({ io, flags, operands, rest, connect: () => (connection ??= open()) });
}

/** What a command does not take is refused rather than passed over. */
function checkWords({ name, operands: taken }: Command, operands: readonly string[], rest: readonly string[]): void {
  if (taken === '' && operands.length > 0)
    throw usageError(`${name} takes no names, and is given ${operands.join(' ')}`);
  if (!taken.includes('--') && rest.length > 0) throw usageError(`--: ${name} has no program to give arguments to`);
}

function named(name: string): Command {
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command) return command;
  throw usageError(`there is no command ${JSON.stringify(name)}; coderun --help lists them`);
}

async function help(topic: string | undefined, before: readonly string[], io: Io): Promise<number> {
  const { flags }: { flags: FlagValues } = parseFlags(before, { ...TARGET_FLAGS, ...HELP }, '');
  if (topic === 'exit-codes') await write(io.stdout, exitCodesHelp());
  else if (topic !== undefined) await write(io.stdout, commandHelp(named(topic)));
  else if (flags.isOn('help') || before.length === 0) await write(io.stdout, overview(COMMANDS));
  else throw usageError('no command is named; coderun --help lists them');
  return EXIT.ok.code;
}

interface Split {
  before: string[];
  name: string | undefined;
  after: string[];
  rest: string[];
}

/** The command is the first word that is neither a flag nor the value of one; what stands after `--` is the program's. */
function split(argv: readonly string[]): Split {
  const end = argv.indexOf('--');
  const words = end === -1 ? [...argv] : argv.slice(0, end);
  const rest = end === -1 ? [] : argv.slice(end + 1);
  let at = 0;
  while (words[at]?.startsWith('-')) at += takesValue(words[at] ?? '') ? 2 : 1;
  return { before: words.slice(0, at), name: words[at], after: words.slice(at + 1), rest };
}

const takesValue = (word: string): boolean =>
  Object.entries(TARGET_FLAGS).some(
    ([name, { value, short }]) => value !== undefined && (word === `--${name}` || word === `-${short}`),
  );
