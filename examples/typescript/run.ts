/** Runs a program and waits for its end: `node examples/typescript/run.ts`. */

import { Coderun } from 'coderun/client';

const { CODERUN_URL: baseUrl = 'http://127.0.0.1:8080', CODERUN_API_KEY: apiKey } = process.env;
const { runs } = new Coderun({ baseUrl, apiKey });

const { name } = await runs.create({
  code: 'import sys\nprint(sum(int(line) for line in open(sys.argv[1])))',
  args: ['numbers.txt'],
  files: [{ path: 'numbers.txt', content: '20\n22\n' }],
  timeoutSeconds: 10,
  resources: { memory: '256Mi' },
});
const run = await runs.wait(name);
console.log(`${run.reason}, exit code ${run.exitCode}: ${run.stdout}`);
