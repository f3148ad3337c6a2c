/** The words of `--help`, made from what the commands declare. */

import type { Command } from './command.ts';
import { SETTINGS } from './environment.ts';
import { EXIT } from './exit-codes.ts';
import type { Flag, Flags } from './flags.ts';
import { TARGET_FLAGS } from './target.ts';

/** Two columns, the first as wide as its widest. */
function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join('');
}

const flagRow = ([name, { value, short, help, multiple }]: [string, Flag]): [string, string] => [
  `${short ? `-${short}, ` : ''}--${name}${value ? ` ${value}` : ''}${multiple ? ' …' : ''}`,
  help,
];

const flagList = (flags: Flags): string => columns(Object.entries(flags).map(flagRow));

export function commandHelp({ name, operands, summary, details, flags, examples }: Command): string {
  return [
    `usage: coderun ${name} [FLAG...] ${operands}`.trimEnd(),
    `\n\n${summary}\n`,
    details ? `\n${details.trim()}\n` : '',
    Object.keys(flags).length > 0 ? `\nFlags:\n${flagList(flags)}` : '',
    `\nWhere to:\n${flagList(TARGET_FLAGS)}`,
    `\nExamples:\n${examples.map((example) => `  ${example}\n`).join('')}`,
  ].join('');
}

export const overview = (commands: readonly Command[]): string =>
  [
    'usage: coderun COMMAND ...   (or kubectl coderun COMMAND ...)\n',
    '\nRuns untrusted code in sandboxes.\n',
    `\nCommands:\n${columns(commands.map(({ name, summary }) => [name, summary] as const))}`,
    '\ncoderun COMMAND --help tells more of a command, coderun help exit-codes what it ends with.\n',
    `\nWhere to:\n${flagList(TARGET_FLAGS)}`,
    `\nEnvironment:\n${columns(Object.entries(SETTINGS))}`,
    '\nThe file coderun/config.json in XDG_CONFIG_HOME may hold url, apiKey, kube, context and namespace.\n',
  ].join('');

export const exitCodesHelp = (): string =>
  [
    'coderun run ends with the exit code of the program, 128 + N where signal N ended it. Beside that:\n\n',
    columns(Object.values(EXIT).map(({ code, meaning }) => [String(code), meaning] as const)),
  ].join('');
