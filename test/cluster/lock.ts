/** One command at a time changes the cluster; others wait for it. */

import { existsSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from './context.ts';
import { identify, isAlive, type ProcessIdentity } from './processes.ts';

/** Runs `work` while no other process holds the lock. */
export async function withLock<T>(context: Context, work: () => Promise<T>): Promise<T> {
  const file = join(context.paths.root, 'lock');
  let told = false;
  while (!take(file)) {
    const holder = holderOf(file);
    if (holder === undefined) {
      rmSync(file, { force: true }); // Its process has ended without letting go.
      continue;
    }
    if (!told) context.progress.say(`Waiting for process ${holder.pid}, which is at work on the cluster.`);
    told = true;
    await sleep(500, undefined, { signal: context.signal });
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

/** The lock appears with its content: a link to a file that is written already. */
function take(file: string): boolean {
  const own = `${file}.${process.pid}`;
  writeFileSync(own, JSON.stringify(identify(process.pid)));
  try {
    linkSync(own, file);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(own, { force: true });
  }
}

function holderOf(file: string): ProcessIdentity | undefined {
  try {
    const holder: ProcessIdentity = JSON.parse(existsSync(file) ? readFileSync(file, 'utf8') : 'null');
    return holder !== null && isAlive(holder) ? holder : undefined;
  } catch {
    return undefined;
  }
}
