/**
 * `npm test`: every check and every test, one after the other, and one line `N passed, N failed` at the end.
 * With arguments, only the stages named: `npm test -- checks unit`.
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { binaries, ensureCluster } from './cluster/cluster.ts';

interface Count {
  passed: number;
  failed: number;
}

interface Finished {
  code: number;
  output: string;
}

const ROOT = resolve(import.meta.dirname, '..');
const BIN = join(ROOT, 'node_modules/.bin');
const TAIL = 64 * 1024;

/** Runs a command with its output shown; keeps the end of that output. */
function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Finished> {
  const child = spawn(command, args, {
    cwd: ROOT,
    env: { ...process.env, PATH: `${BIN}:${process.env['PATH']}`, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const keep = (target: NodeJS.WriteStream) => (chunk: Buffer) => {
    target.write(chunk);
    output = (output + chunk.toString('utf8')).slice(-TAIL);
  };
  child.stdout.on('data', keep(process.stdout));
  child.stderr.on('data', keep(process.stderr));
  return new Promise((done, reject) => {
    child.once('error', reject);
    child.once('close', (code) => done({ code: code ?? 1, output }));
  });
}

/** A command that is one test: it passes by ending with 0. */
async function check(command: string, ...args: string[]): Promise<Count> {
  const { code } = await run(command, args);
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

async function vitest(project: string, env: NodeJS.ProcessEnv = {}): Promise<Count> {
  const folder = mkdtempSync(join(tmpdir(), 'coderun-test-'));
  try {
    const report = join(folder, 'report.json');
    const args = [
      'run',
      `--project=${project}`,
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
    ];
    const { code } = await run('vitest', args, env);
    const { numPassedTests: passed, numFailedTests: failed } = JSON.parse(readFileSync(report, 'utf8'));
    // A file that can't be loaded fails without a failed test in it.
    return { passed, failed: failed || (code === 0 ? 0 : 1) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function unittest(): Promise<Count> {
  const { code, output } = await run('python3', [
    '-m',
    'unittest',
    'discover',
    '--start-directory',
    'test/agent',
    '--buffer',
  ]);
  const number = (pattern: RegExp) => Number(pattern.exec(output)?.[1] ?? 0);
  const failed = number(/failures=(\d+)/) + number(/errors=(\d+)/);
  const total = number(/Ran (\d+) test/) - number(/skipped=(\d+)/);
  return { passed: Math.max(0, total - failed), failed: failed || (code === 0 && total > 0 ? 0 : 1) };
}

const sum = (counts: readonly Count[]): Count => ({
  passed: counts.reduce((all, { passed }) => all + passed, 0),
  failed: counts.reduce((all, { failed }) => all + failed, 0),
});

async function inCluster(project: string, nodes?: number): Promise<Count> {
  const { kubeconfig, binDir, url } = await ensureCluster({ nodes });
  const path = [binDir, BIN, process.env['PATH']].join(delimiter);
  return vitest(project, { KUBECONFIG: kubeconfig, CODERUN_URL: url, PATH: path });
}

/** Run in this order, all but the last where none is named. */
const STAGES: Record<string, () => Promise<Count>> = {
  checks: async () => sum([await check('tsc', '-p', '.'), await check('biome', 'check', '.'), await check('knip')]),
  unit: () => vitest('unit'),
  agent: unittest,
  integration: async () => vitest('integration', { CODERUN_BIN_DIR: await binaries() }),
  e2e: () => inCluster('e2e'),
  /** Long, and only when named: `npm run test:faults`. */
  faults: () => inCluster('faults', 2),
};

async function main(wanted: readonly string[]): Promise<number> {
  const unknown = wanted.filter((stage) => !(stage in STAGES));
  if (unknown.length > 0) {
    process.stderr.write(`No such stage: ${unknown.join(', ')}. There are ${Object.keys(STAGES).join(', ')}.\n`);
    return 2;
  }
  const counts: Count[] = [];
  for (const [name, stage] of Object.entries(STAGES)) {
    if (wanted.length > 0 ? !wanted.includes(name) : name === 'faults') continue;
    process.stdout.write(`\n== ${name}\n`);
    const started = performance.now();
    const count = await stage().catch((error: unknown): Count => {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
      return { passed: 0, failed: 1 };
    });
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    process.stdout.write(`== ${name}: ${count.passed} passed, ${count.failed} failed in ${seconds} s\n`);
    counts.push(count);
  }
  const { passed, failed } = sum(counts);
  process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

process.exit(await main(process.argv.slice(2)));
