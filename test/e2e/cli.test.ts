import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GATEWAY, newNamespace } from './support.ts';

const BIN = resolve(import.meta.dirname, '../../bin');
const namespace = await newNamespace();
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coderun-cli-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** The command as a user has it; `name` is how it was called. */
function command(name: 'coderun' | 'kubectl-coderun', ...argv: string[]): Promise<Ended> {
  const env = { ...process.env, CODERUN_URL: GATEWAY, CODERUN_NAMESPACE: '', HOME: folder };
  return new Promise((done) => {
    execFile(join(BIN, name), argv, { cwd: folder, env, timeout: 110_000 }, (error, stdout, stderr) => {
      done({ code: error ? Number(error.code ?? 255) : 0, stdout, stderr });
    });
  });
}

const WAYS: [way: string, run: (...argv: string[]) => Promise<Ended>][] = [
  ['through the gateway', (...argv) => command('coderun', ...argv)],
  ['straight to Kubernetes', (...argv) => command('kubectl-coderun', '-n', namespace, ...argv)],
];

describe.each(WAYS)('coderun, %s', (_way, coderun) => {
  test('a program prints and ends as it ends', async () => {
    const code = 'import sys; print("out"); print("err", file=sys.stderr); sys.exit(7)';
    expect(await coderun('run', '-c', code)).toEqual({ code: 7, stdout: 'out\n', stderr: 'err\n' });
  });

  test.each([
    ['128 + the signal that ended it', 'import os; os.kill(os.getpid(), 11)', 139],
    ['124 after its timeout', 'while True: pass', 124],
    ['137 where it needs more memory', 'x = b"x" * (1 << 32)', 137],
  ])('a program ends with %s', async (_name, code, expected) => {
    expect((await coderun('run', '-c', code, '--timeout', '2s', '--memory', '128Mi')).code).toBe(expected);
  });

  test('output is shown as it comes, each stream by itself', async () => {
    const code =
      'import sys, time\nfor i in range(3): print(i, flush=True); time.sleep(0.1)\nprint("e", file=sys.stderr)';
    expect(await coderun('run', '-c', code, '--watch')).toEqual({ code: 0, stdout: '0\n1\n2\n', stderr: 'e\n' });
  });

  test('files go in and come out', async () => {
    await writeFile(join(folder, 'in.txt'), 'here');
    const out = (await mkdtemp(join(folder, 'out-'))).slice(folder.length + 1);
    const code = 'open("back.txt", "w").write(open("in.txt").read() + " and back")';
    expect((await coderun('run', '-c', code, '-f', 'in.txt', '-a', '*.txt', '-o', out)).code).toBe(0);
    expect(await readFile(join(folder, out, 'back.txt'), 'utf8')).toBe('here and back');
  });

  test('a run is looked at, listed and read afterwards', async () => {
    const { stdout } = await coderun('run', '-c', 'print("later")', '--detach');
    const name = stdout.trim();
    expect((await coderun('logs', name, '--follow')).stdout).toBe('later\n');
    expect((await coderun('get', name)).stdout).toContain('--- stdout\nlater\n');
    expect((await coderun('runs')).stdout).toContain(name);
    expect((await coderun('cancel', name)).stdout).toContain('had ended already');
  });

  test('the doctor finds the cluster safe', async () => {
    const { code, stdout, stderr } = await coderun('doctor');
    expect([stdout.match(/^FAILED.*$/gm), stderr, code]).toEqual([null, '', 0]);
  });
});

test('straight to Kubernetes, a run is deleted', async () => {
  const { stdout } = await command('kubectl-coderun', '-n', namespace, 'run', '-c', '1', '--detach');
  const name = stdout.trim();
  expect((await command('kubectl-coderun', '-n', namespace, 'delete', name)).code).toBe(0);
  expect((await command('kubectl-coderun', '-n', namespace, 'get', name)).code).toBe(66);
});
