import { expect, test } from 'vitest';
import { packagesFor } from '../../cluster/packages.ts';

test.each([
  [['dockerd', 'docker'], ['docker.io']],
  [['gcc'], ['gcc', 'libc6-dev']],
  [
    ['ip', 'socat'],
    ['iproute2', 'socat'],
  ],
])('for %j the packages are %j', (programs, packages) => {
  expect(packagesFor(programs)).toEqual(packages);
});
