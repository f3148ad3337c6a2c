import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineSplitter } from '../../../src/sandbox/lines.ts';

const split = (bytes: Uint8Array, cuts: number[], limit?: number): string[] => {
  const splitter = new LineSplitter(limit);
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].flatMap((from, index) => splitter.push(bytes.subarray(from, at[index] ?? bytes.length)));
};

test('lines are the same however the bytes are cut', () => {
  const text = fc.array(fc.string({ unit: 'grapheme' }).map((line) => line.replaceAll('\n', ' ')));
  fc.assert(
    fc.property(text, fc.array(fc.nat()), (expected, cuts) => {
      const bytes = Buffer.from(expected.map((line) => `${line}\n`).join(''));
      expect(split(bytes, cuts)).toEqual(expected.map((line) => Buffer.from(line).toString()));
    }),
  );
});

test('a line that is too long is dropped whole, and the next one is whole', () => {
  const bytes = Buffer.from(`ok\n${'x'.repeat(100)}\nafter\n`);
  fc.assert(
    fc.property(fc.array(fc.nat()), (cuts) => {
      expect(split(bytes, cuts, 10)).toEqual(['ok', 'after']);
    }),
  );
});

test('an unfinished line that is too long is not held', () => {
  const splitter = new LineSplitter(1000);
  for (let i = 0; i < 1000; i++) splitter.push(Buffer.alloc(1000, 'x'));
  expect(splitter.push(Buffer.from('\nnext\n'))).toEqual(['next']);
  expect(splitter.heldBytes).toBe(0);
});

test('bytes that are no UTF-8 become replacement characters', () => {
  expect(split(Buffer.from([0xff, 0xfe, 0x0a]), [])).toEqual(['��']);
});
