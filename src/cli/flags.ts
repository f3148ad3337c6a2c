/** Flags: how a command declares them, how they are read, and every complaint about them. */

import { parseArgs } from 'node:util';
import { usageError } from './errors.ts';

export interface Flag {
  /** What its value is called in the help; a flag without one is on or off. */
  value?: string;
  short?: string;
  /** May be given several times. */
  multiple?: true;
  help: string;
}

export type Flags = Readonly<Record<string, Flag>>;

type Value = string | boolean | (string | boolean)[] | undefined;

export class FlagValues {
  readonly #values: Readonly<Record<string, Value>>;

  constructor(values: Readonly<Record<string, Value>>) {
    this.#values = values;
  }

  isOn(name: string): boolean {
    return this.#values[name] === true;
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    if (value === '') throw usageError(`--${name}: the value is empty; give one, or leave the flag out`);
    return typeof value === 'string' ? value : undefined;
  }

  texts(name: string): string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value.map(String) : [];
  }

  integer(name: string, { min, max }: { min: number; max: number }): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const number = Number(text);
    if (/^[0-9]{1,9}$/.test(text) && number >= min && number <= max) return number;
    throw usageError(`--${name}: ${JSON.stringify(text)} is not a whole number from ${min} to ${max}`);
  }

  /** `90`, `90s`, `2m` or `1h`, as seconds. */
  seconds(name: string, { min, max }: { min: number; max: number }): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const [, amount, unit = 's'] = /^([0-9]{1,6})(s|m|h)?$/.exec(text) ?? [];
    const seconds = Number(amount) * { s: 1, m: 60, h: 3600 }[unit as 's' | 'm' | 'h'];
    if (seconds >= min && seconds <= max) return seconds;
    throw usageError(`--${name}: ${JSON.stringify(text)} is not a time from ${min}s to ${max}s, such as 30s or 2m`);
  }

  /** Refuses two flags that contradict each other. */
  exclusive(...names: string[]): void {
    const given = names.filter((name) => this.#values[name] !== undefined && this.#values[name] !== false);
    if (given.length > 1) throw usageError(`${given.map((name) => `--${name}`).join(' and ')} can't be given together`);
  }
}

export interface ParsedFlags {
  flags: FlagValues;
  operands: string[];
}

/** `args` by `flags`. Throws a `CliError` that names the flag; `command` is where there is help. */
export function parseFlags(args: readonly string[], flags: Flags, command: string): ParsedFlags {
  const options = Object.entries(flags).map(([name, { value, short, multiple }]) => [
    name,
    { type: value ? 'string' : 'boolean', ...(short && { short }), ...(multiple && { multiple }) } as const,
  ]);
  try {
    const parsed = parseArgs({ args: [...args], options: Object.fromEntries(options), allowPositionals: true });
    return { flags: new FlagValues(parsed.values), operands: parsed.positionals };
  } catch (error) {
    throw usageError(complaint(error, command));
  }
}

/** Node's own words begin with the flag in quotes, and go on with advice that is not ours. */
function complaint(error: unknown, command: string): string {
  const text = error instanceof Error ? error.message : String(error);
  const flag = /'(?:-\w, )?(--?[^'\s=]+)/.exec(text)?.[1] ?? '';
  const help = `coderun ${command} --help lists the flags`.replace('  ', ' ');
  if (text.startsWith('Unknown option')) return `${flag}: there is no such flag; ${help}`;
  if (text.includes('does not take an argument')) return `${flag}: takes no value; ${help}`;
  if (text.includes('argument missing')) return `${flag}: needs a value; ${help}`;
  if (text.includes('argument is ambiguous')) return `${flag}: a value that begins with "-" is written ${flag}=VALUE`;
  return `${text.split('\n')[0]}; ${help}`;
}
