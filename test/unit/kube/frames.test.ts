/** The frames of an attached stream. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Channel, decodeFrame, encodeFrames, endOfStatus } from '../../../src/kube/frames.ts';

test('what is encoded decodes to the same bytes on the same channel', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 100 }), (channel, data) => {
      const frames = encodeFrames(channel, data).map(decodeFrame);
      expect(frames.every((frame) => frame.channel === channel)).toBe(true);
      expect(Buffer.concat(frames.map((frame) => frame.data))).toEqual(Buffer.from(data));
    }),
  );
});

test.each([
  [0, 1],
  [1, 1],
  [65_536, 1],
  [65_537, 2],
  [1_048_576, 16],
])('%i bytes take %i frames', (bytes, count) => {
  const frames = encodeFrames(Channel.stdin, new Uint8Array(bytes));
  expect(frames).toHaveLength(count);
  expect(frames.reduce((sum, frame) => sum + frame.length - 1, 0)).toBe(bytes);
});

test('an empty message belongs to no channel', () => {
  expect(decodeFrame(new Uint8Array())).toEqual({ channel: -1, data: new Uint8Array() });
});

test.each([
  ['a success', '{"metadata":{},"status":"Success"}', 'ended', 'the process has ended'],
  [
    'an exit code',
    '{"status":"Failure","reason":"NonZeroExitCode","message":"command terminated with exit code 3"}',
    'ended',
    'command terminated with exit code 3',
  ],
  [
    'a failure',
    '{"metadata":{},"status":"Failure","reason":"InternalError","message":"container not found"}',
    'broken',
    'container not found',
  ],
  ['a failure without a message', '{"status":"Failure"}', 'broken', 'the server gave no reason'],
  ['no status', 'unexpected', 'broken', 'the server gave no reason'],
  ['nothing', '', 'broken', 'the server gave no reason'],
])('%s on the error channel ends the stream accordingly', (_name, text, kind, message) => {
  expect(endOfStatus(Buffer.from(text))).toEqual({ kind, message });
});
