/** Which failures are worth another try, and when. */

import { expect, test } from 'vitest';
import { KubeError } from '../../../src/kube/error.ts';
import { retryDelay } from '../../../src/kube/retry.ts';

const error = (code: number, reason = '', retryAfterMilliseconds?: number): KubeError =>
  new KubeError(code, reason, '', retryAfterMilliseconds === undefined ? {} : { retryAfterMilliseconds });

test.each<[string, KubeError, boolean, boolean]>([
  ['too many requests', error(429), true, false],
  ['too many requests, with a Retry-After', error(429, '', 1000), true, true],
  ['a server that is broken', error(500), true, false],
  ['a server that is away', error(503, '', 1000), true, false],
  ['a server that does not answer in time', error(504), true, false],
  ['no connection', error(0, 'Unreachable'), true, false],
  ['our own timeout', error(0, 'Timeout'), false, false],
  ['an answer that can not be read', error(0, 'InvalidResponse'), false, false],
  ['an absent object', error(404), false, false],
  ['a conflict', error(409), false, false],
  ['an invalid object', error(422), false, false],
  ['a Retry-After beyond all patience', error(429, '', 60_000), false, false],
])('%s is retried only where that is safe', (_name, failed, idempotent, otherwise) => {
  expect(retryDelay(failed, true, 1, () => 0) !== undefined).toBe(idempotent);
  expect(retryDelay(failed, false, 1, () => 0) !== undefined).toBe(otherwise);
});

test('the wait grows, is spread, and never falls below what the server asks for', () => {
  const waits = [1, 2, 3].map((failures) => retryDelay(error(503), true, failures, () => 0));
  expect(waits).toEqual([100, 200, 400]);
  expect(retryDelay(error(503), true, 1, () => 0.999)).toBeCloseTo(150, 0);
  expect(retryDelay(error(503, '', 1000), true, 1, () => 0)).toBe(1000);
});

test('after three repetitions there is none', () => {
  expect(retryDelay(error(503), true, 4, () => 0)).toBeUndefined();
});
