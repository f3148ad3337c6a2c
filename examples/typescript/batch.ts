/** Runs many programs, so many at a time, and shows how each ended as soon as it has: `node examples/typescript/batch.ts`. */

import { Coderun } from 'coderun/client';

const { CODERUN_URL: baseUrl = 'http://127.0.0.1:8080', CODERUN_API_KEY: apiKey } = process.env;
const { batches } = new Coderun({ baseUrl, apiKey });

const { name } = await batches.create({
  parallelism: 2,
  template: { timeoutSeconds: 10 },
  items: [
    { name: 'right', code: 'print(6 * 7)' },
    { name: 'wrong', code: 'print(6 / 0)' },
    { name: 'bounded', code: 'while True: pass', timeoutSeconds: 1 },
  ],
});
for await (const { item, reason, stdout = '' } of batches.results(name)) console.log(item, reason, stdout.trim());
