import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { CodeBatch } from '../../../src/api/codebatch.ts';
import type { CodeRunStatus } from '../../../src/api/coderun.ts';
import { CODE_BATCHES } from '../../../src/api/group.ts';
import { aCli, type CliOptions } from '../../support/cli-world.ts';
import { type Answer, answerJson, startHttpServer } from '../../support/http-server.ts';
import { aLiveGateway, type Controller, completes, type Ending } from '../../support/live-gateway.ts';

async function aShell(controller?: Controller, options: CliOptions = {}) {
  const stack = new AsyncDisposableStack();
  const gateway = stack.use(await aLiveGateway(controller));
  const cli = stack.use(aCli({ ...options, env: { CODERUN_URL: gateway.url, ...options.env } }));
  return { ...cli, gateway, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const create = (shell: Awaited<ReturnType<typeof aShell>>, name: string) =>
  shell.gateway.client.runs.create({ code: '1', name }, { waitSeconds: 2 });

describe('coderun get, logs, runs and cancel', () => {
  const printed = completes('out\n', {
    stderr: 'err\n',
    durationMilliseconds: 1500,
    startTime: '2020-01-01T00:00:00Z',
  });

  test('a run is shown with what it printed, harmless', async () => {
    await using shell = await aShell(completes('a\x1b[2J\n'), { terminal: true });
    await create(shell, 'one');
    expect(await shell.run('get', 'one')).toBe(0);
    expect(shell.out()).toContain('state:     succeeded (Completed)');
    expect(shell.out()).toContain('--- stdout\na\\x1b[2J\n');
  });

  test('--json shows the whole of it', async () => {
    await using shell = await aShell(printed);
    await create(shell, 'one');
    await shell.run('get', 'run/one', '--json');
    expect(JSON.parse(shell.out())).toMatchObject({ name: 'one', stdout: 'out\n' });
  });

  test('the output of a run comes out of the stream that it went into', async () => {
    await using shell = await aShell(printed);
    await create(shell, 'one');
    expect(await shell.run('logs', 'one')).toBe(0);
    expect([shell.out(), shell.err()]).toEqual(['out\n', 'err\n']);
    await using other = await aShell(printed);
    await create(other, 'one');
    await other.run('logs', 'one', '--stream', 'stderr');
    expect([other.out(), other.err()]).toEqual(['', 'err\n']);
  });

  test('runs are listed page by page, as many as are wanted', async () => {
    await using shell = await aShell(printed);
    for (const name of ['a', 'b', 'c']) await create(shell, name);
    expect(await shell.run('runs', '--limit', '2')).toBe(0);
    const lines = shell.out().trimEnd().split('\n');
    expect(lines[0]).toMatch(/^NAME +STATE +REASON +EXIT +DURATION +AGE$/);
    expect(lines[1]).toMatch(/^a +succeeded +Completed +0 +1\.5s +\d+d$/);
    expect(lines).toHaveLength(3);
  });

  test('what does not exist ends with 66', async () => {
    await using shell = await aShell();
    expect(await shell.run('get', 'nothing')).toBe(66);
    expect(shell.err()).toContain('RunNotFound');
  });

  test('a run is cancelled, and one that has ended had ended', async () => {
    await using shell = await aShell((run) => (run.metadata.name === 'done' ? { reason: 'Completed' } : undefined));
    await create(shell, 'done');
    await shell.gateway.client.runs.create({ code: '1', name: 'goes' });
    expect(await shell.run('cancel', 'goes', 'done')).toBe(0);
    expect(shell.out()).toBe('run/goes is being cancelled\nrun/done had ended already\n');
  });

  test('a gateway deletes no run, and says what does', async () => {
    await using shell = await aShell(printed);
    await create(shell, 'one');
    expect(await shell.run('delete', 'one')).toBe(2);
    expect(shell.err()).toContain('coderun delete --kube');
  });
});

describe('coderun batch', () => {
  /** Ends the batch as soon as it is there: `bad` fails. */
  async function endBatch({ gateway }: Awaited<ReturnType<typeof aShell>>): Promise<CodeBatch> {
    await gateway.until(() => gateway.kube.all(CODE_BATCHES).length > 0);
    const [batch] = gateway.kube.all<CodeBatch>(CODE_BATCHES);
    if (!batch) throw new Error('there is no batch');
    const items = batch.spec.items.map(({ name }, index) => ({
      name,
      runName: `gone-${name}`,
      reason: name === 'bad' ? 'NonZeroExit' : 'Completed',
      exitCode: name === 'bad' ? 1 : 0,
      completionTime: `2026-01-01T00:00:0${index}Z`,
    }));
    const condition = {
      type: 'Succeeded',
      status: 'False',
      reason: 'ItemsFailed',
      message: '',
      observedGeneration: 1,
      lastTransitionTime: '',
    } as const;
    await gateway.kube.replaceStatus(CODE_BATCHES, { ...batch, status: { items, conditions: [condition] } });
    return batch;
  }

  async function aFolder(folder: string, ...names: string[]): Promise<void> {
    await mkdir(join(folder, 'jobs'));
    for (const name of names) await writeFile(join(folder, 'jobs', name), `print("${name}")`);
  }

  test('every program of a folder is an item, and each is told of as it ends', async () => {
    await using shell = await aShell();
    await aFolder(shell.folder, 'Good One.py', 'bad.py', 'notes.txt');
    const ended = shell.run('batch', 'jobs', '--timeout', '5s', '--parallelism', '2', '--output', 'results');
    const { spec } = await endBatch(shell);
    expect(await ended).toBe(1);
    expect(spec).toMatchObject({ parallelism: 2, template: { language: 'python', timeoutSeconds: 5 } });
    expect(spec.items.map(({ name, code }) => [name, code])).toEqual([
      ['good-one', 'print("Good One.py")'],
      ['bad', 'print("bad.py")'],
    ]);
    expect(shell.out()).toMatch(/^good-one +Completed +0\nbad +NonZeroExit +1\n$/);
    expect(await readFile(join(shell.folder, 'results/bad.stdout'), 'utf8')).toBe('');
  });

  test('--json prints every result on a line', async () => {
    await using shell = await aShell();
    await aFolder(shell.folder, 'a.py');
    const ended = shell.run('batch', 'jobs', '--json');
    await endBatch(shell);
    expect(await ended).toBe(0);
    expect(JSON.parse(shell.out())).toMatchObject({ item: 'a', state: 'succeeded' });
  });

  test('a name of an item that leads elsewhere is not written to', async () => {
    const result = { item: '../../escaped', state: 'succeeded', reason: 'Completed', stdout: 'x' };
    const results: Answer = (response) => response.end(`${JSON.stringify(result)}\n`);
    await using server = await startHttpServer(answerJson(201, {}), results);
    await using cli = aCli({ env: { CODERUN_URL: server.url } });
    await aFolder(cli.folder, 'a.py');
    expect(await cli.run('batch', 'jobs', '--output', 'results')).toBe(0);
    const [saved = '', ...others] = await readdir(join(cli.folder, 'results'));
    expect([saved, others.length]).toEqual([expect.stringMatching(/^[a-z-]+\.stderr$/), 1]);
  });

  test.each([
    ['two languages', ['a.py', 'b.sh'], 2, 'two languages'],
    ['no programs', ['a.txt'], 66, 'holds no .py'],
  ])('a folder with %s is refused', async (_name, files, code, expected) => {
    await using shell = await aShell();
    await aFolder(shell.folder, ...files);
    expect(await shell.run('batch', 'jobs')).toBe(code);
    expect(shell.err()).toContain(expected);
  });
});

describe('coderun doctor', () => {
  const FACTS = {
    kernel: '4.19.0-gvisor',
    gvisor: true,
    user: 1000,
    root: false,
    capabilities: 0,
    privileges: false,
    token: false,
    writable: [],
    interfaces: ['lo'],
    resolves: false,
    connects: { internet: [false, 'OSError'], metadata: [false, 'OSError'] },
  };

  const well = (stdout: string, status: CodeRunStatus = {}): Ending => ({
    reason: 'Completed',
    status: { stdout, exitCode: 0, ...status },
  });
  const CUT = { stdoutBytes: 4_194_304, stderrBytes: 0, stdoutTruncated: true, stderrTruncated: false };

  /** A cluster that keeps its promises, but for `changes` to what programs see there. */
  function cluster(changes: object = {}, hoarder: Ending = { reason: 'OutOfMemory' }): Controller {
    const endings: [part: string, ending: Ending][] = [
      ['klogctl', well(`${JSON.stringify({ ...FACTS, ...changes })}\n`)],
      ['while True', { reason: 'Timeout', status: { durationMilliseconds: 1010 } }],
      ['held', hoarder],
      ['fork', well('250 [Errno 11] Resource temporarily unavailable\n')],
      ['filler', { reason: 'DiskLimit' }],
      ['1023', well('x', { output: CUT })],
      ['trace', well('[]\n')],
      ['6 * 7', well('42\n')],
    ];
    return ({ spec }) => endings.find(([part]) => spec.code?.includes(part))?.[1];
  }

  test('a cluster that keeps its promises is told to be well', async () => {
    await using shell = await aShell(cluster());
    expect(await shell.run('doctor')).toBe(0);
    expect(shell.out()).not.toContain('FAILED');
    expect(shell.out().match(/^ok /gm)).toHaveLength(11);
    expect(shell.out()).toMatch(/^skipped +runtime-class/m);
  });

  test.each([
    ['gvisor', { gvisor: false, kernel: '6.1.0' }],
    ['network', { connects: { metadata: [true, 'connected'] } }],
    ['network', { resolves: true }],
    ['rights', { user: 0 }],
    ['rights', { root: true }],
    ['rights', { capabilities: 1 }],
    ['rights', { privileges: true }],
    ['rights', { token: true }],
    ['root-files', { writable: ['/etc'] }],
  ])('the check %s fails where a program sees %o', async (name, changes) => {
    await using shell = await aShell(cluster(changes));
    expect(await shell.run('doctor')).toBe(1);
    expect(shell.out().match(/^FAILED +\S+/gm)).toEqual([expect.stringMatching(new RegExp(`^FAILED +${name}$`))]);
  });

  test('a limit that does not bite is told', async () => {
    await using shell = await aShell(cluster({}, well('4 GiB are held\n')));
    expect(await shell.run('doctor', '--json')).toBe(1);
    const failed = JSON.parse(shell.out()).filter(({ state }: { state: string }) => state === 'FAILED');
    expect(failed).toMatchObject([{ name: 'memory', detail: 'Completed, 4 GiB are held' }]);
  });

  test('where nothing runs, every check fails', async () => {
    await using shell = await aShell(() => ({ reason: 'SandboxStartFailed' }));
    expect(await shell.run('doctor', '--class', 'odd')).toBe(1);
    expect(shell.out().match(/^FAILED /gm)).toHaveLength(11);
    expect(shell.gateway.allRuns().every(({ spec }) => spec.className === 'odd')).toBe(true);
  });
});
