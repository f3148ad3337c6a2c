/** Entry: arguments, signals, exit code. */

import { runCli } from './cli.ts';
import { createContext } from './context.ts';
import { explain } from './errors.ts';

const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort());

try {
  const context = createContext({ signal: interrupted.signal });
  const { text, exitCode } = await runCli(context, process.argv.slice(2));
  process.stdout.write(text);
  process.exitCode = exitCode;
} catch (error) {
  const again = 'Interrupted. What was finished is kept: run the same command again to go on.';
  process.stderr.write(`\n${interrupted.signal.aborted ? again : explain(error)}\n`);
  process.exitCode = interrupted.signal.aborted ? 130 : 1;
}
