/** The store: newer wins, deletions stay, and whoever listens sees the same. */

import { describe, expect, test } from 'vitest';
import { type Change, Store, type StoreOptions } from '../../../src/runtime/store.ts';
import { settle } from '../../support/clock.ts';
import { aThing, RecordingLogger, type Thing } from './support.ts';

const KEY = 'default/a';
const list = { consistent: false };

function aStore(options: Partial<StoreOptions<Thing, 'value'>> = {}) {
  const logger = new RecordingLogger();
  const store = new Store<Thing, 'value'>({ logger, indexes: { value: (thing) => [thing.value] }, ...options });
  const changes: Change<Thing>[] = [];
  store.onChange((change) => changes.push(change));
  return { store, changes, logger };
}

const names = (things: readonly Thing[]): string[] => things.map((thing) => thing.metadata.name).sort();
const versionOf = (store: Store<Thing, 'value'>, key = KEY): string | undefined =>
  store.get(key)?.metadata.resourceVersion;
const summary = (changes: readonly Change<Thing>[]): string[] =>
  changes.map(({ type, object }) => `${type} ${object.metadata.name}@${object.metadata.resourceVersion}`);

describe('watching', () => {
  test('events add, change and remove, and the listener is told of each with what was before', () => {
    const { store, changes } = aStore();
    const [one, two, three] = [aThing('a', 1), aThing('a', 2), aThing('a', 3)];
    store.apply({ type: 'ADDED', object: one });
    store.apply({ type: 'MODIFIED', object: two });
    expect(store.list()).toEqual([two]);
    store.apply({ type: 'DELETED', object: three });
    expect(store.size).toBe(0);
    expect(changes).toEqual([
      { type: 'ADDED', object: one },
      { type: 'MODIFIED', object: two, old: one },
      { type: 'DELETED', object: three, old: two },
    ]);
  });

  test('events and bookmarks move the resource version on, never back', () => {
    const { store } = aStore();
    store.replace([], '99', list);
    store.apply({ type: 'BOOKMARK', resourceVersion: '101' });
    store.apply({ type: 'BOOKMARK', resourceVersion: '100' });
    expect(store.resourceVersion).toBe('101');
    store.apply({ type: 'ADDED', object: aThing('a', 102) });
    expect(store.resourceVersion).toBe('102');
  });

  test('an event older than what is known changes nothing and is told to nobody', () => {
    const { store, changes } = aStore();
    store.apply({ type: 'ADDED', object: aThing('a', 10) });
    store.apply({ type: 'MODIFIED', object: aThing('a', 9) });
    store.apply({ type: 'MODIFIED', object: aThing('a', 10) });
    store.apply({ type: 'DELETED', object: aThing('a', 9) });
    expect(versionOf(store)).toBe('10');
    expect(summary(changes)).toEqual(['ADDED a@10']);
  });
});

describe('lists', () => {
  test('what a list does not hold is deleted', () => {
    const { store, changes } = aStore();
    store.replace([aThing('a', 1), aThing('b', 2)], '5', list);
    store.replace([aThing('b', 2), aThing('c', 7)], '8', list);
    expect(names(store.list())).toEqual(['b', 'c']);
    expect(summary(changes)).toEqual(['ADDED a@1', 'ADDED b@2', 'DELETED a@1', 'ADDED c@7']);
  });

  test('an object that came back under the same name is seen to go and to come', () => {
    const { store, changes } = aStore();
    store.replace([aThing('a', 1, { uid: 'first' })], '5', list);
    store.replace([aThing('a', 7, { uid: 'second' })], '8', list);
    expect(changes.map(({ type, object }) => [type, object.metadata.uid])).toEqual([
      ['ADDED', 'first'],
      ['DELETED', 'first'],
      ['ADDED', 'second'],
    ]);
  });

  test('a list from a cache that lags behind brings nothing deleted back', () => {
    const { store } = aStore();
    store.apply({ type: 'ADDED', object: aThing('a', 10) });
    store.apply({ type: 'DELETED', object: aThing('a', 12) });
    store.replace([aThing('a', 10)], '11', list);
    expect(store.size).toBe(0);
    expect(store.resourceVersion).toBe('12');
  });

  test('a list that is older than an object does not delete it', () => {
    const { store } = aStore();
    store.upsert(aThing('a', 10));
    store.replace([], '9', list);
    expect(versionOf(store)).toBe('10');
    store.replace([], '10', list);
    expect(store.size).toBe(0);
  });

  test('a consistent list from before what was seen is a restored history, and is taken as it is', () => {
    const { store, changes } = aStore();
    store.replace([aThing('a', 90), aThing('gone', 95)], '100', list);
    changes.length = 0;
    store.replace([aThing('a', 40), aThing('back', 30)], '50', { consistent: true });
    expect(store.resourceVersion).toBe('50');
    expect(summary(changes)).toEqual(['DELETED gone@95', 'MODIFIED a@40', 'ADDED back@30']);
  });

  test('listeners see the whole list when they are told of its first change', () => {
    const { store } = aStore();
    const sizes: number[] = [];
    store.onChange(() => sizes.push(store.size));
    store.replace([aThing('a', 1), aThing('b', 2)], '5', list);
    expect(sizes).toEqual([2, 2]);
  });

  test('the store is synced after the first list, not before', async () => {
    const { store } = aStore();
    let isSynced = false;
    void store.synced.then(() => {
      isSynced = true;
    });
    store.upsert(aThing('a', 1));
    store.apply({ type: 'BOOKMARK', resourceVersion: '2' });
    await settle();
    expect([isSynced, store.isSynced]).toEqual([false, false]);
    store.replace([], '3', list);
    await settle();
    expect([isSynced, store.isSynced]).toEqual([true, true]);
  });
});

