import { describe, expect, test } from 'vitest';
import { REASONS } from '../../../src/api/reasons.ts';
import { itemName } from '../../../src/cli/commands/batch.ts';
import { exitCodeOf } from '../../../src/cli/exit-codes.ts';
import { printable, printableLine } from '../../../src/cli/printable.ts';
import { parseRef } from '../../../src/cli/refs.ts';
import { complete, needsMore } from '../../../src/cli/repl/source.ts';
import { age, duration } from '../../../src/cli/table.ts';

describe('what a terminal is shown', () => {
  test.each([
    ['text, newlines and tabs stay', 'ä\n\tb', 'ä\n\tb'],
    ['colours are taken out', '\x1b[1;31mred\x1b[0m', 'red'],
    ['a sequence that moves the cursor is escaped', 'a\x1b[2Jb', 'a\\x1b[2Jb'],
    ['a sequence that sets the title is escaped', '\x1b]0;x\x07', '\\x1b]0;x\\x07'],
    ['the one-character form of it too', '\x9b2J\x9d', '\\x9b2J\\x9d'],
    ['a carriage return that hides a line is shown', 'bad\rgood', 'bad\\rgood'],
    ['the end of a line as Windows has it is one', 'a\r\nb', 'a\nb'],
    ['a text that is turned around is shown', 'a\u202eb\u2066', 'a\\u202eb\\u2066'],
    ['backspace, bell and delete are escaped', '\b\x07\x7f', '\\x08\\x07\\x7f'],
  ])('%s', (_name, text, expected) => {
    expect(printable(text)).toBe(expected);
  });

  test('a line is one line and of a bounded length', () => {
    expect(printableLine('a\nb\tc')).toBe('a\\nb c');
    expect(printableLine('x'.repeat(500), 10)).toBe('xxxxxxxxx…');
  });

  test.each([
    [999, '999ms'],
    [1500, '1.5s'],
    [61_000, '1m1s'],
    [undefined, ''],
  ])('%s milliseconds are %s', (milliseconds, expected) => {
    expect(duration(milliseconds)).toBe(expected);
  });

  test('an age is told in its largest unit', () => {
    const now = new Date('2026-01-02T00:00:00Z');
    const times = ['2026-01-01T23:59:30Z', '2026-01-01T22:00:00Z', '2025-12-30T00:00:00Z', undefined, 'nonsense'];
    expect(times.map((time) => age(time, now))).toEqual(['30s', '2h', '3d', '', '']);
  });
});

describe('exit codes', () => {
  test.each([
    [{ state: 'succeeded', reason: 'Completed', exitCode: 0 }, 0],
    [{ state: 'failed', reason: 'NonZeroExit', exitCode: 7 }, 7],
    [{ state: 'failed', reason: 'Signalled', signal: 'SIGSEGV' }, 139],
    [{ state: 'failed', reason: 'Signalled', signal: 'SIGRTMIN+1' }, 137],
    [{ state: 'failed', reason: 'Timeout', signal: 'SIGKILL' }, 124],
    [{ state: 'failed', reason: 'OutOfMemory', exitCode: 1 }, 137],
    [{ state: 'failed', reason: 'Cancelled' }, 130],
    [{ state: 'failed', reason: 'SandboxLost' }, 70],
    [{ state: 'failed', reason: 'PendingTooLong' }, 75],
    [{ state: 'failed', reason: 'InvalidSpec' }, 65],
    [{ state: 'failed', reason: 'OfALaterVersion' }, 1],
    [{ state: 'failed', reason: 'toString' }, 1],
  ] as const)('%o ends with %i', (run, expected) => {
    expect(exitCodeOf(run)).toBe(expected);
  });

  test('no run that has failed ends with 0', () => {
    const failed = Object.entries(REASONS).filter(([, { succeeded }]) => succeeded === 'False');
    expect(failed.filter(([reason]) => exitCodeOf({ state: 'failed', reason }) === 0)).toEqual([]);
  });
});

describe('names', () => {
  test.each([
    ['a', { kind: 'run', name: 'a' }],
    ['run/a', { kind: 'run', name: 'a' }],
    ['batch/a', { kind: 'batch', name: 'a' }],
    ['sessions/a', { kind: 'session', name: 'a' }],
  ])('%s is understood', (text, expected) => {
    expect(parseRef(text)).toEqual(expected);
  });

  test.each(['', 'pod/a', 'a/b/c', '../a', 'A', 'toString/a', 'run/'])('%j is refused', (text) => {
    expect(() => parseRef(text)).toThrow('NAME');
  });

  test.each([
    ['Alice_1.py', 'alice-1'],
    ['__.py', 'item'],
    [`${'x'.repeat(80)}.py`, 'x'.repeat(63)],
  ])('the file %s is the item %s', (path, expected) => {
    expect(itemName(path)).toBe(expected);
  });
});

describe('what is typed into the shell', () => {
  test.each([
    ['x = 1', false],
    ['f(1,', true],
    ['f(1,\n2)', false],
    ['x = "(["', false],
    ['x = "it\'s ("', false],
    ['# a comment (', false],
    ['s = """one', true],
    ['s = """one\ntwo"""', false],
    ['s = """a \\""" b', true],
    ["s = 'unfinished", false],
    ['x = 1 + \\', true],
    ['def f():', true],
    ['def f():\n  return 1', true],
    ['def f():\n  return 1\n', false],
    ['if x: pass', false],
    ['for i in y:  # why (', true],
    ['@decorator', true],
    ['d = {"a": 1}', false],
    ['', false],
  ])('%j goes on: %s', (source, expected) => {
    expect(needsMore(source)).toBe(expected);
  });

  test.each([
    ['pri', ['price', 'prime']],
    ['x = pri', ['price', 'prime']],
    ['obj.pri', []],
    ['f(', []],
    ['%re', ['%restart']],
  ])('%j is completed to %o', (line, expected) => {
    expect(complete(line, ['prime', 'other', 'price', '%restart'])[0]).toEqual(expected);
  });

  test('a long line of quotes and brackets is read in no time', () => {
    const started = performance.now();
    needsMore(`${'"\\"'.repeat(50_000)}${"'''".repeat(50_001)}${'('.repeat(50_000)}`);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});
