import { expect, test } from 'vitest';
import { parse } from '../../cluster/cli.ts';
import { ClusterError } from '../../cluster/errors.ts';

test.each([
  [['cluster'], { command: 'help' }],
  [['cluster', 'up'], { command: 'up', nodes: undefined }],
  [['cluster', 'up', '--nodes', '2'], { command: 'up', nodes: 2 }],
  [['cluster', 'load', 'a:1', 'b.tar'], { command: 'load', operands: ['a:1', 'b.tar'] }],
  [['cluster', 'logs', 'gateway', '-f'], { command: 'logs', operands: ['gateway'], follow: true }],
  [['quickstart'], { command: 'quickstart', contextName: undefined }],
  [['quickstart', '--context', 'mine'], { command: 'quickstart', contextName: 'mine' }],
])('%j is understood', (argv, meant) => {
  expect(parse(argv)).toMatchObject(meant);
});

test.each([
  [['cluster', 'up', '--nodes', '0']],
  [['cluster', 'up', '--nodes', 'two']],
  [['cluster', 'up', '--nodes', '1.5']],
  [['cluster', 'up', '--odd']],
  [['quickstart', '--context']],
])('%j is refused with what to do', (argv) => {
  expect(() => parse(argv)).toThrow(ClusterError);
});
