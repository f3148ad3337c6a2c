import { expect, test } from 'vitest';
import { cacheRoot } from '../../cluster/context.ts';
import { quoted } from '../../cluster/env.ts';

test.each([
  ['/root/.cache/x', '/root/.cache/x'],
  ['/a b', "'/a b'"],
  ["/it's", "'/it'\\''s'"],
  ['/$(id)', "'/$(id)'"],
])('%s is one word of a shell as %s', (path, word) => {
  expect(quoted(path)).toBe(word);
});

test.each([
  [{ CODERUN_CLUSTER_HOME: '/c', XDG_CACHE_HOME: '/x' }, '/c'],
  [{ XDG_CACHE_HOME: '/x' }, '/x/coderun-cluster'],
])('with %j everything lies in %s', (environment, root) => {
  expect(cacheRoot(environment)).toBe(root);
});
