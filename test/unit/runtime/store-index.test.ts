import { expect, test } from 'vitest';
import { StoreIndex } from '../../../src/runtime/store-index.ts';

const index = () => new StoreIndex<{ at: string[] }>(({ at }) => at);

test('objects of one value are found in the order of their coming, though one has changed otherwise', () => {
  const found = index();
  for (const key of ['b', 'a', 'c']) found.set(key, { at: ['x'] });
  found.set('b', { at: ['x'] });
  expect([...found.keys('x')]).toEqual(['b', 'a', 'c']);
});

test('an object is found under what it has now, and under nothing else', () => {
  const found = index();
  found.set('a', { at: ['x', 'y'] });
  found.set('a', { at: ['y', 'z'] });
  expect(['x', 'y', 'z'].map((value) => [...found.keys(value)])).toEqual([[], ['a'], ['a']]);
  found.delete('a');
  expect([...found.keys('y')]).toEqual([]);
});

test('an object that was deleted and comes again comes last', () => {
  const found = index();
  for (const key of ['a', 'b']) found.set(key, { at: ['x'] });
  found.delete('a');
  found.set('a', { at: ['x'] });
  expect([...found.keys('x')]).toEqual(['b', 'a']);
});
