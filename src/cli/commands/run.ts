/** `coderun run`: code in, output out, and the exit code is the program's own. */

import type { Coderun, NewRun, Run } from '../../client/index.ts';
import { isEnded } from '../../client/index.ts';
import type { Command, Invocation } from '../command.ts';
import { CliError } from '../errors.ts';
import { EXIT, exitCodeOf } from '../exit-codes.ts';
import { type Io, newName, note, write, writeJson, writeProgram } from '../io.ts';
import { asText, language, RUN_FLAGS, readCode, readStdin, runFields } from './input.ts';
import { report } from './report.ts';

export const run: Command = {
  name: 'run',
  operands: 'FILE | - | -c CODE [-- ARGUMENT...]',
  summary: 'Runs a program in a sandbox of its own, and ends as it ends',
  details: `
FILE is a program on this machine, - reads it from stdin. What stands after -- are its arguments.
With -c, the value of the last expression is shown as well. Ctrl-C cancels the run; pressed again, it leaves at once.`,
  flags: {
    code: { value: 'CODE', short: 'c', help: 'the program itself' },
    ...RUN_FLAGS,
    stdin: { help: 'give stdin of this command to the program' },
    session: { value: 'NAME', help: 'run in this session instead of a sandbox of its own' },
    watch: { short: 'w', help: 'show the output as it comes' },
    output: { value: 'DIR', short: 'o', help: 'where artifacts are saved (.)' },
    images: { value: 'DIR', help: 'save figures here' },
    json: { help: 'answer the run as JSON' },
    name: { value: 'NAME', help: 'name of the run; else one is made' },
    detach: { short: 'd', help: 'print the name and leave; coderun get and logs tell the rest' },
  },
  examples: [
    "coderun run -c '6 * 7'",
    'coderun run solve.py --timeout 10s --memory 256Mi --file data.csv -- data.csv',
    "coderun run plot.py --artifact '*.png' --output out",
    'kubectl coderun run job.sh --watch -n team-a',
  ],
  async run(invocation) {
    const { io, flags } = invocation;
    flags.exclusive('watch', 'json');
    flags.exclusive('watch', 'detach');
    const body = await newRun(invocation);
    const { client } = await invocation.connect();
    if (flags.isOn('detach')) return detach(client, body, io, flags.isOn('json'));
    const stop = new AbortController();
    using _interrupts = io.onInterrupt(cancelOnce(client, body.name, io, stop));
    const streamed = flags.isOn('watch');
    const ended = streamed ? await watched(client, body, io, stop.signal) : await awaited(client, body, stop.signal);
    if (flags.isOn('json')) await writeJson(io, ended);
    else await report(client, ended, io, { streamed, flags, signal: stop.signal });
    return exitCodeOf(ended);
  },
};

async function newRun({ io, flags, operands, rest }: Invocation): Promise<NewRun & { name: string }> {
  const code = await readCode({ flags, operands, io });
  const sessionName = flags.text('session');
  return {
    name: flags.text('name') ?? newName(io, 'run'),
    code,
    language: language(flags, operands[0]),
    ...(await runFields(flags, io)),
    ...(rest.length > 0 && { args: rest }),
    ...(flags.isOn('stdin') && { stdin: asText(await readStdin(io), 'stdin') }),
    ...(sessionName !== undefined && { sessionRef: { name: sessionName } }),
  };
}

async function detach(client: Coderun, body: NewRun, io: Io, json: boolean): Promise<number> {
  const created = await client.runs.create(body);
  await (json ? writeJson(io, created) : write(io.stdout, `${created.name}\n`));
  return 0;
}

/** The first Ctrl-C asks for the end of the run, whose result still comes; the second leaves. */
function cancelOnce(client: Coderun, name: string, io: Io, stop: AbortController): () => void {
  let asked = false;
  return () => {
    if (asked) return stop.abort(new CliError(EXIT.interrupted.code, `${name} is left behind, and is being cancelled`));
    asked = true;
    void note(io, `cancelling ${name}; press Ctrl-C again to leave at once`);
    client.runs.cancel(name).catch((error: Error) => note(io, `${name} could not be cancelled: ${error.message}`));
  };
}

const WAIT_SECONDS = 60;

async function awaited(client: Coderun, body: NewRun & { name: string }, signal: AbortSignal): Promise<Run> {
  const created = await client.runs.create(body, { waitSeconds: WAIT_SECONDS, signal });
  return isEnded(created) ? created : client.runs.wait(body.name, { signal });
}

async function watched(client: Coderun, body: NewRun & { name: string }, io: Io, signal: AbortSignal): Promise<Run> {
  await client.runs.create(body, { signal });
  const show = async (stream: 'stdout' | 'stderr'): Promise<void> => {
    for await (const text of client.runs.logs(body.name, { follow: true, stream, signal }))
      await writeProgram(io[stream], text);
  };
  const [ended] = await Promise.all([client.runs.wait(body.name, { signal }), show('stdout'), show('stderr')]);
  return ended;
}
