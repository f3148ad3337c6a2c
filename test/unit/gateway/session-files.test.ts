/** Files of a session pass through as streams, no faster than they are taken, and whole or not at all. */

import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { BridgeRequest } from '../../../src/sandbox/bridge-protocol.ts';
import type { Rule, Say } from '../../support/bridge-agent.ts';
import { settle } from '../../support/clock.ts';
import { aSessionWorld, type SessionWorld } from '../../support/gateway-sessions.ts';
import { problemOf } from '../../support/gateway-world.ts';

const FILES = '/v1/sessions/s1/files';
const CONTENT = `${FILES}/content?path=a/b.txt`;

async function ready(rule?: Rule): Promise<SessionWorld> {
  const world = aSessionWorld(rule);
  await world.session();
  return world;
}

const BYTES = { 'content-type': 'application/octet-stream' };

const chunk = (bytes: number, content: string | Buffer) => ({
  chunk: { bytes, contentBase64: Buffer.from(content).toString('base64') },
});

describe('a list', () => {
  const listing = (entry: object, truncated = false): Rule => {
    return (_request, say) =>
      say({ done: { entries: [{ name: 'x', kind: 'file', bytes: 1, modified: 0, ...entry }], truncated } });
  };

  test.each([
    ['the working directory', FILES, ''],
    ['a folder', `${FILES}?path=a%2Fb%25FF`, 'a/b%FF'],
  ])('has what is in %s', async (_what, url, path) => {
    const world = await ready(listing({ name: 'n%FF', modified: 1_767_225_600_123 }, true));
    expect((await world.get(url)).json()).toEqual({
      entries: [{ name: 'n%FF', kind: 'file', bytes: 1, modified: '2026-01-01T00:00:00.123Z' }],
      truncated: true,
    });
    expect(world.agent.requests).toMatchObject([{ listFiles: { path } }]);
  });

  test.each([
    [1e300, '+275760-09-13T00:00:00.000Z'],
    [-1e300, '-271821-04-20T00:00:00.000Z'],
  ])('shows a file of a time that is in no calendar (%d)', async (modified, shown) => {
    expect((await (await ready(listing({ modified }))).get(FILES)).json().entries[0].modified).toBe(shown);
  });
});

describe('a download', () => {
  test('answers the file piece by piece, and how large it is', async () => {
    const world = await ready((_request, say) => say(chunk(6, 'one'), chunk(6, 'two'), { done: { bytes: 6 } }));
    const answer = await world.get(CONTENT);
    expect([answer.statusCode, answer.body]).toEqual([200, 'onetwo']);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': '6',
      'content-disposition': 'attachment',
    });
    expect(world.agent.requests).toMatchObject([{ readFile: { path: 'a/b.txt' } }]);
  });

  test.each([
    ['with a piece', [chunk(0, ''), { done: { bytes: 0 } }]],
    ['without', [{ done: { bytes: 0 } }]],
  ])('of an empty file is empty (%s)', async (_how, events) => {
    const answer = await (await ready((_request, say) => say(...events))).get(CONTENT);
    expect([answer.statusCode, answer.headers['content-length'], answer.body]).toEqual([200, '0', '']);
  });

  test.each<[string, object[]]>([
    ['longer', [chunk(3, 'one'), chunk(3, 'two')]],
    ['shorter', [chunk(9, 'one'), { done: {} }]],
    ['broken off', [chunk(9, 'one'), { failed: { reason: 'Failed', message: '' } }]],
  ])('that is %s than it said is broken off', async (_what, events) => {
    const world = await ready((_request, say) => say(...events));
    await expect(world.get(CONTENT)).rejects.toThrow();
    await settle();
    expect(world.bridges.size).toBe(0);
  });

  test('that says it is too large is refused', async () => {
    const world = await ready((_request, say) => say(chunk(200 * 1024 * 1024, 'x')));
    expect(problemOf(await world.get(CONTENT))).toMatchObject({ status: 413, code: 'FileTooLarge' });
  });

  test('is read no faster than its client takes it', async () => {
    const piece = Buffer.alloc(64 * 1024);
    const world = await ready((_request, say) => {
      for (let count = 0; count < 100; count++) say(chunk(100 * piece.length, piece));
      say({ done: {} });
    });
    const answer = await world.app.inject({ method: 'GET', url: CONTENT, payloadAsStream: true });
    await settle();
    expect(world.agent.streams[0]?.unread).toBeGreaterThan(80);
    let bytes = 0;
    for await (const part of answer.stream()) bytes += part.length;
    expect(bytes).toBe(100 * piece.length);
  });

  test('whose client leaves is not read to its end', async () => {
    const world = await ready((_request, say) => say(chunk(1_000_000, 'x')));
    const answer = await world.app.inject({ method: 'GET', url: CONTENT, payloadAsStream: true });
    answer.stream().destroy();
    answer.raw.res.destroy();
    expect(await world.agent.streams[0]?.ended).toMatchObject({ kind: 'closed' });
    await settle();
    expect(world.bridges.size).toBe(0);
  });

  test('holds up no execution of its session: each has a connection of its own', async () => {
    const world = await ready((request, say) => {
      if ('variables' in request) say({ done: { variables: [] } });
      else say(chunk(1_000_000, 'x'));
    });
    await world.app.inject({ method: 'GET', url: CONTENT, payloadAsStream: true });
    expect((await world.get('/v1/sessions/s1/variables')).statusCode).toBe(200);
    expect(world.agent.streams).toHaveLength(2);
  });
});

