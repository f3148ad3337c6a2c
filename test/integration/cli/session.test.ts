import { readFile, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Coderun } from '../../../src/client/index.ts';
import { aCli } from '../../support/cli-world.ts';
import { aSessionWorld } from '../../support/gateway-sessions.ts';
import { until } from '../../support/live-gateway.ts';
import { type RealAgent, startAgent } from '../../support/real-agent.ts';

/** A gateway on a port, and the real agent in the sandbox of whatever session is made. */
let agent: RealAgent;
let world: ReturnType<typeof aSessionWorld>;
let url: string;

beforeAll(async () => {
  agent = await startAgent();
  world = aSessionWorld();
  world.kube.onExec = () => agent.connect();
  world.kube.onWrite(() =>
    setImmediate(() => {
      for (const { metadata, status } of world.allSessions()) if (!status) void world.stand(metadata.name, 'Ready');
    }),
  );
  await world.app.listen({ host: '127.0.0.1', port: 0 });
  url = `http://127.0.0.1:${(world.app.server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  world.app.server.closeAllConnections();
  await world.app.close();
  await agent[Symbol.asyncDispose]();
});

describe('the client and a session with the real agent', () => {
  test('state is kept, output is told as it comes, files and variables come and go', async () => {
    const { sessions } = new Coderun({ baseUrl: url });
    const { name, state } = await sessions.create({}, { waitSeconds: 10 });
    expect(state).toBe('ready');
    expect(await sessions.execute(name, { code: 'x = 41' })).toMatchObject({ reason: 'Completed', stateKept: true });
    const events = await Array.fromAsync(sessions.follow(name, { code: 'print("a")\nx + 1' }));
    expect(events).toMatchObject([
      { event: 'stdout', text: 'a\n' },
      { event: 'result', mime: { 'text/plain': '42' } },
      { event: 'finished', execution: { reason: 'Completed' } },
    ]);
    const failed = await Array.fromAsync(sessions.follow(name, { code: '1/0' }));
    expect(failed.find(({ event }) => event === 'error')).toMatchObject({ error: { name: 'ZeroDivisionError' } });
    expect(await sessions.variables(name)).toContainEqual(expect.objectContaining({ name: 'x', type: 'int' }));
    const content = Buffer.from([0, 1, 255]);
    await sessions.writeFile(name, 'in/a.bin', content);
    expect(await sessions.files(name, 'in')).toMatchObject([{ name: 'a.bin', kind: 'file', bytes: 3 }]);
    expect(Buffer.concat(await Array.fromAsync(await sessions.readFile(name, 'in/a.bin')))).toEqual(content);
    await sessions.removeFile(name, 'in');
    await expect(sessions.files(name, 'in')).rejects.toMatchObject({ code: 'FileNotFound' });
    await sessions.restart(name);
    expect(await sessions.execute(name, { code: 'x' })).toMatchObject({ reason: 'NonZeroExit' });
    await expect(sessions.install(name, ['humanize'])).rejects.toMatchObject({ code: 'PackagesNotOffered' });
    expect((await sessions.list()).items.map((session) => session.name)).toContain(name);
    await sessions.delete(name);
  });
});

describe('coderun repl and a session with the real agent', () => {
  test('inputs are executed one after the other, and what they show is shown', async () => {
    const stdin = 'def f(n):\n  return n + 1\n\nf(41)\n1/0\nprint("after")\n!echo shell\n%vars\n';
    await using cli = aCli({ stdin, env: { CODERUN_URL: url } });
    expect(await cli.run('repl', 'typed')).toBe(0);
    expect(cli.out()).toMatch(/^42\nafter\nshell\n/);
    expect(cli.out()).toMatch(/^f +function/m);
    expect(cli.err().match(/ZeroDivisionError/g)).toHaveLength(1);
    await using again = aCli({ stdin: 'f(1)\n', env: { CODERUN_URL: url } });
    expect(await again.run('repl', 'typed')).toBe(0);
    expect(again.out()).toBe('2\n');
  });

  test('files come and go', async () => {
    const stdin =
      '%put here.txt\nopen("there.txt", "w").write(open("here.txt").read().upper())\n%get there.txt back.txt\n%files\n';
    await using cli = aCli({ stdin, env: { CODERUN_URL: url } });
    await writeFile(join(cli.folder, 'here.txt'), 'text');
    expect(await cli.run('repl', 'files')).toBe(0);
    expect(await readFile(join(cli.folder, 'back.txt'), 'utf8')).toBe('TEXT');
    expect(cli.out()).toMatch(/^there.txt +file +4 B$/m);
  });

  test('Ctrl-C interrupts the program, and its state is kept', async () => {
    const stdin = new PassThrough();
    await using cli = aCli({ stdin, env: { CODERUN_URL: url } });
    const ended = cli.run('repl', 'interrupted');
    stdin.write('y = 7\nimport time; print("on", flush=True); time.sleep(60)\n');
    await until(() => cli.out().includes('on'));
    cli.pressCtrlC();
    await until(() => cli.err().includes('KeyboardInterrupt'));
    stdin.end('y\n');
    expect(await ended).toBe(0);
    expect(cli.out()).toMatch(/7\n$/);
    expect(cli.err()).not.toContain('variables are gone');
  });
});
