/** Which test is about which kind of hostile request, so that none of the catalogue is left out. */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const UNIT = 'test/unit/gateway';
const SOCKETS = 'test/integration/gateway/sockets.test.ts';
const ROWS = `${UNIT}/hostile-requests.test.ts`;
const SESSION_ROWS = `${UNIT}/hostile-sessions.test.ts`;
const BEARER = `${UNIT}/auth/bearer.test.ts`;

/** A kind of request, a file of tests, and words in the title of one that is about it. */
const CATALOGUE: [kind: string, file: string, title: string][] = [
  ['a body over the limit, and exactly at it', ROWS, "'a body of exactly the limit'"],
  ['headers and bodies that come slowly', SOCKETS, 'is answered 408 where its %s come too slowly'],
  ['chunks without end', SOCKETS, "'chunks',"],
  ['two lengths', SOCKETS, "'says two lengths'"],
  ['a wrong content type', ROWS, "'5 another charset, quoted'"],
  ['what is not JSON, or JSON of two readings', ROWS, "'6 the same key twice, once escaped'"],
  ['a key that changes prototypes', ROWS, "'7 __proto__, escaped'"],
  ['an unknown field', ROWS, "'8 an unknown field, deeper'"],
  ['a value of another type', ROWS, "'9 2^53+1'"],
  ['a value out of its range', ROWS, "'10 mixed units'"],
  ['code of every size', ROWS, "'11 code one byte over the maximum'"],
  ['a forbidden variable', ROWS, '12 a variable called'],
  ['a path that climbs', ROWS, "'13 an artifact, encoded twice'"],
  ["somebody else's object", BEARER, 'a run of another key'],
  ['labels and annotations', ROWS, "'15 labels'"],
  ['an image', ROWS, "'16 an image'"],
  ['fields of a pod', ROWS, "'17 a runtime class'"],
  ['lines for the log and for headers', ROWS, 'one with a line break is not'],
  ['credentials of every wrong kind', BEARER, 'wrong credentials'],
  ['more than can be held, and clients that leave', SOCKETS, 'a client that leaves'],
  [
    'an Idempotency-Key for another body, and for many at once',
    `${UNIT}/idempotency.test.ts`,
    'is refused where its body is another',
  ],
  ['batches of every size', `${UNIT}/batches.test.ts`, 'refuses more than an object may hold'],
  ['streams that nobody reads', SOCKETS, 'events that nobody reads are not read either'],
  ['pipelining and other methods', SOCKETS, 'requests that are sent before the answer to the first'],
  ['a host and a sender that it claims', ROWS, 'without the host that a request claims'],
  ['a web page', ROWS, "'26 a web page in a frame'"],
  ['tricks with the path', ROWS, "'27 a semicolon'"],
  [
    'an API server that fails',
    `${UNIT}/execute.test.ts`,
    'does not say that a failed look at the cluster may be repeated',
  ],
  ['an address to call back', ROWS, "'29 an address to call back'"],
  ['a file over the limit, by its own word', SESSION_ROWS, "'1 a file that says it is over the limit'"],
  ['a file that does not come', `${UNIT}/session-files.test.ts`, 'whose body stops coming is given up'],
  ['a file that nobody reads', `${UNIT}/session-files.test.ts`, 'is read no faster than its client takes it'],
  ['events of a session that nobody reads', SESSION_ROWS, 'whose events nobody reads is given up'],
  ['a path in a session that climbs', SESSION_ROWS, 'goes to the sandbox, which judges it'],
  ["somebody else's session", `${UNIT}/session-callers.test.ts`, "somebody else's session"],
];

test.each(CATALOGUE)('there is a test about %s', (_kind, file, title) => {
  expect(readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8')).toContain(title);
});
