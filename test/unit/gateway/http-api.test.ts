import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { requestOf } from '../../support/curl.ts';
import { aWorld } from '../../support/gateway-world.ts';
import { httpApiPage } from '../../support/http-api.ts';
import { EXAMPLES } from '../../support/http-examples.ts';

const page = () => readFileSync(new URL('../../../docs/http-api.md', import.meta.url), 'utf8');

describe('docs/http-api.md', () => {
  test('is what `npm run generate` writes: each of its examples is sent and answered as it says', async () => {
    expect(page()).toBe(await httpApiPage());
  });

  test('has an example for every operation, and every command as it was sent', async () => {
    const document = (await aWorld().get('/openapi.json')).json() as {
      paths: Record<string, Record<string, { operationId: string }>>;
    };
    const operations = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    );
    const shown = new Set(EXAMPLES.map(({ operation }) => operation));
    expect(operations.filter((id) => !shown.has(id))).toEqual([]);
    const commands = [...page().matchAll(/```sh\n(.*?)\n```/gs)].map(([, command]) => command);
    expect(commands.sort()).toEqual(EXAMPLES.map(({ curl }) => curl).sort());
  });
});

test('a command of curl is read as a shell reads it', () => {
  expect(requestOf(`curl -sN "$CODERUN_URL/v1/runs?wait=1" \\\n  -H 'accept: a: b' -X PUT -d '{"a": "b c"}'`)).toEqual({
    url: '/v1/runs?wait=1',
    method: 'PUT',
    headers: { accept: 'a: b' },
    payload: '{"a": "b c"}',
  });
});
