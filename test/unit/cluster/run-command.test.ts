import { expect, test } from 'vitest';
import { runCommand } from '../../cluster/run-command.ts';

const sh = (script: string, options = {}) => runCommand('sh', ['-c', script], options);

test('a command is given its input, and answers with its stdout', async () => {
  expect(await runCommand('cat', [], { input: 'hello' })).toBe('hello');
});

test('a command that fails is told with its exit code and its last lines', async () => {
  const failed = sh('for i in $(seq 30); do echo $i; done; printf end >&2; exit 3');
  await expect(failed).rejects.toMatchObject({ message: expect.stringContaining('exit code 3') });
  await expect(failed).rejects.toHaveProperty('tail', expect.arrayContaining(['30', 'end']));
  await expect(failed).rejects.not.toHaveProperty('tail', expect.arrayContaining(['5']));
});

test('a command that does not exist is told', async () => {
  await expect(runCommand('no-such-command', [])).rejects.toThrow('could not be started');
});

test('a command that takes too long is ended, and its children with it', async () => {
  await expect(sh('sleep 60 & echo $!; wait', { timeout: 50 })).rejects.toThrow('took longer than 0.05 s');
});

test('an interrupt ends the command', async () => {
  const interrupt = new AbortController();
  const running = sh('echo ready; sleep 60', { signal: interrupt.signal, onLine: () => interrupt.abort() });
  await expect(running).rejects.toThrow('was interrupted');
});
