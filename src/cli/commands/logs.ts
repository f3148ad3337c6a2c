/** `coderun logs`: what a program prints, while it runs or afterwards. */

import type { Command } from '../command.ts';
import { CliError, usageError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { writeProgram } from '../io.ts';
import { parseRefs } from '../refs.ts';

export const logs: Command = {
  name: 'logs',
  operands: 'NAME',
  summary: 'Shows what the program of a run printed',
  details: 'Its stdout comes out of stdout, its stderr out of stderr.',
  flags: {
    follow: { short: 'f', help: 'as it comes, until the run ends' },
    stream: { value: 'NAME', help: 'stdout or stderr only' },
  },
  examples: ['coderun logs run-abc --follow', 'coderun logs run-abc --stream stderr'],
  async run({ io, flags, operands, connect }) {
    const [ref, ...more] = parseRefs(operands, ['run']);
    if (!ref || more.length > 0) throw usageError('NAME: give one name; logs shows one run at a time');
    const only = flags.text('stream');
    if (only !== undefined && only !== 'stdout' && only !== 'stderr')
      throw usageError(`--stream: ${JSON.stringify(only)} is neither stdout nor stderr`);
    const { client } = await connect();
    const stop = new AbortController();
    using _interrupts = io.onInterrupt(() => stop.abort(new CliError(EXIT.interrupted.code, 'the run goes on')));
    const show = async (stream: 'stdout' | 'stderr'): Promise<void> => {
      const options = { follow: flags.isOn('follow'), stream, signal: stop.signal };
      for await (const text of client.runs.logs(ref.name, options)) await writeProgram(io[stream], text);
    };
    const streams: ('stdout' | 'stderr')[] = only === undefined ? ['stdout', 'stderr'] : [only];
    await Promise.all(streams.map(show));
    return 0;
  },
};
