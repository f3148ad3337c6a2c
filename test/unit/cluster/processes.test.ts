import { expect, test } from 'vitest';
import { identify, isAlive, startTimeOf } from '../../cluster/processes.ts';

test.each(['dockerd', 'a b', 'odd) S 1 (name'])(
  'the start time is found whatever the process is called: %s',
  (name) => {
    const fields = ['S', ...Array.from({ length: 30 }, (_, index) => String(index + 4))];
    fields[19] = '4711';
    expect(startTimeOf(`12 (${name}) ${fields.join(' ')}`)).toBe('4711');
  },
);

test('a process is alive as itself, and not as an earlier one that had its id', () => {
  const self = identify(process.pid);
  expect(self).toBeDefined();
  if (self === undefined) return;
  expect(isAlive(self)).toBe(true);
  expect(isAlive({ ...self, startTime: '1' })).toBe(false);
});
