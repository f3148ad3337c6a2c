import { expect, test } from 'vitest';
import { anonymousOnly } from '../../../src/gateway/plugins/identify.ts';
import { aWorld, problemOf } from '../../support/gateway-world.ts';

test('anonymous callers work in the namespace that is set for them', async () => {
  const world = aWorld({ identify: anonymousOnly('elsewhere') });
  const answer = await world.post('/v1/runs', { code: '1' });
  expect(answer.json().namespace).toBe('elsewhere');
});

test('without such a namespace everybody is turned away, on known and unknown paths alike', async () => {
  const world = aWorld({ identify: anonymousOnly(undefined) });
  const answers = [
    await world.post('/execute', { code: '1' }),
    await world.get('/v1/runs'),
    await world.get('/nothing'),
  ];
  expect(answers.map((answer) => problemOf(answer).code)).toEqual(Array(3).fill('Unauthenticated'));
  expect([answers[0]?.headers['www-authenticate'], world.allRuns()]).toEqual(['Bearer realm="coderun"', []]);
});

test('the API description is for everybody', async () => {
  expect((await aWorld({ identify: anonymousOnly(undefined) }).get('/openapi.json')).statusCode).toBe(200);
});
