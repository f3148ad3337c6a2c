import { describe, expect, test } from 'vitest';
import { keys } from '../../../src/cli/commands/keys.ts';
import type { Connection } from '../../../src/cli/connection.ts';
import { parseFlags } from '../../../src/cli/flags.ts';
import { Coderun } from '../../../src/client/index.ts';
import { API_KEYS_SECRET, checkKey, parseKey, parseSecret } from '../../../src/gateway/auth/keys.ts';
import { KubeError } from '../../../src/kube/error.ts';
import { SECRETS } from '../../../src/kube/resources.ts';
import { aCli } from '../../support/cli-world.ts';
import { FakeClock } from '../../support/clock.ts';
import { FakeKube } from '../../support/fake-kube.ts';

function aDesk(kube = new FakeKube(), cluster = true) {
  const cli = aCli();
  const clock = new FakeClock('2026-01-01T00:00:00Z');
  const client = new Coderun({ baseUrl: 'http://127.0.0.1:1' });
  const connection: Connection = {
    client,
    cluster: cluster ? { kube, namespace: 'team' } : undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
  const run = async (...argv: string[]) => {
    const { flags, operands } = parseFlags(argv, keys.flags, 'keys');
    return keys.run({ io: { ...cli.io, clock }, flags, operands, rest: [], connect: async () => connection });
  };
  const entries = () => parseSecret(kube.all<never>(SECRETS)[0]?.['data']).entries;
  return { ...cli, kube, clock, keys: run, entries };
}

describe('coderun keys', () => {
  test('a key is shown once, and what is kept of it knows it again', async () => {
    await using desk = aDesk();
    const flags = ['--class', 'small', '--class', 'big', '--concurrent-runs', '5', '--requests-per-minute', '60'];
    expect(await desk.keys('create', ...flags, '--expires', '2d')).toBe(0);
    const key = parseKey(desk.out().trim());
    const entry = desk.entries().get(key?.id ?? '');
    expect(key && checkKey(entry, key, desk.clock.now())).toMatchObject({
      namespace: 'team',
      classes: ['small', 'big'],
      concurrentRuns: 5,
      requestsPerMinute: 60,
      expires: '2026-01-03T00:00:00.000Z',
    });
    const stored = JSON.stringify(desk.kube.all(SECRETS));
    expect(stored).not.toContain(key?.secret);
    expect(Buffer.from(stored, 'base64').toString('latin1')).not.toContain(key?.secret);
    expect(desk.err()).not.toContain(key?.secret);
  });

  test('a second key leaves the first where it is, also where both are made at once', async () => {
    await using desk = aDesk();
    desk.kube.fail('patch', new KubeError(404, 'NotFound', 'no secret'));
    desk.kube.fail('patch', new KubeError(404, 'NotFound', 'no secret'));
    await Promise.all([desk.keys('create'), desk.keys('create')]);
    await desk.keys('create');
    expect(desk.entries().size).toBe(3);
  });

  test('keys are listed without what could be used, and those that are over are marked', async () => {
    await using desk = aDesk();
    await desk.keys('create', '--expires', '1h');
    await desk.clock.advance(3_600_000);
    await using reader = aDesk(desk.kube);
    await reader.clock.advance(3_600_000);
    await reader.keys('list');
    expect(reader.out()).toMatch(/^[0-9a-f]{16} +team +all +2026-01-01T01:00:00.000Z \(over\)$/m);
    await using json = aDesk(desk.kube);
    await json.keys('list', '--json');
    expect(json.out()).not.toMatch(/hash|salt/);
  });

  test('a key that is revoked is gone, and no other', async () => {
    await using desk = aDesk();
    await desk.keys('create');
    await desk.keys('create');
    const [first = '', second = ''] = [...desk.entries().keys()];
    expect(await desk.keys('revoke', first)).toBe(0);
    expect([...desk.entries().keys()]).toEqual([second]);
    await expect(desk.keys('revoke', second, 'nobody')).rejects.toMatchObject({ exitCode: 66 });
    expect([...desk.entries().keys()]).toEqual([second]);
  });

  test('where there are none, that is said', async () => {
    await using desk = aDesk();
    await desk.keys('list');
    expect(desk.out()).toBe('There are no keys.\n');
    expect(API_KEYS_SECRET.namespace).toBe('coderun-system');
  });

  test.each([
    [[], 'say create, list or revoke'],
    [['toString'], 'say create, list or revoke'],
    [['revoke'], 'ID: name the key'],
    [['list', 'x'], 'takes no names'],
    [['create', '--expires', '2020-01-01'], '--expires: "2020-01-01" is not a time to come'],
    [['create', '--expires', 'soon'], '--expires: "soon"'],
    [['create', '--class', 'No Class'], '--class: "No Class"'],
    [['create', '--concurrent-runs', '0'], '--concurrent-runs: "0"'],
  ])('%j is refused', async (argv, expected) => {
    await using desk = aDesk();
    await expect(desk.keys(...argv)).rejects.toThrow(expected);
    expect(desk.kube.all(SECRETS)).toEqual([]);
  });

  test('a gateway gives no keys out', async () => {
    await using desk = aDesk(new FakeKube(), false);
    await expect(desk.keys('list')).rejects.toThrow('--kube');
  });
});