describe('writes of our own', () => {
  test('are seen at once, and the watch event that repeats them is not told again', () => {
    const { store, changes } = aStore();
    store.replace([aThing('a', 9)], '9', list);
    expect(store.upsert(aThing('a', 10))).toBe(true);
    expect(versionOf(store)).toBe('10');
    store.apply({ type: 'MODIFIED', object: aThing('a', 10) });
    expect(summary(changes)).toEqual(['ADDED a@9', 'MODIFIED a@10']);
  });

  test('do not move the resource version of the watch', () => {
    const { store } = aStore();
    store.replace([], '9', list);
    store.upsert(aThing('a', 20));
    expect(store.resourceVersion).toBe('9');
  });

  test('never overwrite a newer object', () => {
    const { store } = aStore();
    store.apply({ type: 'ADDED', object: aThing('a', '100000000000000000000') });
    expect(store.upsert(aThing('a', '99999999999999999999'))).toBe(false);
    expect(versionOf(store)).toBe('100000000000000000000');
  });

  test('never bring back what was seen to be deleted, by an event or by a list', () => {
    const { store } = aStore();
    store.replace([aThing('a', 5), aThing('b', 6)], '9', list);
    store.apply({ type: 'DELETED', object: aThing('a', 12) });
    expect(store.upsert(aThing('a', 11))).toBe(false);
    store.replace([], '20', list);
    expect(store.upsert(aThing('b', 19))).toBe(false);
    expect(store.size).toBe(0);
  });

  test('a deletion from before our creation of the same name does not remove what we created', () => {
    const { store } = aStore();
    store.replace([aThing('a', 5, { uid: 'first' })], '9', list);
    store.upsert(aThing('a', 12, { uid: 'second' }));
    store.apply({ type: 'DELETED', object: aThing('a', 11, { uid: 'first' }) });
    expect(store.get(KEY)?.metadata.uid).toBe('second');
  });

  test('a deletion with the very version of our write removes the object: it is no longer selected', () => {
    const { store } = aStore();
    store.replace([aThing('a', 5)], '9', list);
    store.upsert(aThing('a', 12));
    store.apply({ type: 'DELETED', object: aThing('a', 12) });
    expect(store.size).toBe(0);
  });
});

describe('indexes', () => {
  test('find objects by each of their values, and follow every change', () => {
    const { store } = aStore({ indexes: { value: (thing) => thing.value.split('') } });
    store.replace([aThing('a', 1, { value: 'xy' }), aThing('b', 2, { value: 'y' })], '5', list);
    expect([names(store.by('value', 'x')), names(store.by('value', 'y'))]).toEqual([['a'], ['a', 'b']]);
    store.apply({ type: 'MODIFIED', object: aThing('a', 6, { value: 'z' }) });
    store.apply({ type: 'DELETED', object: aThing('b', 7, { value: 'y' }) });
    expect(['x', 'y', 'z'].map((value) => names(store.by('value', value)))).toEqual([[], [], ['a']]);
  });

  test('forget an object even if it was changed in place', () => {
    const { store } = aStore();
    const thing = aThing('a', 1, { value: 'before' });
    store.upsert(thing);
    thing.value = 'after';
    store.apply({ type: 'DELETED', object: aThing('a', 2) });
    expect(store.by('value', 'before')).toEqual([]);
    store.upsert(aThing('a', 3, { value: 'other' }));
    expect(names(store.by('value', 'before'))).toEqual([]);
  });
});

test('objects are cut down before they are kept, whichever way they come', () => {
  const { store } = aStore({ transform: (thing) => ({ ...thing, value: 'cut' }) });
  store.replace([aThing('a', 1, { value: 'whole' })], '5', list);
  store.apply({ type: 'ADDED', object: aThing('b', 6, { value: 'whole' }) });
  store.upsert(aThing('c', 7, { value: 'whole' }));
  expect(names(store.by('value', 'cut'))).toEqual(['a', 'b', 'c']);
});

describe('listeners', () => {
  test('one that throws is logged, and the others are told', () => {
    const logger = new RecordingLogger();
    const store = new Store<Thing>({ logger });
    store.onChange(() => {
      throw new Error('broken');
    });
    const told: string[] = [];
    store.onChange(({ object }) => told.push(object.metadata.name));
    store.upsert(aThing('a', 1));
    expect(told).toEqual(['a']);
    expect(logger.messages('error')).toEqual(['store listener failed']);
  });

  test('are told nothing more after they are disposed of', () => {
    const store = new Store<Thing>({ logger: new RecordingLogger() });
    const told: string[] = [];
    store.onChange(({ object }) => told.push(object.metadata.name))[Symbol.dispose]();
    store.upsert(aThing('a', 1));
    expect(told).toEqual([]);
  });
});
