import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { connect } from '../../../src/cli/connection.ts';
import { parseFlags } from '../../../src/cli/flags.ts';
import { findTarget, TARGET_FLAGS } from '../../../src/cli/target.ts';
import { aCli } from '../../support/cli-world.ts';

async function targetOf(argv: string[], env: Record<string, string> = {}, file?: string, mode = 0o600) {
  await using cli = aCli({ env });
  const { environment } = cli.io;
  if (file !== undefined) {
    await mkdir(dirname(environment.configFile), { recursive: true });
    await writeFile(environment.configFile, file);
    await chmod(environment.configFile, mode);
  }
  return await findTarget(parseFlags(argv, TARGET_FLAGS, 'runs').flags, environment);
}

const GATEWAY = { kind: 'gateway', apiKey: undefined, namespace: undefined };
const KUBE = { kind: 'kube', kubeconfig: undefined, context: undefined, namespace: undefined };

describe('where a command goes', () => {
  test.each([
    ['to the quickstart where nothing is said', [], {}, undefined, { ...GATEWAY, url: 'http://127.0.0.1:8080' }],
    [
      'where the environment says',
      [],
      { CODERUN_URL: 'http://e', CODERUN_API_KEY: 'k' },
      undefined,
      { ...GATEWAY, url: 'http://e', apiKey: 'k' },
    ],
    [
      'where the file says',
      [],
      {},
      '{"url":"http://f","apiKey":"f","namespace":"n"}',
      { kind: 'gateway', url: 'http://f', apiKey: 'f', namespace: 'n' },
    ],
    [
      'by the flag before the environment',
      ['--url', 'http://a'],
      { CODERUN_URL: 'http://e' },
      undefined,
      { ...GATEWAY, url: 'http://a' },
    ],
    [
      'by the environment before the file',
      [],
      { CODERUN_URL: 'http://e' },
      '{"kube":true}',
      { ...GATEWAY, url: 'http://e' },
    ],
    ['to Kubernetes by a flag', ['--kube'], { CODERUN_URL: 'http://e' }, undefined, KUBE],
    [
      'to a context, which is Kubernetes',
      ['--context', 'c', '-n', 'n'],
      {},
      undefined,
      { ...KUBE, context: 'c', namespace: 'n' },
    ],
    [
      'to Kubernetes as a plugin of kubectl',
      [],
      { CODERUN_KUBE: '1', CODERUN_URL: 'http://e', CODERUN_CONTEXT: 'c' },
      undefined,
      { ...KUBE, context: 'c' },
    ],
    [
      'to a gateway by a flag, even as a plugin',
      ['--url', 'http://a'],
      { CODERUN_KUBE: '1' },
      undefined,
      { ...GATEWAY, url: 'http://a' },
    ],
    [
      'past empty variables',
      [],
      { CODERUN_URL: '', CODERUN_API_KEY: '' },
      undefined,
      { ...GATEWAY, url: 'http://127.0.0.1:8080' },
    ],
  ] as const)('%s', async (_name, argv, env, file, expected) => {
    expect(await targetOf([...argv], env, file)).toEqual(expected);
  });

  test.each([
    ['is not JSON', '{', 0o600, 'it is not JSON'],
    ['is no object', '[]', 0o600, 'it is not an object'],
    ['has a setting that there is not', '{"uri":"x"}', 0o600, 'uri is not a setting'],
    ['has a value of another kind', '{"url":7}', 0o600, 'url is not a string'],
    ['holds a key that others may read', '{"apiKey":"secret"}', 0o644, 'chmod 600'],
  ])('a file that %s is refused', async (_name, file, mode, expected) => {
    const error = await targetOf([], {}, file, mode).catch(String);
    expect(error).toContain(expected);
    expect(error).not.toContain('secret');
  });

  test.each([
    ['http://gateway.invalid', true],
    ['https://gateway.invalid', false],
    ['http://127.0.0.1:8080', false],
    ['http://localhost.invalid', true],
  ])('a key that would go to %s is warned of: %s', async (url, warned) => {
    await using cli = aCli();
    await using _ = await connect({ kind: 'gateway', url, apiKey: 'secret', namespace: undefined }, cli.io);
    expect(cli.err().includes('unencrypted')).toBe(warned);
    expect(cli.err()).not.toContain('secret');
  });

  test('the key of a file is its text without the end of the line', async () => {
    await using cli = aCli();
    await writeFile(join(cli.folder, 'key'), 'secret\n');
    expect(await targetOf(['--api-key-file', join(cli.folder, 'key')])).toMatchObject({ apiKey: 'secret' });
  });
});
