import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonError, parseJson } from '../../../src/gateway/json.ts';

const parse = (text: string) => parseJson(Buffer.from(text));
const failure = (text: string): unknown => {
  try {
    return { value: parse(text) };
  } catch (error) {
    return error instanceof JsonError ? error.message : error;
  }
};

const keys = fc.string({ unit: 'grapheme' }).filter((key) => key !== '__proto__');
const json = fc.letrec<{ value: fc.JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.string({ unit: 'grapheme' }),
    fc.double({ noDefaultInfinity: true, noNaN: true }),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(keys, tie('value'), { maxKeys: 5 }),
  ),
})).value;

describe('parseJson', () => {
  test('reads whatever JSON.stringify writes, as JSON.parse does', () => {
    fc.assert(
      fc.property(json, fc.constantFrom(undefined, 1, '\t'), (value, space) => {
        const text = JSON.stringify(value, null, space);
        expect(parse(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  test('finds a key that stands twice, whatever lies before it and however it is escaped', () => {
    const escaped = (key: string) =>
      `"${Array.from(key, (c) => Array.from({ length: c.length }, (_, i) => `\\u${c.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')).join('')}"`;
    fc.assert(
      fc.property(keys, json, json, (key, first, between) => {
        const text = `{${JSON.stringify(key)}:${JSON.stringify(first)},"${key.length}-other":${JSON.stringify(between)},${escaped(key)}:1}`;
        expect(failure(text)).toBe('a key stands twice in one object');
      }),
    );
  });

  test('takes the same key in two objects', () => {
    expect(parse('[{"a":{"a":1}},{"a":1}]')).toEqual([{ a: { a: 1 } }, { a: 1 }]);
  });

  test('throws nothing but its own error, whatever the bytes', () => {
    const pieces = fc.array(fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '\\', 'a', '1', ' ', '\\ud800', '\0'));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          pieces.map((all) => Buffer.from(all.join(''))),
        ),
        (bytes) => {
          try {
            parseJson(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(JsonError);
          }
        },
      ),
    );
  });

  test.each([
    ['a string that looks like structure', '{"a":"{\\"a\\":1,[[["}', { value: { a: '{"a":1,[[[' } }],
    ['a string that ends in backslashes', '{"a":"\\\\","b":"\\\\\\""}', { value: { a: '\\', b: '\\"' } }],
    ['32 levels', `${'['.repeat(32)}${']'.repeat(32)}`, { value: JSON.parse(`${'['.repeat(32)}${']'.repeat(32)}`) }],
    ['33 levels', `${'['.repeat(33)}${']'.repeat(33)}`, 'it is nested deeper than 32 levels'],
    ['a text that is not JSON', '{"secret" 1}', 'it is not JSON at line 1 column 11'],
    ['half a pair in a key', '{"\\udc00":1}', 'a string holds half of a surrogate pair, which is no character'],
  ])('%s', (_name, text, expected) => {
    expect(failure(text)).toEqual(expected);
  });
});
