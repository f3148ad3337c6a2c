/**
 * A language model writes a program for a task, a sandbox runs it, and errors go back to be mended:
 * `node examples/typescript/agent.ts`. The gateway needs a model: CODERUN_LLM_BASE_URL in docs/configuration.md.
 */

import { Coderun, ProblemError } from 'coderun/client';

const { CODERUN_URL: baseUrl = 'http://127.0.0.1:8080', CODERUN_API_KEY: apiKey } = process.env;
const coderun = new Coderun({ baseUrl, apiKey });

try {
  for await (const event of coderun.followAgent({ task: 'Print the 100th prime number.', maxRounds: 3 })) {
    if (event.event === 'code') console.log(event.generated_code);
    if (event.event === 'result') console.log(event.execution_result.stdout, event.execution_result.stderr);
  }
} catch (error) {
  if (!(error instanceof ProblemError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
