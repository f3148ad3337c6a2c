import { describe, expect, test } from 'vitest';
import {
  ApiKeyEntry,
  type ApiKeyFields,
  checkKey,
  newKey,
  parseKey,
  parseSecret,
  secretData,
} from '../../../../src/gateway/auth/keys.ts';

const NOW = new Date('2026-01-01T00:00:00Z');

/** Bytes that differ from call to call. */
function random() {
  let next = 1;
  return (count: number) => Uint8Array.from({ length: count }, () => next++ % 256);
}

const aKey = (fields: Partial<ApiKeyFields> = {}, bytes = random()) =>
  newKey(bytes, { namespace: 'tenant', ...fields });
const shown = (text: string) => parseKey(text) ?? { id: '', secret: '' };

describe('an API key', () => {
  test('is known again by its entry, which does not hold it', () => {
    const { secretText, entry } = aKey();
    expect(secretText).toMatch(/^crk_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$/);
    expect(checkKey(entry, shown(secretText), NOW)).toBe(entry);
    expect(JSON.stringify(entry)).not.toContain(shown(secretText).secret);
  });

  test('opens no other entry, not even one of the same secret and another salt', () => {
    const bytes = random();
    const one = aKey({}, bytes);
    const other = aKey({}, bytes);
    expect(checkKey(other.entry, shown(one.secretText), NOW)).toBeUndefined();
    const salted = { ...one.entry, salt: other.entry.salt };
    expect(checkKey(salted, shown(one.secretText), NOW)).toBeUndefined();
  });

  test('that nobody knows is checked all the same, and refused', () => {
    expect(checkKey(undefined, shown(aKey().secretText), NOW)).toBeUndefined();
    expect(checkKey(undefined, { id: 'x', secret: '' }, NOW)).toBeUndefined();
  });

  test('ends when it expires', () => {
    const { secretText, entry } = aKey({ expires: '2026-01-01T00:00:01Z' });
    const at = (time: string) => checkKey(entry, shown(secretText), new Date(time)) !== undefined;
    expect([at('2026-01-01T00:00:00.999Z'), at('2026-01-01T00:00:01Z')]).toEqual([true, false]);
  });

  test.each([
    ['no namespace', { namespace: '' }],
    ['an empty list of classes', { classes: [] }],
    ['no requests', { requestsPerMinute: 0 }],
    ['a day that is none', { expires: '2026-02-31' }],
    ['a field that there is not', { admin: true }],
  ])('can not be made with %s', (_what, fields) => {
    expect(() => aKey(fields as Partial<ApiKeyFields>)).toThrow();
  });

  test.each([
    '',
    'crk_',
    'crk_0123456789abcdef',
    'crk_0123456789abcdef_short',
    `crk_0123456789ABCDEF_${'a'.repeat(43)}`,
    `crk_0123456789abcdef_${'a'.repeat(44)}`,
    `crk_0123456789abcdef_${'a'.repeat(42)}\n`,
    `xcrk_0123456789abcdef_${'a'.repeat(43)}`,
  ])('is not %j', (text) => {
    expect(parseKey(text)).toBeUndefined();
  });
});

describe('the Secret of API keys', () => {
  const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64');

  test('gives back what was put in it', () => {
    const { entry } = aKey({ classes: ['default'], requestsPerMinute: 5, concurrentRuns: 2 });
    expect(parseSecret(secretData(entry))).toEqual({ entries: new Map([[entry.id, entry]]), invalid: [] });
    expect(ApiKeyEntry.parse(entry)).toEqual(entry);
  });

  test('lets nobody in by an entry that is wrong, and keeps the others', () => {
    const { entry } = aKey();
    const data = {
      ...secretData(entry),
      'not-json': 'eA==',
      'another-id': base64(entry),
      [`${'0'.repeat(16)}`]: base64({ ...entry, id: '0'.repeat(16), hash: '' }),
    };
    const { entries, invalid } = parseSecret(data);
    expect([[...entries.keys()], invalid.sort()]).toEqual([[entry.id], ['0'.repeat(16), 'another-id', 'not-json']]);
  });

  test('may be empty', () => {
    expect(parseSecret(undefined)).toEqual({ entries: new Map(), invalid: [] });
  });
});
