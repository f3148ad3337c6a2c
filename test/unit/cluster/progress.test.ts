import { expect, test } from 'vitest';
import { createProgress, duration } from '../../cluster/progress.ts';

function captured(isTTY: boolean) {
  const written: string[] = [];
  let now = 0;
  const progress = createProgress({ isTTY, columns: 40, write: (text) => written.push(text) }, () => now);
  return { progress, written, pass: (milliseconds: number) => (now += milliseconds) };
}

test('without a terminal, a step says when it begins and how long it took', async () => {
  const { progress, written, pass } = captured(false);
  progress.expect(2);
  await progress.step('Build kind', async () => pass(72_000));
  progress.skip('Build etcd', 'made before');
  expect(written).toEqual([
    '[1/2] Build kind …\n',
    '[1/2] Build kind: done in 1 min 12 s\n',
    '[2/2] Build etcd: made before\n',
  ]);
});

test('on a terminal, one line lives until the step is done', async () => {
  const { progress, written, pass } = captured(true);
  progress.expect(1);
  await progress.step('Build kind', async () => pass(500));
  expect(written).toEqual(['\r\x1b[K[1/1] Build kind … 0.0 s', '\r\x1b[K[1/1] Build kind: done in 0.5 s\n']);
});

test('a step that fails says so and passes the error on', async () => {
  const { progress, written } = captured(false);
  const failing = progress.step('Build kind', () => Promise.reject(new Error('no disk')));
  await expect(failing).rejects.toThrow('no disk');
  expect(written.at(-1)).toBe('[1/1] Build kind: FAILED after 0.0 s\n');
});

test.each([
  [0, '0.0 s'],
  [9_940, '9.9 s'],
  [59_400, '59 s'],
  [59_600, '1 min 00 s'],
  [3_725_000, '62 min 05 s'],
])('%i ms is said as %s', (milliseconds, words) => {
  expect(duration(milliseconds)).toBe(words);
});
