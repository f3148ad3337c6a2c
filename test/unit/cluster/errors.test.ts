import { expect, test } from 'vitest';
import { ClusterError, CommandError, explain } from '../../cluster/errors.ts';

test('a failure tells what failed, what was printed last, where the log is and what to do', () => {
  const cause = new CommandError('go build x', 'ended with exit code 1', ['x.go:1: no'], '/logs/x.log');
  expect(explain(new ClusterError('Build x did not succeed', 'Run it again.', cause)).split('\n')).toEqual([
    'FAILED: Build x did not succeed',
    '  because `go build x` ended with exit code 1',
    '',
    'The last lines that it printed:',
    '  | x.go:1: no',
    '',
    'The whole log: /logs/x.log',
    '',
    'What to do: Run it again.',
  ]);
});

test.each([
  ['an error of no kind of ours', new Error('odd'), 'FAILED: odd'],
  ['something that is no error', 'odd', 'FAILED: odd'],
])('%s is told by its message', (_name, error, story) => {
  expect(explain(error)).toBe(story);
});
