import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { asStage, type CachedStep, resultOf } from '../../cluster/cached-step.ts';
import { type Context, createContext } from '../../cluster/context.ts';

let home: string;
let context: Context;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'coderun-step-'));
  context = createContext({ environment: { CODERUN_CLUSTER_HOME: home }, output: { write: () => {} } });
});
afterEach(() => rmSync(home, { recursive: true }));

function aStep(changes: Partial<CachedStep> = {}): CachedStep {
  return {
    name: 'a-step',
    title: 'Make it',
    remedy: '',
    inputs: ['1'],
    files: [],
    needs: [],
    make: async (target) => writeFileSync(join(target, 'result'), 'made'),
    ...changes,
  };
}

const isDone = async (step: CachedStep) => (await asStage(context, step).done?.()) !== undefined;
const make = (step: CachedStep) => asStage(context, step).run(() => {});
const resultIn = (step: CachedStep) => readFileSync(join(resultOf(context, step), 'result'), 'utf8');

test('a step is done once it was made, and until what it is made from changes', async () => {
  expect(await isDone(aStep())).toBe(false);
  await make(aStep());
  expect(await isDone(aStep())).toBe(true);
  expect(await isDone(aStep({ inputs: ['2'] }))).toBe(false);
  expect(await isDone(aStep({ needs: [aStep({ name: 'another' })] }))).toBe(false);
});

test('a step depends on the content of its files', async () => {
  const file = join(home, 'source');
  writeFileSync(file, 'old');
  await make(aStep({ files: [file] }));
  expect(await isDone(aStep({ files: [file] }))).toBe(true);
  writeFileSync(file, 'new');
  expect(await isDone(aStep({ files: [file] }))).toBe(false);
});

test('a step that breaks off leaves the earlier result as it was', async () => {
  await make(aStep());
  const breaksOff = aStep({
    inputs: ['2'],
    make: async (target) => {
      writeFileSync(join(target, 'result'), 'half');
      throw new Error('no disk');
    },
  });
  await expect(make(breaksOff)).rejects.toThrow('no disk');
  expect(resultIn(breaksOff)).toBe('made');
  expect(await isDone(breaksOff)).toBe(false);
});

test('what a broken-off step left is gone when it is made again', async () => {
  const [first] = [aStep({ make: async (target) => Promise.reject(writeFileSync(join(target, 'litter'), '')) })];
  await expect(make(first)).rejects.toBeUndefined();
  await make(aStep());
  expect(existsSync(join(resultOf(context, first), 'litter'))).toBe(false);
});
