import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assemble } from '../../../src/gateway/artifact.ts';
import { type RunEvent, runEvents } from '../../../src/gateway/journal.ts';
import { LINE_LIMIT_BYTES } from '../../../src/sandbox/protocol.ts';
import { anExit, RUN_UID } from '../../support/builders.ts';

const line = (event: object): string => `${JSON.stringify(event)}\n`;
const out = (stdout: string, id = RUN_UID): string => line({ id, stdout });

async function* chunks(...parts: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part);
}

async function* each<T>(items: T[]): AsyncGenerator<T> {
  yield* items;
}

async function read(...parts: (string | Uint8Array)[]): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of runEvents(chunks(...parts), RUN_UID)) events.push(event);
  return events;
}

describe('runEvents', () => {
  test.each<[name: string, text: string]>([
    ['lines of another run', out('forged', 'other-run')],
    ['lines without an id', line({ stdout: 'forged' })],
    ['lines of the agent outside of runs', line({ refused: { reason: 'Busy', message: '', id: null } })],
    ['text that is not JSON', 'Traceback (most recent call last):\n'],
    ['an id in another case', out('forged', RUN_UID.toUpperCase().replace('1', 'A'))],
    ['an array', `[${JSON.stringify({ id: RUN_UID, stdout: 'forged' })}]\n`],
    ['an event with a key too many', line({ id: RUN_UID, stdout: 'forged', extra: 1 })],
    ['an event of another type', line({ id: RUN_UID, stdout: 5 })],
    ['an event of two kinds', line({ id: RUN_UID, stdout: 'forged', stderr: 'forged' })],
    ['a prefix like that of a log', `2026-01-01T00:00:00Z stdout F ${out('forged')}`],
    ['a line that is too long', `${out('x'.repeat(LINE_LIMIT_BYTES))}`],
    ['bytes that are not UTF-8', Buffer.from([0xff, 0xfe, 0x0a]).toString('latin1')],
    ['empty lines', '\n\n\r\n'],
  ])('passes over %s', async (_name, text) => {
    expect(await read(out('before'), text, out('after'))).toEqual([
      { id: RUN_UID, stdout: 'before' },
      { id: RUN_UID, stdout: 'after' },
    ]);
  });

  test('ends with the exit, whatever comes behind it', async () => {
    expect(await read(out('a'), line(anExit()), out('forged'))).toEqual([{ id: RUN_UID, stdout: 'a' }, anExit()]);
  });

  test('drops a last line that was cut off', async () => {
    expect(await read(out('a'), out('b').slice(0, -1))).toEqual([{ id: RUN_UID, stdout: 'a' }]);
  });

  test('reads the same events wherever the bytes are cut', async () => {
    const events = fc.array(
      fc.record({ id: fc.constantFrom(RUN_UID, 'other'), stdout: fc.string({ unit: 'grapheme' }) }),
    );
    await fc.assert(
      fc.asyncProperty(events, fc.array(fc.nat({ max: 2000 })), async (written, cuts) => {
        const bytes = Buffer.from(written.map(line).join(''));
        const ends = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
        const parts = ends.slice(1).map((end, index) => bytes.subarray(ends[index], end));
        expect(await read(...parts)).toEqual(written.filter(({ id }) => id === RUN_UID));
      }),
    );
  });
});

describe('assemble', () => {
  const chunk = (path: string, bytes: number, offset: number, content: string | null): RunEvent => ({
    id: RUN_UID,
    artifact: { path, bytes, offset, contentBase64: content === null ? null : Buffer.from(content).toString('base64') },
  });

  test.each<[name: string, events: RunEvent[], bytes: number, expected: string | undefined]>([
    ['joins the chunks', [chunk('a', 4, 0, 'ab'), chunk('a', 4, 2, 'cd')], 4, 'abcd'],
    ['passes over other files', [chunk('b', 2, 0, 'xx'), chunk('a', 2, 0, 'ab')], 2, 'ab'],
    ['knows an empty file', [chunk('a', 0, 0, '')], 0, ''],
    ['gives nothing where a chunk is missing', [chunk('a', 4, 2, 'cd')], 4, undefined],
    ['gives nothing where a chunk is out of its place', [chunk('a', 4, 0, 'ab'), chunk('a', 4, 1, 'cd')], 4, undefined],
    ['gives nothing where the content is left out', [chunk('a', 4, 0, 'ab'), chunk('a', 4, 2, null)], 4, undefined],
    ['gives nothing where the end is missing', [chunk('a', 4, 0, 'ab')], 4, undefined],
    ['gives nothing where there is more than was said', [chunk('a', 1, 0, 'ab')], 1, undefined],
    ['gives nothing where the file is not there', [], 4, undefined],
  ])('%s', async (_name, events, bytes, expected) => {
    expect((await assemble(each(events), 'a', bytes))?.toString()).toBe(expected);
  });
});
