/** `coderun repl`: an interactive session that keeps its variables, files and packages. */

import { join, resolve } from 'node:path';
import { type Coderun, type NewSession, ProblemError, type Session } from '../../client/index.ts';
import type { Command, Invocation } from '../command.ts';
import { CliError, usageError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { type Io, newName, note } from '../io.ts';
import { runShell } from '../repl/shell.ts';
import { shellHelp } from '../repl/words.ts';
import { runFields } from './input.ts';

const WAIT_SECONDS = 60;
const POLL_MILLISECONDS = 500;

export const repl: Command = {
  name: 'repl',
  operands: '[NAME]',
  summary: 'An interactive session: variables, files and packages stay',
  details: `
Without NAME, a session is made and ended again when you leave. NAME goes on with the session of that name, or makes it,
and leaves it there. Within:

${shellHelp()}`,
  flags: {
    class: { value: 'NAME', help: 'the SandboxClass' },
    memory: { value: 'AMOUNT', short: 'm', help: 'memory that programs may use: 512Mi' },
    cpu: { value: 'AMOUNT', help: 'processor time that they may use: 500m is half a core' },
    file: { value: 'PATH[:NAME]', short: 'f', multiple: true, help: 'a local file put into the working directory' },
    package: { value: 'NAME==VERSION', short: 'p', multiple: true, help: 'a Python package installed first' },
    env: { value: 'NAME[=VALUE]', short: 'e', multiple: true, help: 'an environment variable; without =VALUE, yours' },
    timeout: { value: 'TIME', short: 't', help: 'how long each input may run' },
    idle: { value: 'TIME', help: 'how long a session that nobody uses is kept' },
    images: { value: 'DIR', help: 'where figures are saved (coderun/images in XDG_STATE_HOME)' },
    keep: { help: 'leave a session without NAME there as well' },
  },
  examples: ['coderun repl', 'coderun repl analysis --file data.csv', 'coderun repl --package humanize==4.9.0'],
  async run(invocation) {
    const { io, flags, operands } = invocation;
    const [given, ...more] = operands;
    if (more.length > 0) throw usageError('NAME: name one session');
    const timeoutSeconds = flags.seconds('timeout', { min: 1, max: 3600 });
    const wanted = await newSession(invocation, given ?? newName(io, 'repl'));
    const { client } = await invocation.connect();
    const session = await ready(client, await openSession(client, wanted, given), io);
    const folder = flags.text('images');
    const { stateFolder } = io.environment;
    const imageFolder = folder === undefined ? join(stateFolder, 'images', wanted.name) : resolve(io.cwd, folder);
    await note(io, `session/${session.name} is ready; %help tells more`);
    try {
      const shell = { client, session: session.name, io, imageFolder };
      await runShell(shell, { historyFile: join(stateFolder, 'history'), timeoutSeconds });
    } finally {
      await leave(client, session.name, given !== undefined || flags.isOn('keep'), io);
    }
    return EXIT.ok.code;
  },
};

async function newSession({ flags, io }: Invocation, name: string): Promise<NewSession & { name: string }> {
  const { resources, className, files, env, packages } = await runFields(flags, io);
  const idleTimeoutSeconds = flags.seconds('idle', { min: 10, max: 86_400 });
  return {
    name,
    ...(resources && { resources }),
    ...(className !== undefined && { className }),
    ...(files && { files }),
    ...(env && { env }),
    ...(packages && { packages }),
    ...(idleTimeoutSeconds !== undefined && { idleTimeoutSeconds }),
  };
}

async function openSession(client: Coderun, wanted: NewSession, given: string | undefined): Promise<Session> {
  if (given === undefined) return client.sessions.create(wanted, { waitSeconds: WAIT_SECONDS });
  try {
    return await client.sessions.get(given);
  } catch (error) {
    if (!(error instanceof ProblemError && error.status === 404)) throw error;
    return client.sessions.create(wanted, { waitSeconds: WAIT_SECONDS });
  }
}

async function ready(client: Coderun, first: Session, io: Io): Promise<Session> {
  let session = first;
  const stop = new AbortController();
  using _interrupts = io.onInterrupt(() => stop.abort());
  while (session.state === 'starting') {
    await io.clock.sleep(POLL_MILLISECONDS, stop.signal).catch(() => {
      throw new CliError(EXIT.interrupted.code, `session/${session.name} was not waited for; coderun delete ends it`);
    });
    session = await client.sessions.get(session.name);
  }
  if (session.state === 'ready') return session;
  throw new CliError(EXIT.failure.code, `session/${session.name} has ended: ${session.reason}; choose another name`);
}

async function leave(client: Coderun, name: string, keep: boolean, io: Io): Promise<void> {
  if (keep)
    return note(io, `session/${name} is kept; coderun repl ${name} goes on, coderun delete session/${name} ends it`);
  await client.sessions.delete(name).catch(() => note(io, `session/${name} could not be ended; its idle timeout will`));
}
