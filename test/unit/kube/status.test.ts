/** A refusal of the API server becomes an error that predicates understand and that is safe to log. */

import { expect, test } from 'vitest';
import {
  isAlreadyExists,
  isConflict,
  isExpired,
  isForbidden,
  isInvalid,
  isNotFound,
  isQuotaExceeded,
  isTooManyRequests,
  isTransient,
  type KubeError,
} from '../../../src/kube/error.ts';
import { errorOf, readRefusal, safeMessage } from '../../../src/kube/status.ts';

async function* chunksOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

const refused = (code: number, body: object | string, headers: Record<string, string> = {}): Promise<KubeError> =>
  readRefusal(code, headers, chunksOf(typeof body === 'string' ? body : JSON.stringify(body)));

const failure = (code: number, reason: string, message = ''): object => ({ status: 'Failure', code, reason, message });

test.each([
  ['an absent object', 404, 'NotFound', isNotFound],
  ['a name that is taken', 409, 'AlreadyExists', isAlreadyExists],
  ['a resourceVersion that is not current', 409, 'Conflict', isConflict],
  ['a list that is too old', 410, 'Gone', isExpired],
  ['a watch that is too old', 410, 'Expired', isExpired],
  ['an object against its schema', 422, 'Invalid', isInvalid],
  ['what RBAC does not allow', 403, 'Forbidden', isForbidden],
  ['too many requests', 429, 'TooManyRequests', isTooManyRequests],
  ['a server that is busy', 429, 'TooManyRequests', isTransient],
  ['a server that is broken', 500, 'InternalError', isTransient],
])('%s is told by its predicate', async (_name, code, reason, predicate) => {
  expect(predicate(await refused(code, failure(code, reason)))).toBe(true);
});

test('a quota that is used up is told from other refusals', async () => {
  const quota = failure(403, 'Forbidden', 'pods "a" is forbidden: exceeded quota: compute, requested: pods=1');
  expect(isQuotaExceeded(await refused(403, quota))).toBe(true);
  expect(isQuotaExceeded(await refused(403, failure(403, 'Forbidden', 'no')))).toBe(false);
});

test('an answer that is no Status object keeps its code and shows nothing of its body', async () => {
  const error = await refused(502, '<html>token=abc</html>');
  expect(error).toMatchObject({ code: 502, reason: '', message: 'the API server answered with code 502' });
});

test('an answer without end is read no further than an error needs', async () => {
  let sent = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (; sent < 1000; sent++) yield Buffer.alloc(64 * 1024);
  }
  await readRefusal(500, {}, endless());
  expect(sent).toBeLessThan(10);
});

test.each([
  ['the header', failure(429, ''), { 'retry-after': '3' }, 3000],
  ['the Status where there is no header', { ...failure(429, ''), details: { retryAfterSeconds: 2 } }, {}, 2000],
  ['neither', failure(429, ''), {}, undefined],
  ['a header that is a date', failure(429, ''), { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' }, undefined],
  ['a header that is negative', failure(429, ''), { 'retry-after': '-1' }, undefined],
])('the wait that the server asks for is read from %s', async (_name, body, headers, milliseconds) => {
  expect((await refused(429, body, headers)).retryAfterMilliseconds).toBe(milliseconds);
});

test('an ERROR event takes its code from its Status', () => {
  expect(errorOf({ code: 410, reason: 'Expired', message: 'too old' }, 500)).toMatchObject({
    code: 410,
    reason: 'Expired',
    message: 'too old',
  });
});

test.each([
  [
    'text',
    'spec.code: Invalid value: "SECRET: \\"SECRET\\", [": does not match',
    'spec.code: Invalid value: does not match',
  ],
  ['text without an end', 'spec.code: Invalid value: "SECRET', 'spec.code: Invalid value: '],
  ['an unknown word', 'Unsupported value: "SECRET": supported values: "a"', 'Unsupported value: supported values: "a"'],
  [
    'a number',
    '[n: Invalid value: 77: too large, m: Invalid value: -1]',
    '[n: Invalid value: too large, m: Invalid value: ]',
  ],
  ['a list', 'Duplicate value: ["SECRET"]: detail', 'Duplicate value: '],
  ['an object of JSON', 'spec: Invalid value: {"code":"SECRET"}: detail', 'spec: Invalid value: '],
  ['an object of Go', 'spec: Invalid value: core.PodSpec{Env: "SECRET"}: detail', 'spec: Invalid value: '],
  ['nothing', 'spec: Invalid value: spec is immutable', 'spec: Invalid value: spec is immutable'],
  [
    'a diff on later lines',
    'spec: Forbidden: may not change\n  core.PodSpec{ SECRET }',
    'spec: Forbidden: may not change',
  ],
])('a message that quotes %s is kept without it', (_name, message, safe) => {
  expect(safeMessage(message)).toBe(safe);
});

test('a message is bounded', () => {
  expect(safeMessage('x'.repeat(10_000))).toHaveLength(1024);
});
