import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { loadHistory, saveHistory } from '../../../src/cli/repl/history.ts';
import { aCli, type CliOptions } from '../../support/cli-world.ts';
import { type Answer, answerJson, type HttpServer, startHttpServer } from '../../support/http-server.ts';
import { until } from '../../support/live-gateway.ts';

type Events = [event: string, data: object][];

const stream = (events: Events): string =>
  events.map(([event, data]) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join('');

const FINISHED: [string, object] = ['finished', { reason: 'Completed', stateKept: true }];

/** A gateway with one session, whose executions answer what `executed` says of their code. */
const sessionServer = (executed: (code: string) => Events | Answer, state = 'ready') =>
  startHttpServer((response, request) => {
    const { method, url, body } = request;
    const execute: Answer = () => {
      const answer = executed(JSON.parse(body).code);
      if (typeof answer === 'function') return answer(response, request);
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end(stream(answer));
    };
    const routes: [end: string, answer: Answer][] = [
      ['POST /v1/sessions/s/execute', execute],
      ['POST /v1/sessions/s/packages', (install) => install.writeHead(200).end(stream(INSTALLING))],
      ['GET /v1/sessions/s/variables', answerJson(200, { variables: VARIABLES })],
      ['GET /v1/sessions/s/files/content', (file) => file.writeHead(200).end('from there')],
      ['GET /v1/sessions/missing', answerJson(404, { code: 'SessionNotFound' })],
    ];
    const route = routes.find(([path]) => path === `${method} ${url.split('?')[0]}`);
    const answer = route?.[1] ?? answerJson(200, { name: 's', state, reason: 'IdleTimeout' });
    answer(response, request);
  });

const INSTALLED = [
  { name: 'humanize', version: '4.9.0', message: '' },
  { name: 'nothing', version: null, message: 'there is no such package' },
];
const INSTALLING: Events = [
  ['stdout', { text: 'Downloading humanize\n' }],
  ['finished', { packages: INSTALLED }],
];
const VARIABLES = [{ name: 'price', type: 'int', size: '', repr: '7' }];

async function aShell(executed: (code: string) => Events | Answer, options: CliOptions, state?: string) {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await sessionServer(executed, state));
  const cli = stack.use(aCli({ ...options, env: { CODERUN_URL: server.url } }));
  return { ...cli, server, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const codes = ({ requests }: HttpServer) =>
  requests.filter(({ url }) => url.endsWith('/execute')).map(({ body }) => JSON.parse(body));

describe('coderun repl', () => {
  test('lines are gathered to inputs, and each is executed', async () => {
    const stdin = 'x = 1\n\ndef f():\n  return x\n\nf()\n!ls\nunfinished(\n';
    await using shell = await aShell((code) => [['stdout', { text: `[${code}]` }], FINISHED], { stdin });
    expect(await shell.run('repl', 's', '--timeout', '5s')).toBe(0);
    expect(codes(shell.server).map(({ code, language }) => [language, code])).toEqual([
      ['python', 'x = 1'],
      ['python', 'def f():\n  return x\n'],
      ['python', 'f()'],
      ['bash', 'ls'],
      ['python', 'unfinished('],
    ]);
    expect(codes(shell.server)[0].timeoutSeconds).toBe(5);
    expect(shell.out()).toContain('[x = 1]');
  });

  test('a session without a name is made, and ended at the end', async () => {
    await using shell = await aShell(() => [FINISHED], { stdin: '' });
    expect(await shell.run('repl')).toBe(0);
    const asked = shell.server.requests.map(({ method, url }) => `${method} ${url}`);
    expect(asked).toEqual(['POST /v1/sessions?wait=60', 'DELETE /v1/sessions/s']);
  });

  test('one with a name is gone on with, or made, and is kept', async () => {
    await using shell = await aShell(() => [FINISHED], { stdin: '' });
    expect(await shell.run('repl', 'missing')).toBe(0);
    const asked = shell.server.requests.map(({ method, url }) => `${method} ${url}`);
    expect(asked).toEqual(['GET /v1/sessions/missing', 'POST /v1/sessions?wait=60']);
    expect(shell.err()).toContain('is kept');
  });

  test('a session that has ended is told of, and is not entered', async () => {
    await using shell = await aShell(() => [FINISHED], { stdin: '1\n' }, 'ended');
    expect(await shell.run('repl', 's')).toBe(1);
    expect(shell.err()).toContain('session/s has ended: IdleTimeout; choose another name');
    expect(codes(shell.server)).toEqual([]);
  });

  test('values are shown, errors are shown once, figures are saved', async () => {
    const traceback = 'Traceback (most recent call last):\nZeroDivisionError: division by zero\n';
    const error = ['error', { name: 'ZeroDivisionError', value: 'division by zero', traceback }] as [string, object];
    const answers: Record<string, Events> = {
      value: [['result', { mime: { 'text/plain': '42' } }], FINISHED],
      told: [['stderr', { text: traceback }], error, FINISHED],
      untold: [error, FINISHED],
      figure: [
        ['result', { mime: { 'image/png': Buffer.from('png').toString('base64'), 'text/plain': '<F>' } }],
        FINISHED,
      ],
      lost: [['finished', { reason: 'Timeout', stateKept: false }]],
    };
    const stdin = `${Object.keys(answers).join('\n')}\n`;
    await using shell = await aShell((code) => answers[code] ?? [], { stdin });
    expect(await shell.run('repl', 's', '--images', 'figures')).toBe(0);
    expect(shell.out()).toBe('42\n');
    expect(shell.err().split('ZeroDivisionError')).toHaveLength(3);
    const [figure = ''] = await readdir(join(shell.folder, 'figures'));
    expect(await readFile(join(shell.folder, 'figures', figure), 'utf8')).toBe('png');
    expect(shell.err()).toContain(join(shell.folder, 'figures', figure));
    expect(shell.err()).toContain('Timeout');
    expect(shell.err()).toContain('variables are gone, files are kept');
  });

  test('its own words bring packages and files, and show variables', async () => {
    const stdin =
      '%install humanize==4.9.0 nothing\n%vars\n%put local.txt there.txt\n%get there.txt back.txt\n%get there.txt back.txt\n%frob\n%install\n%restart\n';
    await using shell = await aShell(() => [FINISHED], { stdin });
    await writeFile(join(shell.folder, 'local.txt'), 'from here');
    expect(await shell.run('repl', 's')).toBe(0);
    expect(shell.err()).toMatch(/Downloading humanize\n[\s\S]*humanize 4.9.0 is installed/);
    expect(shell.err()).toContain('nothing: there is no such package');
    expect(shell.out()).toMatch(/^price +int +7$/m);
    expect(shell.server.requests.find(({ method }) => method === 'PUT')).toMatchObject({
      url: '/v1/sessions/s/files/content?path=there.txt',
      body: 'from here',
    });
    expect(await readFile(join(shell.folder, 'back.txt'), 'utf8')).toBe('from there');
    expect(shell.err()).toMatch(/EEXIST|exists/);
    expect(shell.err()).toContain('%frob: there is no such word');
    expect(shell.err()).toContain('%install: name the packages');
    expect(shell.err()).toContain('fresh one');
  });

  test('what is refused is told, and the shell goes on; what ends the session ends the shell', async () => {
    const refuse = (status: number, code: string) => answerJson(status, { code, detail: `${code}.` }) as Answer;
    const answers: Record<string, Answer> = { busy: refuse(429, 'SessionBusy'), gone: refuse(404, 'SessionNotFound') };
    await using shell = await aShell((code) => answers[code] ?? [FINISHED], { stdin: 'busy\nfine\ngone\nnever\n' });
    expect(await shell.run('repl', 's')).toBe(66);
    expect(codes(shell.server).map(({ code }) => code)).toEqual(['busy', 'fine', 'gone']);
    expect(shell.err()).toContain('SessionBusy');
  });

  test('Ctrl-C interrupts the program and not the shell; a second one leaves the program behind', async () => {
    const stdin = new PassThrough();
    const hanging: Answer = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': beat\n\n');
    };
    await using shell = await aShell((code) => (code === 'loop()' ? hanging : [FINISHED]), { stdin });
    const ended = shell.run('repl', 's');
    stdin.write('loop()\n');
    await until(() => codes(shell.server).length > 0);
    shell.pressCtrlC();
    const interrupted = () => shell.server.requests.filter(({ url }) => url.endsWith('/interrupt')).length;
    await until(() => interrupted() > 0);
    shell.pressCtrlC();
    stdin.end('after\n');
    expect(await ended).toBe(0);
    expect(codes(shell.server).map(({ code }) => code)).toEqual(['loop()', 'after']);
    expect(interrupted()).toBe(1);
  });

  test('Ctrl-C at the prompt drops what is typed', async () => {
    const stdin = new PassThrough();
    await using shell = await aShell(() => [FINISHED], { stdin });
    const ended = shell.run('repl', 's');
    await until(() => shell.err().includes('is ready'));
    stdin.write('first\n');
    await until(() => codes(shell.server).length === 1);
    stdin.write('f(\n');
    await until(() => stdin.readableLength === 0);
    shell.pressCtrlC();
    stdin.end('second\n');
    await ended;
    expect(codes(shell.server).map(({ code }) => code)).toEqual(['first', 'second']);
  });
});

describe('the history of the shell', () => {
  test('the last thousand lines are kept, for their owner only', async () => {
    await using cli = aCli();
    const file = join(cli.folder, 'state', 'history');
    const newestFirst = Array.from({ length: 1500 }, (_, index) => `line ${1500 - index}`);
    await saveHistory(file, newestFirst);
    expect(await loadHistory(file)).toEqual(newestFirst.slice(0, 1000));
    const { stat } = await import('node:fs/promises');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  test('where there is none, it is empty', async () => {
    expect(await loadHistory('/nonexistent/history')).toEqual([]);
  });
});
