/** The lines of earlier shells, kept in a file that only its owner reads. */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

const LINES = 1000;

/** Newest first, as readline has them. */
export async function loadHistory(path: string): Promise<string[]> {
  try {
    return (await readFile(path, 'utf8')).split('\n').filter(Boolean).slice(-LINES).reverse();
  } catch {
    return [];
  }
}

export async function saveHistory(path: string, newestFirst: readonly string[]): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const lines = newestFirst.slice(0, LINES).reverse();
  await writeFile(path, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
}
