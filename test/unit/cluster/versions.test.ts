import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PINNED_MODULES } from '../../cluster/versions.ts';

const BUILD = join(import.meta.dirname, '../../cluster/build');

test('every module that is built has its version in versions.ts', () => {
  const folders = readdirSync(BUILD, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(folders.map(({ name }) => name).sort()).toEqual(Object.keys(PINNED_MODULES).sort());
});

test.each(Object.entries(PINNED_MODULES))('build/%s/go.mod requires the version of versions.ts', (folder, pinned) => {
  const mod = readFileSync(join(BUILD, folder, 'go.mod'), 'utf8');
  expect(mod.split('\n').map((line) => line.trim().replace(/^require /, ''))).toContain(
    `${pinned.module} v${pinned.version}`,
  );
});
