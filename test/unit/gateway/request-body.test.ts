/** A body is taken piece by piece, up to its limit, and what is not wanted of it is let pass. */

import { once } from 'node:events';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { GATEWAY_LIMITS } from '../../../src/gateway/deps.ts';
import { Problem } from '../../../src/gateway/problem.ts';
import { readBody } from '../../../src/gateway/request-body.ts';
import { FakeClock } from '../../support/clock.ts';

function reading(body: Readable | undefined, limit = 10) {
  const clock = new FakeClock();
  const hold = new AbortController();
  const config = { sandboxContainer: '', internetClassName: '', packagesClassName: '', allowedOrigins: [] };
  const deps = { clock, config: { ...config, limits: GATEWAY_LIMITS } };
  const tooLarge = () => new Problem('FileTooLarge', 'too large');
  return { clock, hold, pieces: readBody(body, { deps, hold, limit, tooLarge }) };
}

const all = async (pieces: AsyncIterable<Uint8Array>): Promise<string> => {
  const taken: Uint8Array[] = [];
  for await (const piece of pieces) taken.push(piece);
  return Buffer.concat(taken).toString();
};
const bodyOf = (...parts: string[]) => Readable.from(parts.map((part) => Buffer.from(part)));

test('comes whole where it is as long as it may be', async () => {
  const { pieces, clock } = reading(bodyOf('hello', 'world'));
  expect([await all(pieces), clock.pending]).toEqual(['helloworld', 0]);
});

test('is nothing where there is none', async () => {
  expect(await all(reading(undefined).pieces)).toBe('');
});

test('is refused where it is longer, and the rest of it is let pass', async () => {
  const body = bodyOf('hello', 'world', '!', 'and', 'more');
  await expect(all(reading(body).pieces)).rejects.toMatchObject({ code: 'FileTooLarge' });
  await once(body, 'end');
  expect(body.errored).toBe(null);
});

test('is given up where nothing comes for as long as a client may stand still', async () => {
  const { pieces, clock } = reading(new Readable({ read: () => undefined }));
  const taken = expect(all(pieces)).rejects.toMatchObject({ code: 'RequestTimeout' });
  await clock.advance(GATEWAY_LIMITS.stalledReaderTimeout);
  await taken;
});

test('is given up when its request is', async () => {
  const { pieces, hold } = reading(new Readable({ read: () => undefined }));
  const taken = expect(all(pieces)).rejects.toMatchObject({ code: 'ShuttingDown' });
  hold.abort(new Problem('ShuttingDown', ''));
  await taken;
});
