import { describe, expect, test } from 'vitest';
import type { CodeRun } from '../../../src/api/coderun.ts';
import { succeededCondition } from '../../../src/api/conditions.ts';
import { API_VERSION, CODE_RUNS, SANDBOX_CLASSES } from '../../../src/api/group.ts';
import type { Command } from '../../../src/cli/command.ts';
import { cancel, remove } from '../../../src/cli/commands/cancel.ts';
import { doctor } from '../../../src/cli/commands/doctor.ts';
import { logs } from '../../../src/cli/commands/logs.ts';
import { run } from '../../../src/cli/commands/run.ts';
import { parseFlags } from '../../../src/cli/flags.ts';
import { serve } from '../../../src/cli/local-gateway.ts';
import { followObjects } from '../../../src/cli/object-follower.ts';
import { KubeError } from '../../../src/kube/error.ts';
import { anExit } from '../../support/builders.ts';
import { aCli } from '../../support/cli-world.ts';
import { FakeClock, settle } from '../../support/clock.ts';
import { FakeKube } from '../../support/fake-kube.ts';
import { until } from '../../support/live-gateway.ts';

/** A cluster whose runs complete, and the command line in front of it without a gateway in between. */
async function aCluster() {
  const stack = new AsyncDisposableStack();
  const kube = new FakeKube();
  const cli = stack.use(aCli());
  const connection = stack.use(await serve(kube, 'team', cli.io));
  const end = async (created: CodeRun): Promise<void> => {
    const condition = succeededCondition('Completed', '', 1, new Date(0), undefined);
    const status = { exitCode: 0, stdout: 'hello\n', sandbox: { podName: 'pod' }, conditions: [condition] };
    await kube.replaceStatus(CODE_RUNS, { ...created, status });
  };
  const runsOf = () => kube.all<CodeRun>(CODE_RUNS);
  return {
    ...cli,
    kube,
    connection,
    end,
    runs: runsOf,
    run: (command: Command, ...argv: string[]) => {
      const { flags, operands } = parseFlags(argv, command.flags, command.name);
      return command.run({ io: cli.io, flags, operands, rest: [], connect: async () => connection });
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe('coderun --kube', () => {
  test('a run is made in the namespace, waited for by a watch of it alone, and told of', async () => {
    await using cluster = await aCluster();
    const ended = cluster.run(run, '-c', 'print("hello")', '--name', 'one');
    await until(() => cluster.runs().length > 0);
    const [created] = cluster.runs();
    expect(created?.metadata).toMatchObject({ name: 'one', namespace: 'team' });
    if (created) await cluster.end(created);
    expect(await ended).toBe(0);
    expect(cluster.out()).toBe('hello\n');
  });

  test('what it printed is read from the log of its pod', async () => {
    await using cluster = await aCluster();
    await cluster.run(run, '-c', '1', '--name', 'one', '--detach');
    const [created] = cluster.runs();
    if (created) await cluster.end(created);
    const events = [{ stdout: 'all of it\n' }, anExit({ exitCode: 0 })];
    const log = events.map((event) => `${JSON.stringify({ ...event, id: created?.metadata.uid })}\n`).join('');
    cluster.kube.setLog('team', 'pod', Buffer.from(log));
    await cluster.run(logs, 'one');
    expect(cluster.out()).toBe('one\nall of it\n');
  });

  test('a run is cancelled and deleted', async () => {
    await using cluster = await aCluster();
    await cluster.run(run, '-c', '1', '--name', 'one', '--detach');
    expect(await cluster.run(cancel, 'one')).toBe(0);
    expect(cluster.runs()[0]?.spec.cancelled).toBe(true);
    expect(await cluster.run(remove, 'one')).toBe(0);
    expect(cluster.runs()).toEqual([]);
  });

  test('nobody else on this machine can use what the command opens', async () => {
    await using cli = aCli();
    const opened: string[] = [];
    await using connection = await serve(new FakeKube(), 'team', cli.io, (url) => opened.push(url));
    expect((await connection.client.runs.list()).items).toEqual([]);
    const [url = ''] = opened;
    const tries = [{}, { authorization: 'Bearer ' }, { authorization: `Bearer ${'A'.repeat(43)}` }];
    const answers = await Promise.all(tries.map((headers) => fetch(`${url}/v1/runs`, { headers })));
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401]);
  });

  test.each([
    [404, 'this cluster has no CodeRuns'],
    [403, 'coderuns is forbidden'],
    [0, 'no answer'],
  ])('an answer %i of the API server is told as it is', async (code, expected) => {
    const kube = new FakeKube();
    await using cli = aCli();
    kube.fail('list', new KubeError(code, '', code === 403 ? 'coderuns is forbidden' : 'no answer'));
    await expect(serve(kube, 'team', cli.io)).rejects.toThrow(expected);
  });

  test('a kubeconfig that is none is named', async () => {
    await using cli = aCli();
    const { runCli } = await import('../../../src/cli/cli.ts');
    expect(await runCli(['runs', '--kubeconfig', `${cli.folder}/none`], cli.io)).toBe(2);
    expect(cli.err()).toContain('--kubeconfig');
  });

  test.each([
    ['a RuntimeClass that is there', true, /^ok +runtime-class .*handler runsc\)$/m],
    ['a RuntimeClass that is not', false, /^FAILED +runtime-class .*does not exist\)$/m],
  ])('the doctor sees %s', async (_name, exists, expected) => {
    await using cluster = await aCluster();
    const RUNTIME_CLASSES = {
      apiVersion: 'node.k8s.io/v1',
      kind: 'RuntimeClass',
      plural: 'runtimeclasses',
      namespaced: false,
    };
    await cluster.kube.create(SANDBOX_CLASSES, {
      apiVersion: API_VERSION,
      kind: 'SandboxClass',
      metadata: { name: 'default', ...{ annotations: { 'coderun.dev/is-default-class': 'true' } } },
      ...{ spec: { runtimeClassName: 'gvisor', network: 'None' } },
    });
    if (exists)
      await cluster.kube.create(RUNTIME_CLASSES, {
        ...RUNTIME_CLASSES,
        metadata: { name: 'gvisor' },
        ...{ handler: 'runsc' },
      });
    cluster.kube.onWrite(
      () =>
        void setImmediate(() =>
          cluster
            .runs()
            .filter(({ status }) => !status)
            .map(cluster.end),
        ),
    );
    await cluster.run(doctor);
    expect(cluster.out()).toMatch(expected);
  });
});

