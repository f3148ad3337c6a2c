/** The shell's own commands, which begin with a percent sign. */

import { writeFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { note, write, writeProgram } from '../io.ts';
import { printableLine } from '../printable.ts';
import { bytes, table } from '../table.ts';
import type { ShellContext } from './execution.ts';
import { readLocal } from './local.ts';

interface Word {
  usage: string;
  help: string;
  run(shell: ShellContext, operands: string[]): Promise<void>;
}

export const WORDS: Readonly<Record<string, Word>> = {
  '%help': { usage: '%help', help: 'these words', run: ({ io }) => write(io.stdout, shellHelp()) },
  '%vars': {
    usage: '%vars',
    help: 'variables with their types and sizes',
    async run({ client, session, io }) {
      const variables = await client.sessions.variables(session);
      const rows = variables.map(({ name, type, size, repr }) => [name, type, size, repr]);
      await write(io.stdout, table(['NAME', 'TYPE', 'SIZE', 'VALUE'], rows));
    },
  },
  '%install': {
    usage: '%install NAME==VERSION ...',
    help: 'install Python packages',
    async run({ client, session, io }, operands) {
      if (operands.length === 0) return note(io, '%install: name the packages, such as humanize==4.9.0');
      await note(io, `installing ${operands.join(' ')} …`);
      for await (const told of client.sessions.followInstall(session, operands)) {
        if (told.event !== 'finished') await writeProgram(io.stderr, told.text);
        else for (const { name, version, message } of told.packages) await note(io, outcome(name, version, message));
      }
    },
  },
  '%restart': {
    usage: '%restart',
    help: 'a fresh interpreter; files are kept',
    async run({ client, session, io }) {
      await client.sessions.restart(session);
      await note(io, 'the interpreter is a fresh one: variables are gone, files are kept');
    },
  },
  '%files': {
    usage: '%files [FOLDER]',
    help: 'files of the working directory',
    async run({ client, session, io }, [path]) {
      const rows = (await client.sessions.files(session, path)).map((file) => [
        file.name,
        file.kind,
        bytes(file.bytes),
      ]);
      await write(io.stdout, table(['NAME', 'KIND', 'SIZE'], rows));
    },
  },
  '%put': {
    usage: '%put FILE [NAME]',
    help: 'bring a file of this machine into the session',
    async run({ client, session, io }, [local, name]) {
      if (local === undefined) return note(io, '%put: name a file of this machine');
      const content = await readLocal(resolve(io.cwd, local));
      const path = name ?? basename(local);
      await client.sessions.writeFile(session, path, content);
      await note(io, `${path} is there (${bytes(content.length)})`);
    },
  },
  '%get': {
    usage: '%get NAME FILE',
    help: 'bring a file of the session to this machine',
    async run({ client, session, io }, [path, local]) {
      if (path === undefined || local === undefined) return note(io, '%get: name the file, and where to put it');
      // Never over a file that is there: what comes is the program's to choose.
      await writeFile(resolve(io.cwd, local), await client.sessions.readFile(session, path), { flag: 'wx' });
      await note(io, `saved ${resolve(io.cwd, local)}`);
    },
  },
};

const outcome = (name: string, version: string | null, message: string): string =>
  printableLine(version === null ? `${name}: ${message}` : `${name} ${version} is installed`, 1000);

export function shellHelp(): string {
  const rows = Object.values(WORDS).map(({ usage, help }) => `  ${usage.padEnd(27)}${help}\n`);
  const others = [
    ['!COMMAND', 'run bash in the working directory'],
    ['Ctrl-C', 'interrupt the program; at the prompt, drop what is typed'],
    ['Ctrl-D', 'leave'],
  ].map(([usage = '', help]) => `  ${usage.padEnd(27)}${help}\n`);
  return [...rows, ...others].join('');
}
