import { expect, test } from 'vitest';
import { KubeError } from '../../../src/kube/error.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';

/** The lines that `log` writes, as objects. */
function written(log: (logger: ReturnType<typeof createLogger>) => void): Record<string, unknown>[] {
  const lines: string[] = [];
  log(createLogger('test', 'info', { write: (line: string) => void lines.push(line) }));
  return lines.map((line) => JSON.parse(line));
}

test('a program never gets into the log, at whatever depth somebody passed it', () => {
  const [line] = written((log) =>
    log.info(
      { code: 'secret', run: { code: 'secret', env: [{ value: 'secret' }] }, headers: { authorization: 'secret' } },
      'x',
    ),
  );
  expect(JSON.stringify(line)).not.toContain('secret');
});

test('an error is its name, code, message and stack, and nothing that hangs on it', () => {
  const error = Object.assign(new Error('broken'), { request: { body: 'secret' } });
  const [line] = written((log) => log.error({ err: error }, 'x'));
  expect(line).toMatchObject({ level: 'error', role: 'test', err: { name: 'Error', message: 'broken' } });
  expect(JSON.stringify(line)).not.toContain('secret');
});

test('what the API server quotes of an invalid object is left out', () => {
  const [line] = written((log) =>
    log.error({ err: new KubeError(422, 'Invalid', 'spec.code: Invalid value: "secret"') }, 'x'),
  );
  expect(JSON.stringify(line)).not.toContain('secret');
});
