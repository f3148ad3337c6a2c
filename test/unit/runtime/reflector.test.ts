/** The reflector against a server that misbehaves: the store becomes like the server again, and no more is asked than needed. */

import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { Reflector, type ReflectorOptions } from '../../../src/runtime/reflector.ts';
import { Store } from '../../../src/runtime/store.ts';
import { FakeClock, settle } from '../../support/clock.ts';
import { errors, FakeServer, Refusal } from './fake-server.ts';
import { noJitter, RecordingLogger, type Thing } from './support.ts';

const running: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of running.splice(0)) await stop();
});

async function start(server: FakeServer, options: Partial<ReflectorOptions<Thing>> = {}) {
  const clock = new FakeClock();
  const logger = new RecordingLogger();
  server.sleep = (milliseconds, signal) => clock.sleep(milliseconds, signal);
  const store = new Store<Thing>({ logger });
  const abort = new AbortController();
  const reflector = new Reflector<Thing>({
    name: 'things',
    source: server,
    store,
    errors,
    clock,
    random: noJitter,
    logger,
    ...options,
  });
  const ended = reflector.run(abort.signal);
  const stop = async (): Promise<void> => {
    abort.abort();
    await ended;
  };
  running.push(stop);
  await settle();
  return { clock, logger, store, stop };
}

const names = (store: Store<Thing>): string[] =>
  store
    .list()
    .map(({ metadata }) => metadata.name)
    .sort();

