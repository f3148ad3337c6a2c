/** A bridge gives each request its own answers, in order, and nothing that its other end sends can hurt more than the connection. */

import { describe, expect, test } from 'vitest';
import { Bridge, BridgeBroken, BridgeFailed, type BridgeProgress } from '../../../src/sandbox/bridge.ts';
import { LINE_LIMIT_BYTES } from '../../../src/sandbox/protocol.ts';
import { settle } from '../../support/clock.ts';
import { TestStream } from '../../support/stream.ts';

const aBridge = () => {
  const stream = new TestStream();
  return { stream, bridge: new Bridge(stream) };
};
const list = (path: string) => ({ listFiles: { path } });

test('a request is one line of JSON with an id of its own', () => {
  const { stream, bridge } = aBridge();
  const [first, second] = [bridge.call(list('a')), bridge.call(list('b'))];
  expect(stream.written.map((line) => JSON.parse(line))).toEqual([
    { id: first.id, ...list('a') },
    { id: second.id, ...list('b') },
  ]);
  expect(first.id).not.toBe(second.id);
  expect(stream.written.every((line) => line.indexOf('\n') === line.length - 1)).toBe(true);
});

test('overlapping requests get their own events and answers', async () => {
  const { stream, bridge } = aBridge();
  const seen: [string, BridgeProgress][] = [];
  const calls = ['a', 'b'].map((name) => bridge.call(list(name), (event) => seen.push([name, event])));
  const [a, b] = calls.map(({ id }) => id);
  stream.say({ id: b, stdout: '1' }, { id: a, stdout: '2' }, { id: b, done: { bytes: 7 } }, { id: a, done: {} });
  expect(await Promise.all(calls.map(({ done }) => done))).toEqual([{}, { bytes: 7 }]);
  expect(seen).toEqual([
    ['b', { id: b, stdout: '1' }],
    ['a', { id: a, stdout: '2' }],
  ]);
});

test('a refusal rejects its request and leaves the connection open', async () => {
  const { stream, bridge } = aBridge();
  const { id, done } = bridge.call(list('a'));
  stream.say({ id, failed: { reason: 'NotFound', message: 'gone' } });
  await expect(done).rejects.toEqual(new BridgeFailed('NotFound', 'gone'));
  expect(bridge.isOpen).toBe(true);
});

test('what comes for nobody, or after the last answer, is passed over', async () => {
  const { stream, bridge } = aBridge();
  const { id, done } = bridge.call(list('a'));
  stream.say({ id: 'nobody', stdout: 'x' }, { id, done: {} }, { id, stdout: 'late' }, { id, done: { bytes: 1 } });
  expect(await done).toEqual({});
  await settle();
  expect(bridge.isOpen).toBe(true);
});

describe('the connection', () => {
  test.each<[string, string]>([
    ['is no JSON', 'hello\n'],
    ['is no event', '{"id":"r1"}\n'],
    ['is JSON of another kind', '[]\n'],
    ['has a key too many', '{"id":"r1","done":{},"stdout":""}\n'],
    ['is not UTF-8', '{"id":"r1","done":\xff}\n'],
    ['is too long', `${'x'.repeat(LINE_LIMIT_BYTES + 1)}\n`],
    ['never ends', 'x'.repeat(LINE_LIMIT_BYTES + 1)],
  ])('ends at a line that %s, and every request with it', async (_what, bytes) => {
    const { stream, bridge } = aBridge();
    const calls = [bridge.call(list('a')), bridge.call(list('b'))];
    stream.sayBytes(Buffer.from(bytes, 'latin1'));
    for (const { done } of calls) await expect(done).rejects.toMatchObject({ name: 'BridgeBroken', sent: true });
    expect(bridge.isOpen).toBe(false);
  });

  test('that breaks rejects what was sent, and what comes later as not sent', async () => {
    const { stream, bridge } = aBridge();
    const { done } = bridge.call(list('a'));
    stream.end();
    await expect(done).rejects.toMatchObject({ sent: true });
    await expect(bridge.call(list('b')).done).rejects.toEqual(new BridgeBroken(false, 'the connection has ended'));
    expect(stream.written).toHaveLength(1);
  });

  test('is closed while somebody reads slowly, and does not wait for them', async () => {
    const { stream, bridge } = aBridge();
    const { id, done } = bridge.call(list('a'), () => new Promise(() => undefined));
    stream.say({ id, stdout: 'x' });
    await settle();
    bridge.close();
    await bridge.ended;
    await expect(done).rejects.toMatchObject({ sent: true });
  });
});

test('nothing is read while an event is being taken', async () => {
  const { stream, bridge } = aBridge();
  const { promise, resolve } = Promise.withResolvers<void>();
  const { id, done } = bridge.call(list('a'), () => promise);
  stream.say({ id, stdout: '1' });
  await settle();
  stream.say({ id, stdout: '2' });
  stream.say({ id, done: {} });
  await settle();
  expect(stream.unread).toBe(2);
  resolve();
  expect(await done).toEqual({});
});

test('a request whose events can not be taken fails alone', async () => {
  const { stream, bridge } = aBridge();
  const fail = () => {
    throw new Error('no room');
  };
  const [bad, good] = [bridge.call(list('a'), fail), bridge.call(list('b'))];
  stream.say({ id: bad.id, stdout: 'x' }, { id: good.id, done: {} });
  await expect(bad.done).rejects.toThrow('no room');
  expect(await good.done).toEqual({});
});

test('a request that nobody waits for any more breaks without harm', async () => {
  const { stream, bridge } = aBridge();
  bridge.call(list('a'));
  stream.end();
  await bridge.ended;
  await settle();
});
