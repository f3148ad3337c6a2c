/** Names can't lead out of the path that they belong to. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CODE_RUNS, type ResourceType, SANDBOX_CLASSES } from '../../../src/api/group.ts';
import { KubeError } from '../../../src/kube/error.ts';
import { collectionPath, objectPath, withQuery } from '../../../src/kube/paths.ts';
import { PODS } from '../../../src/kube/resources.ts';

test.each<[string, ResourceType, string | undefined, string, string | undefined, string]>([
  ['a core type', PODS, 'ns', 'p', undefined, '/api/v1/namespaces/ns/pods/p'],
  ['a subresource', PODS, 'ns', 'p', 'log', '/api/v1/namespaces/ns/pods/p/log'],
  ['a type of a group', CODE_RUNS, 'ns', 'a.b-c', undefined, '/apis/coderun.dev/v1alpha1/namespaces/ns/coderuns/a.b-c'],
  ['a cluster type', SANDBOX_CLASSES, undefined, 'c', undefined, '/apis/coderun.dev/v1alpha1/sandboxclasses/c'],
])('an object of %s has its path', (_name, type, namespace, name, subresource, path) => {
  expect(objectPath(type, namespace, name, subresource)).toBe(path);
});

test('without a namespace, a collection spans all of them', () => {
  expect(collectionPath(PODS, undefined)).toBe('/api/v1/pods');
  expect(collectionPath(PODS, 'ns')).toBe('/api/v1/namespaces/ns/pods');
});

const BAD_NAMES = [
  '',
  '.',
  '..',
  'a/b',
  '../secrets',
  'a%2fb',
  'a?x=1',
  'a#b',
  'A',
  'a b',
  '-a',
  'a-',
  'a..b',
  'ä',
  'a\n',
];

test.each([...BAD_NAMES, 'a'.repeat(254)])('the name %j is refused, as an object and as a namespace', (name) => {
  expect(() => objectPath(PODS, 'ns', name)).toThrow(KubeError);
  expect(() => objectPath(PODS, name, 'p')).toThrow(KubeError);
});

test('a namespace is neither forgotten nor too much', () => {
  expect(() => objectPath(PODS, undefined, 'p')).toThrow('lies in a namespace');
  expect(() => objectPath(SANDBOX_CLASSES, 'ns', 'c')).toThrow('lies in no namespace');
});

test('whatever the name, it is one segment of the path or an error', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (name) => {
      let path: string;
      try {
        path = objectPath(PODS, 'ns', name);
      } catch (error) {
        return error instanceof KubeError;
      }
      return new URL(path, 'http://host').pathname === `/api/v1/namespaces/ns/pods/${name}`;
    }),
  );
});

test('what a query holds comes back as it was', () => {
  const text = fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed());
  fc.assert(
    fc.property(text, (labelSelector) => {
      const url = new URL(withQuery('/x', { labelSelector, limit: undefined, watch: true }), 'http://host');
      expect([...url.searchParams]).toEqual([
        ['labelSelector', labelSelector],
        ['watch', 'true'],
      ]);
    }),
  );
});
