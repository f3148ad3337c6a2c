import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LINE_LIMIT_BYTES, parseEvent } from '../../../src/sandbox/protocol.ts';
import { anExit, RUN_UID } from '../../support/builders.ts';

describe('what comes out of a sandbox', () => {
  test.each([
    ['output', { id: RUN_UID, stdout: 'x' }],
    ['a start', { id: RUN_UID, started: {} }],
    ['a result', { id: RUN_UID, result: { mime: { 'text/plain': '1' } } }],
    ['an artifact', { id: RUN_UID, artifact: { path: 'a', bytes: 1, offset: 0, contentBase64: 'YQ==' } }],
    ['an exit', anExit()],
    ['a refusal', { refused: { reason: 'Busy', message: '', id: null } }],
  ])('%s is an event', (_what, event) => {
    expect(parseEvent(JSON.stringify(event))).toEqual(event);
  });

  test.each([
    ['nothing', ''],
    ['text', 'hello'],
    ['a number', '1'],
    ['null', 'null'],
    ['an unknown kind', '{"id":"a","reboot":{}}'],
    ['two kinds at once', '{"id":"a","stdout":"x","exit":{}}'],
    ['output without an id', '{"stdout":"x"}'],
    ['output that is no text', '{"id":"a","stdout":["x"]}'],
    ['an exit code out of range', JSON.stringify(anExit()).replace('"exitCode":0', '"exitCode":4096')],
    ['an exit with a field too many', JSON.stringify(anExit()).replace('"exitCode"', '"image":"evil","exitCode"')],
    ['a count below nothing', JSON.stringify(anExit()).replace('"stdoutBytes":0', '"stdoutBytes":-1')],
    ['an id without end', JSON.stringify({ id: 'a'.repeat(1000), stdout: '' })],
    ['nesting without end', '['.repeat(100_000)],
    ['a line that is too long', JSON.stringify({ id: 'a', stdout: 'x'.repeat(LINE_LIMIT_BYTES) })],
  ])('%s is no event', (_what, line) => {
    expect(parseEvent(line)).toBeUndefined();
  });

  test('no line whatever makes the parser throw', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (line) => void parseEvent(line)));
  });

  test('a key named __proto__ reaches no prototype', () => {
    parseEvent('{"id":"a","result":{"mime":{"__proto__":"x"}}}');
    expect(Object.prototype).not.toHaveProperty('x');
    expect(parseEvent('{"__proto__":{"id":"a"},"stdout":"x"}')).toBeUndefined();
  });
});
