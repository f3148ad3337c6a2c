import { expect, test } from 'vitest';
import { aWorld } from '../../support/gateway-world.ts';

test('a request is counted by its route, never by its URL', async () => {
  const world = aWorld();
  await world.get('/v1/runs/some-name');
  await world.get('/some/path/that/is/not/there');
  await world.post('/execute', '{}');
  await world.until(() => world.finished.length === 3);
  expect(world.finished).toEqual([
    { method: 'GET', route: '/v1/runs/:name', status: 404, seconds: expect.any(Number) },
    { method: 'GET', route: 'unmatched', status: 404, seconds: expect.any(Number) },
    { method: 'POST', route: '/execute', status: 400, seconds: expect.any(Number) },
  ]);
});