describe('a single object that is watched', () => {
  const object = (name: string) => ({
    apiVersion: API_VERSION,
    kind: 'CodeRun',
    metadata: { name, namespace: 'team' },
  });

  test('its state and every change are told, no other object, and its end', async () => {
    const kube = new FakeKube();
    const clock = new FakeClock();
    const told: (string | undefined)[] = [];
    await kube.create(CODE_RUNS, object('a'));
    using _following = followObjects<CodeRun>(kube, CODE_RUNS, clock).onChange('team', 'a', (seen) =>
      told.push(seen?.metadata.resourceVersion),
    );
    await settle();
    await kube.create(CODE_RUNS, object('b'));
    await kube.patch(CODE_RUNS, 'team', 'a', { spec: { cancelled: true } }, { strategy: 'merge' });
    await settle();
    await kube.delete(CODE_RUNS, 'team', 'a');
    await settle();
    expect(told).toEqual(['1', '3', undefined]);
  });

  test('a watch that fails is begun anew, and misses nothing', async () => {
    const kube = new FakeKube();
    const clock = new FakeClock();
    const told: (boolean | undefined)[] = [];
    await kube.create(CODE_RUNS, object('a'));
    kube.fail('watch', new KubeError(410, 'Expired', 'too old'));
    using following = followObjects<CodeRun>(kube, CODE_RUNS, clock).onChange('team', 'a', (seen) =>
      told.push(seen?.spec?.cancelled),
    );
    await settle();
    await kube.patch(CODE_RUNS, 'team', 'a', { spec: { cancelled: true } }, { strategy: 'merge' });
    await clock.advance(1000);
    expect(told.at(-1)).toBe(true);
    following[Symbol.dispose]();
    const before = told.length;
    await kube.delete(CODE_RUNS, 'team', 'a');
    await settle();
    expect(told).toHaveLength(before);
    expect(clock.pending).toBe(0);
  });
});
