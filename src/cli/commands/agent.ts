/** `coderun agent`: a language model writes Python for a task, and a sandbox runs it. */

import type { AgentAnswer, AgentEvent, AgentTask } from '../../client/index.ts';
import type { Command } from '../command.ts';
import { CliError, usageError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { type Io, note, writeJson, writeProgram } from '../io.ts';
import { asText, readStdin } from './input.ts';

export const agent: Command = {
  name: 'agent',
  operands: 'TASK | -',
  summary: 'Has a language model write Python for a task, and runs it',
  details: `
What the model writes is shown on stderr, what the program prints comes out of stdout. With --max-rounds, errors are
given back to the model, which mends its program. It ends with the exit code of the last program.`,
  flags: {
    'max-rounds': { value: 'N', help: 'how often the model may try, 1 to 10 (1)' },
    model: { value: 'NAME', help: 'the model; else the one of the gateway' },
    session: { value: 'NAME', help: 'run in this session, whose variables and files the program finds' },
    timeout: { value: 'TIME', short: 't', help: 'how long each program may run (60s)' },
    json: { help: 'answer everything as JSON' },
  },
  examples: [
    "coderun agent 'What is the 100th prime number?'",
    "coderun agent 'Plot the sine and save it as sine.png' --max-rounds 3 --session s1",
  ],
  async run({ io, flags, operands, connect }) {
    const [given, ...more] = operands;
    if (given === undefined || more.length > 0) throw usageError('TASK: say the task in one argument, in quotes');
    const maxRounds = flags.integer('max-rounds', { min: 1, max: 10 });
    const timeoutSeconds = flags.seconds('timeout', { min: 1, max: 3600 });
    const [model, sessionName] = [flags.text('model'), flags.text('session')];
    const task: AgentTask = {
      task: given === '-' ? asText(await readStdin(io), 'stdin') : given,
      ...(maxRounds !== undefined && { maxRounds }),
      ...(timeoutSeconds !== undefined && { timeoutSeconds }),
      ...(model !== undefined && { model }),
      ...(sessionName !== undefined && { sessionName }),
    };
    const { client } = await connect();
    const stop = new AbortController();
    using _interrupts = io.onInterrupt(() => stop.abort(new CliError(EXIT.interrupted.code, 'the task was given up')));
    let answer: AgentAnswer | undefined;
    for await (const event of client.followAgent(task, { signal: stop.signal })) {
      if (event.event === 'finished') answer = event.answer;
      if (!flags.isOn('json')) await show(event, io);
    }
    if (!answer) throw new CliError(EXIT.unavailable.code, 'the gateway ended its answer before the end');
    if (flags.isOn('json')) await writeJson(io, answer);
    return exitCode(answer);
  },
};

async function show(event: AgentEvent, io: Io): Promise<void> {
  switch (event.event) {
    case 'round':
      return note(io, event.round === 1 ? 'asking the model …' : `round ${event.round}: the model mends its program …`);
    case 'code':
      await note(io, 'the model wrote:');
      return writeProgram(io.stderr, `${event.generated_code.trimEnd()}\n`);
    case 'result': {
      const { stdout, stderr, reason, success } = event.execution_result;
      await writeProgram(io.stdout, stdout);
      await writeProgram(io.stderr, stderr);
      return success ? undefined : note(io, reason);
    }
    default:
      return undefined;
  }
}

function exitCode({ execution_result: result }: AgentAnswer): number {
  if (result?.success) return EXIT.ok.code;
  const code = result?.returncode ?? 0;
  return code > 0 && code < 256 ? code : EXIT.failure.code;
}