describe('the first list', () => {
  test('is read from the cache of the server, and the watch goes on from it', async () => {
    const server = new FakeServer();
    server.put('a');
    const { store } = await start(server);
    server.put('b');
    server.remove('a');
    await settle();
    expect(names(store)).toEqual(['b']);
    expect(server.log()).toEqual(['list 0', 'watch 101']);
  });

  test('is read page by page', async () => {
    const server = new FakeServer();
    for (const name of ['a', 'b', 'c', 'd', 'e']) server.put(name);
    const { store } = await start(server, { pageSize: 2 });
    expect(names(store)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(server.requests.map((request) => [request.resourceVersion, request.continue])).toEqual([
      ['0', undefined],
      [undefined, '2'],
      [undefined, '4'],
      ['105', undefined],
    ]);
  });

  test('begins anew, consistently, when its second page has expired', async () => {
    const server = new FakeServer();
    for (const name of ['a', 'b', 'c']) server.put(name);
    server.listFailures.push(undefined, new Refusal(410));
    const { clock, store } = await start(server, { pageSize: 2 });
    expect([store.isSynced, store.size]).toEqual([false, 0]);
    await clock.advance(800);
    await settle();
    expect(names(store)).toEqual(['a', 'b', 'c']);
    expect(server.log().slice(0, 3)).toEqual(['list 0', 'list consistently', 'list consistently']);
  });

  test('may be slow as long as no page takes a minute', async () => {
    const server = new FakeServer();
    for (const name of ['a', 'b', 'c']) server.put(name);
    server.slowness = 40_000;
    const { clock, store } = await start(server, { pageSize: 1 });
    await clock.advance(120_000);
    expect(names(store)).toEqual(['a', 'b', 'c']);
    expect(server.log()).toHaveLength(4);
  });

  test('is tried again when it gets no answer', async () => {
    const server = new FakeServer();
    server.silentLists = 1;
    const { clock, store } = await start(server);
    await clock.advance(60_000);
    await settle();
    expect(store.isSynced).toBe(false);
    await clock.advance(800);
    await settle();
    expect(store.isSynced).toBe(true);
  });
});

describe('a watch that ends in order', () => {
  test('goes on at once, from the last event', async () => {
    const server = new FakeServer();
    const { clock, store } = await start(server);
    server.put('a');
    await clock.advance(290_000);
    server.cut('in order');
    await settle();
    server.put('b');
    await settle();
    expect(names(store)).toEqual(['a', 'b']);
    expect(server.log()).toEqual(['list 0', 'watch 100', 'watch 101']);
  });

  test('goes on from the last bookmark, so that it does not expire', async () => {
    const server = new FakeServer();
    const { clock, store } = await start(server);
    server.pass(50);
    server.bookmark();
    await clock.advance(60_000);
    server.compact();
    server.cut('in order');
    server.put('a');
    await settle();
    expect(names(store)).toEqual(['a']);
    expect(server.log()).toEqual(['list 0', 'watch 100', 'watch 150']);
  });

  test('is a failure when it was very short and empty', async () => {
    const server = new FakeServer();
    server.watchFailures.push('in order', 'in order', 'in order');
    const { clock } = await start(server);
    expect(server.log()).toEqual(['list 0', 'watch 100']);
    await clock.advance(800);
    await settle();
    await clock.advance(1_599);
    await settle();
    expect(server.log()).toHaveLength(3);
    await clock.advance(1);
    await settle();
    expect(server.log()).toHaveLength(4);
  });

  test('is no failure when it was very short but brought something', async () => {
    const server = new FakeServer();
    await start(server);
    server.put('a');
    server.cut('in order');
    await settle();
    expect(server.log()).toEqual(['list 0', 'watch 100', 'watch 101']);
  });

  test('is asked to end after a time that differs from watch to watch', async () => {
    const server = new FakeServer();
    const chances = [0, 0.5, 1];
    const { clock } = await start(server, { random: () => chances.shift() ?? 0 });
    for (let times = 0; times < 2; times++) {
      await clock.advance(2_000);
      server.cut('in order');
      await settle();
    }
    expect(server.requests.flatMap(({ timeoutSeconds }) => timeoutSeconds ?? [])).toEqual([290, 254, 218]);
  });
});

describe('a watch that has expired', () => {
  test('by status leads to a consistent list', async () => {
    const server = new FakeServer();
    server.put('a');
    const { clock, store } = await start(server);
    server.stall();
    server.remove('a');
    server.put('b');
    server.compact();
    await clock.advance(300_000);
    expect(names(store)).toEqual(['b']);
    expect(server.log()).toEqual(['list 0', 'watch 101', 'watch 101', 'list consistently', 'watch 103']);
  });

  test('by an ERROR event leads to a consistent list', async () => {
    const server = new FakeServer();
    server.put('a');
    const { clock, store } = await start(server);
    server.cut(new Refusal(410));
    server.remove('a');
    server.put('b');
    await clock.advance(800);
    expect(names(store)).toEqual(['b']);
    expect(server.log()).toEqual(['list 0', 'watch 101', 'list consistently', 'watch 103']);
  });

  test('again and again leads to lists with growing delays only', async () => {
    const server = new FakeServer();
    const { clock } = await start(server);
    server.cut(new Refusal(410));
    server.watchFailures.push(...Array.from({ length: 20 }, () => new Refusal(410)));
    await clock.advance(60_000);
    await settle();
    const lists = server.log().filter((request) => request === 'list consistently');
    expect(lists.length).toBeGreaterThan(3);
    expect(lists.length).toBeLessThan(9);
  });
});

describe('a connection that breaks', () => {
  test('in the middle of a watch goes on where it was, without a list', async () => {
    const server = new FakeServer();
    const { clock, store } = await start(server);
    server.put('a');
    server.cut(new Error('unexpected end of JSON input'));
    await settle();
    server.put('b');
    await clock.advance(800);
    await settle();
    expect(names(store)).toEqual(['a', 'b']);
    expect(server.log()).toEqual(['list 0', 'watch 100', 'watch 101']);
  });

  test('is tried again after 0.8 s, twice as long each time, 30 s at most, and soon again once it has worked', async () => {
    const server = new FakeServer();
    const { clock, logger } = await start(server);
    const refused = Array.from({ length: 8 }, () => new Error('connection refused'));
    server.watchFailures.push(...refused);
    server.cut(new Error('connection reset'));
    const waits = (): unknown[] =>
      logger.lines
        .filter(({ level }) => level === 'warn')
        .map(({ fields }) => 'milliseconds' in fields && fields.milliseconds);
    await clock.advance(200_000);
    await settle();
    expect(waits()).toEqual([800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000, 30_000]);
    server.put('a');
    await settle();
    server.cut(new Error('connection reset'));
    await settle();
    expect(waits().at(-1)).toBe(800);
    expect(logger.messages('info')).toEqual(['watch works again']);
  });

  test('waits longer by chance, so that many do not come back together', async () => {
    const server = new FakeServer();
    server.listFailures.push(new Error('connection refused'));
    const { clock } = await start(server, { random: () => 0.9 });
    await clock.advance(1_159);
    await settle();
    expect(server.log()).toHaveLength(1);
    await clock.advance(1);
    await settle();
    expect(server.log().slice(0, 2)).toEqual(['list 0', 'list 0']);
  });

  test('is not tried before the time that the server asks to wait', async () => {
    const server = new FakeServer();
    server.listFailures.push(new Refusal(429, 5_000));
    const { clock } = await start(server);
    await clock.advance(4_999);
    await settle();
    expect(server.log()).toEqual(['list 0']);
    await clock.advance(1);
    await settle();
    expect(server.log()).toEqual(['list 0', 'list 0', 'watch 100']);
  });
});

test('an event that the store cannot take is tried again with growing delays', async () => {
  const server = new FakeServer();
  const logger = new RecordingLogger();
  const store = new Store<Thing>({
    logger,
    transform: () => {
      throw new Error('a bug');
    },
  });
  const { clock } = await start(server, { store });
  server.put('a');
  await clock.advance(60_000);
  expect(server.log().length).toBeGreaterThan(3);
  expect(server.log().length).toBeLessThan(10);
});

describe('a connection that goes silent', () => {
  test('is given up soon after the server should have ended the watch, and nothing is lost', async () => {
    const server = new FakeServer();
    const { clock, store, logger } = await start(server);
    server.stall();
    server.put('a');
    await clock.advance(294_999);
    await settle();
    expect(server.log()).toHaveLength(2);
    await clock.advance(1);
    await settle();
    expect(names(store)).toEqual(['a']);
    expect(server.log()).toEqual(['list 0', 'watch 100', 'watch 100']);
    expect(logger.messages('warn')).toEqual([]);
  });

  test('is given up sooner where bookmarks are expected, but not while they come', async () => {
    const server = new FakeServer();
    const { clock, store } = await start(server, { silenceMilliseconds: 75_000 });
    for (let minutes = 0; minutes < 3; minutes++) {
      await clock.advance(60_000);
      server.bookmark();
      await settle();
    }
    expect(server.log()).toHaveLength(2);
    server.stall();
    server.put('a');
    await clock.advance(75_000);
    await settle();
    expect(names(store)).toEqual(['a']);
  });
});

describe('relisting', () => {
  test('repairs a store that missed an event, consistently, when a watch ends and the time has come', async () => {
    const server = new FakeServer();
    server.put('a');
    const { clock, store } = await start(server, { relistMilliseconds: 600_000 });
    server.stall();
    server.remove('a');
    server.pass(1);
    store.apply({ type: 'BOOKMARK', resourceVersion: server.version });
    await clock.advance(295_000);
    await settle();
    expect(names(store)).toEqual(['a']);
    await clock.advance(300_000);
    await settle();
    await clock.advance(300_000);
    await settle();
    expect(names(store)).toEqual([]);
    expect(server.log().filter((request) => request.startsWith('list'))).toEqual(['list 0', 'list consistently']);
  });

  test('happens by itself at no time unless it is asked for', async () => {
    const server = new FakeServer();
    const { clock } = await start(server);
    for (let hours = 0; hours < 24; hours++) {
      await clock.advance(3_600_000);
      server.cut('in order');
      await settle();
    }
    expect(server.log().filter((request) => request.startsWith('list'))).toEqual(['list 0']);
  });
});

describe('stopping', () => {
  test.each([
    ['while it watches', (_server: FakeServer) => undefined],
    ['while it waits to try again', (server: FakeServer) => server.listFailures.push(new Error('no'))],
    ['while a list is under way', (server: FakeServer) => Object.assign(server, { silentLists: 1 })],
  ])('%s ends it at once and leaves nothing behind', async (_when, prepare) => {
    const server = new FakeServer();
    prepare(server);
    const { clock, stop, logger } = await start(server);
    const warnings = logger.messages('warn').length;
    await stop();
    expect([clock.pending, server.openWatches, logger.messages('warn').length]).toEqual([0, 0, warnings]);
  });
});

const fault = fc.constantFrom('cut', 'end', 'stall', 'compact', 'refuse', 'expire', 'bookmark', 'wait');
const step = fc.oneof(
  fc.record({ kind: fc.constantFrom('put', 'remove'), name: fc.constantFrom('a', 'b', 'c') }),
  fc.record({ kind: fault, name: fc.constant('') }),
);

test('whatever happens to the connection, the store becomes like the server', async () => {
  const act: Record<string, (server: FakeServer, name: string, clock: FakeClock) => unknown> = {
    put: (server, name) => server.put(name),
    remove: (server, name) => server.remove(name),
    cut: (server) => server.cut(new Error('connection reset')),
    end: (server) => server.cut('in order'),
    stall: (server) => server.stall(),
    compact: (server) => server.compact(),
    refuse: (server) => server.watchFailures.push(new Refusal(429, 2_000)),
    expire: (server) => server.listFailures.push(undefined, new Refusal(410)),
    bookmark: (server) => server.bookmark(),
    wait: (_server, _name, clock) => clock.advance(5_000),
  };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const server = new FakeServer();
      const { clock, store, stop } = await start(server, { pageSize: 1 });
      for (const { kind, name } of steps) {
        await act[kind]?.(server, name, clock);
        await settle();
      }
      for (let minutes = 0; minutes < 20; minutes++) await clock.advance(60_000);
      await settle();
      expect(names(store)).toEqual(server.names());
      await stop();
      expect(clock.pending).toBe(0);
    }),
    { numRuns: 60 },
  );
});
