/** Runs the scripts of examples/ as somebody would who has read them: in a folder of their own. */

import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);
/** What the examples in Python need, where the machine does not have it: brought here by pip, once. */
const REQUIREMENT = 'requests==2.34.2';
const PACKAGES = resolve(import.meta.dirname, '../../.cache/examples-python');

const EXAMPLES = resolve(import.meta.dirname, '../../examples');
const PROGRAMS: Record<string, string> = { '.sh': 'bash', '.ts': process.execPath, '.py': 'python3' };

export const LANGUAGES = ['curl/NAME.sh', 'typescript/NAME.ts', 'python/NAME.py'] as const;

export interface Shown {
  code: number | null;
  stdout: string;
  stderr: string;
  /** What it left in its folder. */
  files: Record<string, Buffer>;
}

/** `path` is one of `LANGUAGES` with the name of an example. */
export async function runExample(path: string, env: Record<string, string>): Promise<Shown> {
  const folder = await mkdtemp(join(tmpdir(), 'coderun-example-'));
  try {
    const packages = path.endsWith('.py') ? await pythonPackages() : {};
    const ended = await run(join(EXAMPLES, path), folder, { ...packages, ...env });
    const names = await readdir(folder);
    const files = await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const));
    return { ...ended, files: Object.fromEntries(files) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function run(script: string, cwd: string, env: Record<string, string>): Promise<Omit<Shown, 'files'>> {
  const child = spawn(PROGRAMS[extname(script)] ?? '', [script], {
    cwd,
    env: { ...process.env, NO_PROXY: '127.0.0.1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      said[stream] += text;
    });
  return new Promise((done, reject) => {
    child.once('error', reject);
    child.once('close', (code) => done({ ...said, code }));
  });
}

let brought: Promise<Record<string, string>> | undefined;

function pythonPackages(): Promise<Record<string, string>> {
  brought ??= execute('python3', ['-c', 'import requests']).then(
    () => ({}),
    async () => {
      await execute('python3', ['-m', 'pip', 'install', '--quiet', '--target', PACKAGES, REQUIREMENT]);
      return { PYTHONPATH: PACKAGES };
    },
  );
  return brought;
}
