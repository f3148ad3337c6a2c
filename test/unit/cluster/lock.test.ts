import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Context, createContext } from '../../cluster/context.ts';
import { withLock } from '../../cluster/lock.ts';

let home: string;
let context: Context;
const said: string[] = [];

beforeEach(() => {
  said.length = 0;
  home = mkdtempSync(join(tmpdir(), 'coderun-lock-'));
  const output = { write: (text: string) => said.push(text) };
  context = createContext({ environment: { CODERUN_CLUSTER_HOME: home }, output });
});
afterEach(() => rmSync(home, { recursive: true }));

test('the second waits for the first, and says for whom', async () => {
  const order: string[] = [];
  const first = withLock(context, async () => {
    order.push('first begins');
    await new Promise((resolve) => setImmediate(resolve));
    order.push('first ends');
  });
  await Promise.all([first, withLock(context, async () => order.push('second'))]);
  expect(order).toEqual(['first begins', 'first ends', 'second']);
  expect(said).toEqual([`Waiting for process ${process.pid}, which is at work on the cluster.\n`]);
});

test.each([
  ['of a process that has ended', JSON.stringify({ pid: process.pid, startTime: '1' })],
  ['that is no lock', 'rubbish'],
])('a lock %s holds nobody up', async (_name, content) => {
  writeFileSync(join(home, 'lock'), content);
  expect(await withLock(context, async () => 'done')).toBe('done');
});

test('the lock is let go when the work fails', async () => {
  await expect(withLock(context, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(existsSync(join(home, 'lock'))).toBe(false);
});
