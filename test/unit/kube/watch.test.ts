/** The lines of a watch become events, however the bytes were cut. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isExpired } from '../../../src/kube/error.ts';
import { splitLines } from '../../../src/kube/lines.ts';
import { watchEvents } from '../../../src/kube/watch.ts';

async function* inChunks(bytes: Uint8Array, sizes: number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (let turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const taken: T[] = [];
  for await (const one of source) taken.push(one);
  return taken;
}

const sizes = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 10 });
const line = fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => text.replaceAll('\n', ''));

test('lines come whole wherever their bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(line), sizes, async (lines, cuts) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
      expect(await all(splitLines(inChunks(bytes, cuts), 1000))).toEqual(lines);
    }),
  );
});

test('a line over the limit is refused wherever its bytes are cut, and one at the limit is not', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 60 }), sizes, async (length, cuts) => {
      const lines = all(splitLines(inChunks(Buffer.from(`${'x'.repeat(length)}\n`), cuts), 30));
      if (length <= 30) expect(await lines).toHaveLength(1);
      else await expect(lines).rejects.toMatchObject({ reason: 'InvalidResponse' });
    }),
  );
});

test('a line without end is refused before more than the limit is held', async () => {
  let sent = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (; sent < 1000; sent++) yield Buffer.alloc(10);
  }
  await expect(all(splitLines(endless(), 100))).rejects.toThrow('longer than 100 bytes');
  expect(sent).toBeLessThan(12);
});

const eventsOf = (...lines: unknown[]) =>
  all(watchEvents(inChunks(Buffer.from(lines.map((one) => `${JSON.stringify(one)}\n`).join('')), [7])));

const pod = (resourceVersion: string) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', resourceVersion } });

test('events come in order, and a bookmark is no more than its version', async () => {
  const lines = [
    { type: 'ADDED', object: pod('1') },
    { type: 'MODIFIED', object: pod('2') },
    { type: 'BOOKMARK', object: { kind: 'Pod', metadata: { resourceVersion: '3', annotations: {} } } },
    { type: 'DELETED', object: pod('4') },
  ];
  expect(await eventsOf(...lines)).toEqual([lines[0], lines[1], { type: 'BOOKMARK', resourceVersion: '3' }, lines[3]]);
});

test('an ERROR event of an old version is told as expired', async () => {
  const object = { kind: 'Status', status: 'Failure', code: 410, reason: 'Expired', message: 'too old' };
  const error: unknown = await eventsOf({ type: 'ADDED', object: pod('1') }, { type: 'ERROR', object }).catch((e) => e);
  expect(isExpired(error)).toBe(true);
});

test.each([
  ['a type that is not known', '{"type":"RENAMED","object":{}}\n'],
  ['no object', '{"type":"ADDED"}\n'],
  ['an object that is null', '{"type":"ADDED","object":null}\n'],
  ['a bookmark without a version', '{"type":"BOOKMARK","object":{}}\n'],
  ['something else than an object of JSON', '[1]\n'],
  ['null', 'null\n'],
  ['something else than JSON', 'SECRET\n'],
  ['half a line', '{"type":"ADDED",'],
])('a line with %s ends the watch, and the error does not repeat it', async (_name, text) => {
  const error = await all(watchEvents(inChunks(Buffer.from(text), [3]))).catch((e) => e);
  expect(error).toMatchObject({ name: 'KubeError', code: 0, reason: 'InvalidResponse' });
  expect(error.message).not.toContain('SECRET');
});
