import { describe, expect, test } from 'vitest';
import { serverSentEvents } from '../../../src/client/sse.ts';

async function* bytes(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part, 'latin1');
}

const eventsOf = (...parts: string[]) => Array.fromAsync(serverSentEvents(bytes(...parts)));
const latin1 = (text: string) => Buffer.from(text).toString('latin1');

describe('Server-Sent Events', () => {
  test.each([
    ['data without an event name is a message', ['data: a\n\n'], [{ event: 'message', data: 'a', id: '' }]],
    [
      'a name, an id and data in two lines',
      ['id: 7\nevent: stdout\ndata: a\ndata: b\n\n'],
      [{ event: 'stdout', data: 'a\nb', id: '7' }],
    ],
    [
      'an id holds for the events after it',
      ['id: 7\ndata: a\n\ndata: b\n\n'],
      [
        { event: 'message', data: 'a', id: '7' },
        { event: 'message', data: 'b', id: '7' },
      ],
    ],
    [
      'a comment keeps the connection alive and is no event',
      [': beat\n\ndata: a\n\n'],
      [{ event: 'message', data: 'a', id: '' }],
    ],
    ['only the first space after the colon is taken off', ['data:  a\n\n'], [{ event: 'message', data: ' a', id: '' }]],
    [
      'CR LF within two chunks is one end of a line',
      ['data: a\r', '\n\r', '\ndata: b\r\r'],
      [
        { event: 'message', data: 'a', id: '' },
        { event: 'message', data: 'b', id: '' },
      ],
    ],
    [
      'a character within two chunks is whole',
      [latin1('data: ä').slice(0, -1), `${latin1('ä').slice(1)}\n\n`],
      [{ event: 'message', data: 'ä', id: '' }],
    ],
    ['an event that is cut off is dropped', ['data: a\n\ndata: b\n'], [{ event: 'message', data: 'a', id: '' }]],
    ['an event without data is none', ['event: x\n\n'], []],
  ])('%s', async (_name, parts, expected) => {
    expect(await eventsOf(...parts)).toEqual(expected);
  });

  test('an event without an end is given up before it fills the memory', async () => {
    const line = `data: ${'x'.repeat(1024 * 1024)}\n`;
    await expect(eventsOf(...Array.from({ length: 20 }, () => line))).rejects.toThrow('longer than');
  });

  test('so is a line without an end', async () => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (let megabytes = 0; megabytes < 1000; megabytes++) yield Buffer.alloc(1024 * 1024, 'x');
      throw new Error('all of it was read');
    }
    await expect(Array.fromAsync(serverSentEvents(endless()))).rejects.toThrow('longer than');
  });
});