describe('an upload', () => {
  /** An agent that takes what it is sent, with room for `window` bytes at a time, into `files`. */
  function taking(window: number) {
    const files = new Map<string, Buffer>();
    const open = new Map<string, { path: string; parts: Buffer[] }>();
    let most = 0;
    const take = (id: string, { contentBase64, last }: { contentBase64: string; last: boolean }, say: Say) => {
      const file = open.get(id);
      const part = Buffer.from(contentBase64, 'base64');
      most = Math.max(most, part.length);
      file?.parts.push(part);
      if (!last) return say({ window: { bytes: part.length } });
      files.set(file?.path ?? '', Buffer.concat(file?.parts ?? []));
      say({ done: {} });
    };
    const rule: Rule = (request: BridgeRequest, say) => {
      if ('writeFile' in request) {
        open.set(request.id, { path: request.writeFile.path, parts: [] });
        say({ window: { bytes: window } });
      } else if ('chunk' in request) take(request.id, request.chunk, say);
    };
    return { files, rule, most: () => most };
  }
  const put = (world: SessionWorld, payload: string | Buffer | Readable, headers: Record<string, string> = {}) =>
    world.send({ method: 'PUT', url: CONTENT, payload, headers });

  test.each([
    ['nothing of its kind', {}],
    ['bytes', { 'content-type': 'application/octet-stream' }],
    ['JSON', { 'content-type': 'application/json' }],
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }],
  ])('is stored as the bytes that it is, where it says %s', async (_what, headers) => {
    const { files, rule } = taking(1000);
    const world = await ready(rule);
    const answer = await put(world, Buffer.from('{"a":\xff', 'latin1'), headers);
    expect([answer.statusCode, answer.body]).toEqual([204, '']);
    expect(files.get('a/b.txt')).toEqual(Buffer.from('{"a":\xff', 'latin1'));
  });

  test('of nothing makes an empty file', async () => {
    const { files, rule } = taking(1000);
    expect((await put(await ready(rule), '')).statusCode).toBe(204);
    expect(files.get('a/b.txt')).toEqual(Buffer.alloc(0));
  });

  test('sends no more than there is room for', async () => {
    const content = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251));
    const { files, rule, most } = taking(1000);
    expect((await put(await ready(rule), content)).statusCode).toBe(204);
    expect(files.get('a/b.txt')?.equals(content)).toBe(true);
    expect(most()).toBe(1000);
  });

  test('waits for room', async () => {
    const world = await ready((request, say) => ('writeFile' in request ? say({ window: { bytes: 10 } }) : undefined));
    put(world, Buffer.alloc(1000)).catch(() => undefined);
    await world.until(() => world.agent.requests.length === 2);
    await settle();
    await settle();
    expect(world.agent.requests).toHaveLength(2);
  });

  test('that is too large by its own word is refused at once', async () => {
    const world = await ready();
    const answer = await put(world, Readable.from([]), { 'content-length': String(101 * 1024 * 1024) });
    expect(problemOf(answer)).toMatchObject({ status: 413, code: 'FileTooLarge' });
    expect(world.agent.streams).toEqual([]);
  });

  test('that is compressed is refused', async () => {
    const answer = await put(await ready(), 'x', { 'content-encoding': 'gzip' });
    expect(problemOf(answer)).toMatchObject({ status: 415 });
  });

  test('that is refused by the sandbox leaves nothing open', async () => {
    const world = await ready((_request, say) => say({ failed: { reason: 'DiskLimit', message: '' } }));
    expect(problemOf(await put(world, 'content'))).toMatchObject({ status: 507, code: 'DiskFull' });
    await settle();
    expect([world.bridges.size, world.clock.pending]).toEqual([0, 0]);
  });

  test('whose body stops coming is given up', async () => {
    const world = await ready((request, say) => ('writeFile' in request ? say({ window: { bytes: 10 } }) : undefined));
    const pending = put(world, new Readable({ read: () => undefined }), BYTES);
    await world.until(() => world.agent.requests.length === 1);
    await world.clock.advance(60_000);
    expect(problemOf(await pending)).toMatchObject({ status: 408, code: 'RequestTimeout' });
    expect(await world.agent.streams[0]?.ended).toMatchObject({ kind: 'closed' });
  });
});

