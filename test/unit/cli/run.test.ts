import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { CodeRunStatus } from '../../../src/api/coderun.ts';
import { anExit } from '../../support/builders.ts';
import { aCli, type CliOptions } from '../../support/cli-world.ts';
import { NAMESPACE } from '../../support/gateway-world.ts';
import { aLiveGateway, type Controller, completes } from '../../support/live-gateway.ts';

async function aShell(controller: Controller | undefined, options: CliOptions = {}) {
  const stack = new AsyncDisposableStack();
  const gateway = stack.use(await aLiveGateway(controller));
  const cli = stack.use(aCli({ ...options, env: { CODERUN_URL: gateway.url, ...options.env } }));
  return { ...cli, gateway, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const specOf = ({ gateway }: Awaited<ReturnType<typeof aShell>>) => gateway.allRuns()[0]?.spec;

describe('coderun run', () => {
  test('what the program printed comes out of both streams, and its exit code is that of the command', async () => {
    const status = { exitCode: 3, stdout: 'out\n', stderr: 'err\n' };
    await using shell = await aShell(() => ({ reason: 'NonZeroExit', status }));
    expect(await shell.run('run', '-c', 'exit(3)')).toBe(3);
    expect([shell.out(), shell.err()]).toEqual(['out\n', 'err\n']);
  });

  test.each([
    ['a terminal is shown it harmless', true, 'a\\x1b[2Jb\n'],
    ['a pipe gets it as it is', false, 'a\x1b[2Jb\n'],
  ])('%s', async (_name, terminal, expected) => {
    await using shell = await aShell(completes('a\x1b[2Jb\n'), { terminal });
    await shell.run('run', '-c', '1');
    expect(shell.out()).toBe(expected);
  });

  test('with -c, the last value is shown', async () => {
    await using shell = await aShell(completes('', { results: [{ mime: { 'text/plain': '42' } }] }));
    await shell.run('run', '-c', '6 * 7');
    expect(shell.out()).toBe('42\n');
  });

  test('why a program ended is told where its output does not say', async () => {
    await using shell = await aShell(() => ({ reason: 'Timeout', status: { stdout: 'a' } }));
    expect(await shell.run('run', '-c', 'while True: pass')).toBe(124);
    expect(shell.err()).toContain('Timeout: The program ran longer');
  });

  test('everything that is asked for is in the run', async () => {
    await using shell = await aShell(completes(), { stdin: 'input', env: { TOKEN: 'mine' } });
    await writeFile(join(shell.folder, 'job.sh'), 'cat "$1"');
    await writeFile(join(shell.folder, 'data.csv'), 'a,b');
    const flags = ['--timeout', '2m', '--memory', '256Mi', '--cpu', '500m', '--class', 'big', '--name', 'mine'];
    const more = ['-f', 'data.csv:in/d.csv', '-e', 'A=b=c', '-e', 'TOKEN', '-a', '*.png', '-p', 'humanize==4.9.0'];
    expect(await shell.run('run', 'job.sh', ...flags, ...more, '--stdin', '--', '-x', 'y')).toBe(0);
    expect(specOf(shell)).toMatchObject({
      code: 'cat "$1"',
      language: 'bash',
      timeoutSeconds: 120,
      resources: { memory: '256Mi', cpu: '500m' },
      className: 'big',
      files: [{ path: 'in/d.csv', contentBase64: Buffer.from('a,b').toString('base64') }],
      env: [
        { name: 'A', value: 'b=c' },
        { name: 'TOKEN', value: 'mine' },
      ],
      artifacts: ['*.png'],
      packages: ['humanize==4.9.0'],
      args: ['-x', 'y'],
      stdin: 'input',
    });
    expect(shell.gateway.allRuns()[0]?.metadata.name).toBe('mine');
  });

  test('- reads the code from stdin', async () => {
    await using shell = await aShell(completes(), { stdin: 'print(1)' });
    await shell.run('run', '-');
    expect(specOf(shell)?.code).toBe('print(1)');
  });

  test('--json answers the run, and the exit code is the same', async () => {
    await using shell = await aShell(() => ({ reason: 'NonZeroExit', status: { exitCode: 4, stdout: 'x' } }));
    expect(await shell.run('run', '-c', '1', '--json')).toBe(4);
    expect(JSON.parse(shell.out())).toMatchObject({ state: 'failed', exitCode: 4, stdout: 'x' });
  });

  test('--json on a terminal is the same JSON, and harmless', async () => {
    await using shell = await aShell(completes('a\x9b2J\u202eb\x1b[2J'), { terminal: true });
    await shell.run('run', '-c', '1', '--json');
    expect(shell.out()).toContain('a\\u009b2J\\u202eb\\u001b[2J');
    expect(JSON.parse(shell.out()).stdout).toBe('a\x9b2J\u202eb\x1b[2J');
  });

  test('--detach leaves with the name', async () => {
    await using shell = await aShell(undefined);
    expect(await shell.run('run', '-c', '1', '--detach', '--name', 'later')).toBe(0);
    expect(shell.out()).toBe('later\n');
  });

  test('--watch shows both streams as they come', async () => {
    await using shell = await aShell((run) => ({
      reason: 'Running',
      status: { sandbox: { podName: run.metadata.name } },
    }));
    const id = () => shell.gateway.allRuns()[0]?.metadata.uid;
    shell.gateway.kube.setLog(NAMESPACE, 'w', async function* () {
      const said = (event: object) => Buffer.from(`${JSON.stringify({ ...event, id: id() })}\n`);
      yield said({ stdout: 'one\n' });
      yield said({ stderr: 'two\n' });
      await shell.gateway.setStatus('Completed', { exitCode: 0, sandbox: { podName: 'w' } });
      yield said(anExit({ exitCode: 0 }));
    });
    expect(await shell.run('run', '-c', '1', '--watch', '--name', 'w')).toBe(0);
    expect([shell.out(), shell.err()]).toEqual(['one\n', 'two\n']);
  });

  test('Ctrl-C cancels the run and waits for its end', async () => {
    await using shell = await aShell((run) => (run.spec.cancelled ? { reason: 'Cancelled' } : undefined));
    const ended = shell.run('run', '-c', 'while True: pass');
    await shell.gateway.until(() => shell.gateway.allRuns().length > 0);
    shell.pressCtrlC();
    expect(await ended).toBe(130);
    expect(specOf(shell)?.cancelled).toBe(true);
  });

  test('Ctrl-C pressed twice leaves at once', async () => {
    await using shell = await aShell(undefined);
    const ended = shell.run('run', '-c', 'while True: pass');
    await shell.gateway.until(() => shell.gateway.allRuns().length > 0);
    shell.pressCtrlC();
    shell.pressCtrlC();
    expect(await ended).toBe(130);
  });
});

describe('files that come out of a sandbox', () => {
  const made = (...paths: string[]): CodeRunStatus => ({
    artifacts: paths.map((path) => ({ path, bytes: 1, contentBase64: Buffer.from('x').toString('base64') })),
  });

  test('they are saved below the folder that is named', async () => {
    await using shell = await aShell(completes('', made('plot.png', 'deep/er/a.txt')));
    expect(await shell.run('run', '-c', '1', '-a', '**', '-o', 'out')).toBe(0);
    expect(await readFile(join(shell.folder, 'out/deep/er/a.txt'), 'utf8')).toBe('x');
    expect(shell.err()).toContain('saved');
  });

  test.each(['../up', '.bashrc', 'a/../../up', 'a//b', '/etc/x', 'a/.git/config', 'a\\b'])(
    'the name %j is not taken',
    async (path) => {
      await using shell = await aShell(completes('', made(path)));
      expect(await shell.run('run', '-c', '1', '-a', '**', '-o', 'out')).toBe(65);
      expect(shell.err()).toContain('is not saved');
    },
  );

  test('nothing that is there is replaced, nor written to through a link', async () => {
    await using shell = await aShell(completes('', made('kept.txt')));
    await writeFile(join(shell.folder, 'kept.txt'), 'mine');
    expect(await shell.run('run', '-c', '1', '-a', '**')).toBe(1);
    expect(await readFile(join(shell.folder, 'kept.txt'), 'utf8')).toBe('mine');
    await using other = await aShell(completes('', made('link/a.txt')));
    await mkdir(join(other.folder, 'elsewhere'));
    await symlink(join(other.folder, 'elsewhere'), join(other.folder, 'link'));
    expect(await other.run('run', '-c', '1', '-a', '**')).toBe(1);
    expect(other.err()).toContain('leads elsewhere');
  });

  test('figures are saved where --images says', async () => {
    const image = Buffer.from('png');
    const results = [{ mime: { 'image/png': image.toString('base64'), 'text/plain': '<Figure>' } }];
    await using shell = await aShell(completes('', { results }));
    await shell.run('run', '-c', '1', '--images', 'figures', '--name', 'fig');
    expect(await readFile(join(shell.folder, 'figures/fig-0.png'))).toEqual(image);
  });
});

describe('a command line that makes no sense', () => {
  test.each([
    [['run'], 'FILE: name a file'],
    [['run', 'a.py', 'b.py'], 'come after --'],
    [['run', '-c', '1', 'a.py'], '-c and FILE'],
    [['run', '-c', '1', '--frob'], '--frob: there is no such flag'],
    [['run', '-c', '1', '--timeout', '1d'], '--timeout: "1d" is not a time'],
    [['run', '-c', '1', '--timeout', '2h'], '--timeout: "2h" is not a time from 1s to 3600s'],
    [['run', '-c', '1', '--memory', ''], '--memory: the value is empty'],
    [['run', '-c', '1', '--memory'], '--memory: needs a value'],
    [['run', '-c', '1', '--watch=yes'], '--watch: takes no value'],
    [['run', '-c', '1', '--watch', '--json'], '--watch and --json'],
    [['run', '-c', '1', '--env', 'NOT_SET'], '--env: "NOT_SET"'],
    [['run', '-c', '1', '--language', 'perl'], '--language: "perl" is not one of python, bash, javascript'],
    [['run', '-c', '1', '--url', 'ftp://x'], '--url: "ftp://x"'],
    [['run', '-c', '1', '--url', 'http://x', '--kube'], '--url and --kube'],
    [['frob'], 'there is no command "frob"'],
    [['--kube'], 'no command is named'],
    [['get', 'a/b/c'], 'NAME: "a/b/c"'],
    [['cancel'], 'NAME: no name is given'],
    [['logs', 'a', 'b'], 'NAME: give one name'],
    [['runs', '--limit', '0'], '--limit: "0" is not a whole number from 1'],
    [['batch'], 'DIR: name one folder'],
    [['runs', 'x'], 'runs takes no names'],
    [['get', 'x', '--', 'y'], '--: get has no program'],
    [['agent', 'a', 'b'], 'TASK: say the task in one argument'],
  ])('%j is refused and named', async (argv, expected) => {
    await using cli = aCli();
    expect(await cli.run(...argv)).toBe(2);
    expect(cli.err()).toContain(expected);
  });

  test.each([
    [['run', 'missing.py'], 66, 'FILE: missing.py does not exist'],
    [['run', '.'], 66, 'FILE: . is not a file'],
    [['run', '-c', '1', '--file', 'missing'], 66, '--file: missing does not exist'],
    [['batch', 'missing'], 66, "DIR: missing can't be read"],
    [['runs', '--api-key-file', 'missing'], 66, '--api-key-file: missing'],
    [['runs', '--url', 'http://127.0.0.1:1'], 69, 'the gateway at http://127.0.0.1:1'],
  ])('%j ends with %i', async (argv, code, expected) => {
    await using cli = aCli();
    expect(await cli.run(...argv)).toBe(code);
    expect(cli.err()).toContain(expected);
  });

  test('what the gateway refuses is told with the flag that it came from', async () => {
    await using shell = await aShell(undefined);
    expect(await shell.run('run', '-c', '1', '--memory', 'lots')).toBe(65);
    expect(shell.err()).toMatch(/--memory: .*must be an amount/);
  });

  test('code that is no text, or too much of it, is refused here', async () => {
    await using cli = aCli();
    await writeFile(join(cli.folder, 'a.py'), Buffer.from([0xff, 0xfe]));
    await writeFile(join(cli.folder, 'b.py'), 'x'.repeat(513 * 1024));
    expect([await cli.run('run', 'a.py'), await cli.run('run', 'b.py')]).toEqual([65, 65]);
  });
});

describe('help', () => {
  test.each([
    ['run'],
    ['batch'],
    ['get'],
    ['logs'],
    ['cancel'],
    ['delete'],
    ['runs'],
    ['sessions'],
    ['repl'],
    ['agent'],
    ['doctor'],
  ])('coderun %s --help and coderun help %s say the same, without a gateway', async (name) => {
    await using cli = aCli();
    await using other = aCli();
    expect([await cli.run(name, '--help'), await other.run('help', name)]).toEqual([0, 0]);
    expect(cli.out()).toBe(other.out());
    expect(cli.out()).toContain('Examples:');
  });

  test('coderun alone and coderun --help list every command', async () => {
    await using cli = aCli();
    await using other = aCli();
    expect([await cli.run(), await other.run('--help')]).toEqual([0, 0]);
    expect(cli.out()).toBe(other.out());
  });
});