describe('while a file is moved', () => {
  const silent: Rule = () => undefined;
  /** A world in which a download has begun. */
  async function moving() {
    const world = await ready(silent);
    const answer = world.get(CONTENT);
    await world.until(() => world.agent.requests.length === 1);
    const say: Say = (...events) =>
      world.agent.streams[0]?.say(...events.map((event) => ({ id: world.agent.requests[0]?.id, ...event })));
    return { world, answer, say };
  }

  test('another waits for its turn, and uses the same connection', async () => {
    const { world, answer, say } = await moving();
    const other = world.get(CONTENT);
    await world.clock.advance(20_000);
    expect(world.agent.requests).toHaveLength(1);
    world.agent.rule = (_request, tell) => tell(chunk(3, 'two'), { done: {} });
    say(chunk(3, 'one'), { done: {} });
    expect([(await answer).body, (await other).body]).toEqual(['one', 'two']);
    expect(world.agent.streams).toHaveLength(1);
  });

  test('another does not wait for longer than half a minute', async () => {
    const { world, say } = await moving();
    const other = world.get(CONTENT);
    await world.clock.advance(10_000);
    say(chunk(6, 'one'));
    await world.clock.advance(20_000);
    expect(problemOf(await other)).toMatchObject({ status: 429, code: 'SessionBusy' });
  });

  test('no more than sixteen others wait', async () => {
    const { world } = await moving();
    for (let count = 0; count < 16; count++) world.get(CONTENT).catch(() => undefined);
    await settle();
    await settle();
    expect(problemOf(await world.get(CONTENT))).toMatchObject({ status: 429, code: 'SessionBusy' });
  });

  test('a file that does not come on is given up', async () => {
    const { world, answer } = await moving();
    await world.clock.advance(30_000);
    expect(problemOf(await answer)).toMatchObject({ code: 'StateUnknown' });
    expect(world.bridges.size).toBe(0);
  });
});

test('DELETE removes a file', async () => {
  const world = await ready((_request, say) => say({ done: {} }));
  expect((await world.delete(CONTENT)).statusCode).toBe(204);
  expect(world.agent.requests).toMatchObject([{ removeFile: { path: 'a/b.txt' } }]);
});

test.each([
  ['Invalid', 400, 'InvalidRequest'],
  ['Busy', 429, 'SessionBusy'],
  ['NotFound', 404, 'FileNotFound'],
  ['NotAFile', 409, 'NotAFile'],
  ['NotAFolder', 409, 'NotAFolder'],
  ['PathNotAllowed', 403, 'PathNotAllowed'],
  ['Exists', 409, 'FileExists'],
  ['DiskLimit', 507, 'DiskFull'],
  ['Interrupted', 409, 'Interrupted'],
  ['Failed', 502, 'SandboxFailed'],
])('a refusal by %s is a problem of its own, for every way to a file', async (reason, status, code) => {
  const world = await ready((_request, say) => say({ failed: { reason, message: 'why' } }));
  const answers = [await world.get(FILES), await world.get(CONTENT), await world.delete(CONTENT)];
  for (const answer of answers) {
    expect(problemOf(answer)).toMatchObject({ status, code });
    expect(problemOf(answer).detail).toContain('(why)');
  }
});

test.each([
  ['no path', `${FILES}/content`, 'path'],
  ['an empty one', `${FILES}/content?path=`, 'path'],
  ['one with a NUL', `${FILES}?path=a%00b`, 'path'],
  ['one that is too long', `${FILES}?path=${'a'.repeat(4097)}`, 'path'],
])('a request with %s is refused before the session hears of it', async (_what, url, field) => {
  const world = await ready();
  expect(problemOf(await world.get(url))).toMatchObject({ status: 400, field });
  expect(world.agent.streams).toEqual([]);
});
