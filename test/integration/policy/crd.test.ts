/** What the API server makes of the CustomResourceDefinitions in crds/: defaults, bounds, what may change, columns. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { API_VERSION } from '../../../src/api/group.ts';
import { type ApiServer, startApiServer } from '../../support/apiserver.ts';
import { type Answer, type Api, install, type Request, until } from './support.ts';

const RUNS = '/apis/coderun.dev/v1alpha1/namespaces/coderun-sandboxes/coderuns';
const BATCHES = '/apis/coderun.dev/v1alpha1/namespaces/coderun-sandboxes/codebatches';
const SESSIONS = '/apis/coderun.dev/v1alpha1/namespaces/coderun-sandboxes/replsessions';
const CLASSES = '/apis/coderun.dev/v1alpha1/sandboxclasses';
const TABLE = 'application/json;as=Table;g=meta.k8s.io;v=v1';

let server: ApiServer;
let api: Api;

beforeAll(async () => {
  server = await startApiServer();
  api = await install(server);
  await until(
    () => api({ path: RUNS }),
    ({ code }) => code === 200,
  );
});
afterAll(() => server.stop());

const run = (spec: object, name = 'r', query = 'dryRun=All&fieldValidation=Strict'): Request => ({
  method: 'POST',
  path: `${RUNS}?${query}`,
  body: { apiVersion: API_VERSION, kind: 'CodeRun', metadata: { name }, spec },
});
const sandboxClass = (spec: object): Request => ({
  method: 'POST',
  path: `${CLASSES}?dryRun=All&fieldValidation=Strict`,
  body: { apiVersion: API_VERSION, kind: 'SandboxClass', metadata: { name: 'c' }, spec },
});
const batch = (spec: object, name = 'b', query = 'dryRun=All&fieldValidation=Strict'): Request => ({
  method: 'POST',
  path: `${BATCHES}?${query}`,
  body: { apiVersion: API_VERSION, kind: 'CodeBatch', metadata: { name }, spec },
});
const patch = (path: string, body: object): Promise<Answer> =>
  api({ method: 'PATCH', path, body, merge: 'merge-patch' });

describe('a CodeRun', () => {
  test('gets its defaults from the schema', async () => {
    const { code, body } = await api(run({ code: '1' }));
    expect(code).toBe(201);
    expect(body.spec).toEqual({ code: '1', language: 'python', ttlSecondsAfterFinished: 3600, cancelled: false });
  });

  test('may set every field there is, but for its session', async () => {
    const spec = {
      codeFrom: { configMapKeyRef: { name: 'c', key: 'k' } },
      language: 'bash',
      className: 'default',
      timeoutSeconds: 3600,
      resources: { cpu: '500m', memory: 536870912 },
      stdin: 'in',
      args: ['a'],
      env: [{ name: 'A', value: 'b' }],
      files: [
        { path: 'a/b.csv', content: '' },
        { path: 'c', contentBase64: 'AA==' },
      ],
      packages: ['humanize==4.9.0', 'requests[socks]>=2,<3'],
      artifacts: ['*.png'],
      ttlSecondsAfterFinished: 0,
      cancelled: false,
    };
    const { message, body } = await api(run(spec));
    expect(message).toBe('');
    expect(body.spec).toEqual(spec);
  });

  test('may have a session, and all that a session has not given it', async () => {
    const spec = {
      code: '1',
      sessionRef: { name: 's' },
      timeoutSeconds: 5,
      args: ['a'],
      env: [{ name: 'A', value: 'b' }],
      files: [{ path: 'a', content: '' }],
      artifacts: ['*'],
    };
    expect((await api(run(spec))).message).toBe('');
  });

  test.each<[string, object, string]>([
    ['neither code nor codeFrom', {}, 'set exactly one of code and codeFrom'],
    [
      'both code and codeFrom',
      { code: '1', codeFrom: { configMapKeyRef: { name: 'c', key: 'k' } } },
      'set exactly one of code and codeFrom',
    ],
    ['empty code', { code: '' }, 'spec.code'],
    ['code of 512 KiB and a byte', { code: 'x'.repeat(524_289) }, 'spec.code: Too long'],
    ['an unknown language', { code: '1', language: 'perl' }, 'spec.language: Unsupported value'],
    ['an unknown field', { code: '1', image: 'mine' }, 'unknown field "spec.image"'],
    ['an unknown field further down', { code: '1', resources: { gpu: '1' } }, 'unknown field "spec.resources.gpu"'],
    ['a timeout of 0', { code: '1', timeoutSeconds: 0 }, 'spec.timeoutSeconds'],
    ['a timeout of more than an hour', { code: '1', timeoutSeconds: 3601 }, 'spec.timeoutSeconds'],
    ['a timeout as text', { code: '1', timeoutSeconds: '30' }, 'spec.timeoutSeconds'],
    ['an amount in words', { code: '1', resources: { memory: 'much' } }, 'spec.resources.memory'],
    ['a negative amount', { code: '1', resources: { cpu: '-1' } }, 'spec.resources.cpu'],
    ['a class name that is no name', { code: '1', className: 'A/b' }, 'spec.className'],
    ['the variable PATH', { code: '1', env: [{ name: 'PATH', value: '' }] }, 'must not be PATH'],
    ['the variable LD_PRELOAD', { code: '1', env: [{ name: 'LD_PRELOAD', value: '' }] }, 'must not be PATH'],
    ['the variable PYTHONPATH', { code: '1', env: [{ name: 'PYTHONPATH', value: '' }] }, 'must not be PATH'],
    ['a variable with "="', { code: '1', env: [{ name: 'A=B', value: '' }] }, 'spec.env[0].name'],
    ['an absolute path', { code: '1', files: [{ path: '/etc/passwd', content: '' }] }, 'relative path'],
    ['a path that climbs', { code: '1', files: [{ path: 'a/../../b', content: '' }] }, 'relative path'],
    ['a file without content', { code: '1', files: [{ path: 'a' }] }, 'exactly one of content and contentBase64'],
    ['base64 that is none', { code: '1', files: [{ path: 'a', contentBase64: '?' }] }, 'spec.files[0].contentBase64'],
    ['a package by URL', { code: '1', packages: ['git+https://example.org/x'] }, 'spec.packages[0]'],
    ['an option as a package', { code: '1', packages: ['--index-url=x'] }, 'spec.packages[0]'],
    [
      'a class beside a session',
      { code: '1', sessionRef: { name: 's' }, className: 'c' },
      "className is the session's to say; leave it out beside sessionRef",
    ],
    [
      'resources beside a session',
      { code: '1', sessionRef: { name: 's' }, resources: { cpu: '1' } },
      "resources is the session's to say",
    ],
    [
      'packages beside a session',
      { code: '1', sessionRef: { name: 's' }, packages: ['a'] },
      "packages is the session's to say",
    ],
    ['too many arguments', { code: '1', args: Array(257).fill('') }, 'spec.args: Too many'],
    ['a TTL of more than 30 days', { code: '1', ttlSecondsAfterFinished: 2_592_001 }, 'spec.ttlSecondsAfterFinished'],
  ])('is refused with %s', async (_title, spec, said) => {
    const answer = await api(run(spec));
    expect(answer.code).toBeGreaterThanOrEqual(400);
    expect(answer.code).toBeLessThan(500);
    expect(answer.message).toContain(said);
  });

  describe('once made', () => {
    beforeAll(async () => {
      await api(run({ code: '1', args: ['a'] }, 'made', 'fieldValidation=Strict'));
    });

    test.each<[string, object]>([
      ['code', { code: '2' }],
      ['args', { args: null }],
      ['stdin', { stdin: 'later' }],
      ['language', { language: 'bash' }],
      ['className', { className: 'other' }],
      ['timeoutSeconds', { timeoutSeconds: 5 }],
      ['resources', { resources: { cpu: '2' } }],
      ['env', { env: [{ name: 'A', value: '' }] }],
      ['files', { files: [{ path: 'a', content: '' }] }],
      ['packages', { packages: ['a'] }],
      ['artifacts', { artifacts: ['*'] }],
      ['sessionRef', { sessionRef: { name: 's' } }],
      ['ttlSecondsAfterFinished', { ttlSecondsAfterFinished: 1 }],
    ])('keeps its %s', async (field, spec) => {
      const answer = await patch(`${RUNS}/made?dryRun=All`, { spec });
      expect(answer.code).toBe(422);
      expect(answer.message).toContain(`${field} is immutable; make a new object instead`);
    });

    test('takes its labels and the wish to cancel it', async () => {
      const answer = await patch(`${RUNS}/made?dryRun=All`, {
        metadata: { labels: { a: 'b' } },
        spec: { cancelled: true },
      });
      expect(answer.message).toBe('');
      expect(answer.body.spec.cancelled).toBe(true);
    });

    test('is cancelled once and for all', async () => {
      await api(run({ code: '1', cancelled: true }, 'cancelled', 'fieldValidation=Strict'));
      const answer = await patch(`${RUNS}/cancelled?dryRun=All`, { spec: { cancelled: false } });
      expect(answer.code).toBe(422);
      expect(answer.message).toContain('a cancelled run cannot be set back');
    });

    test('takes its status by the subresource only, and its spec not by it', async () => {
      const condition = {
        type: 'Succeeded',
        status: 'True',
        reason: 'Completed',
        message: 'done',
        observedGeneration: 1,
        lastTransitionTime: '2026-01-01T00:00:00Z',
      };
      const status = { conditions: [condition], exitCode: 0, durationMilliseconds: 12 };
      const beside = await patch(`${RUNS}/made`, { status });
      expect(beside.body.status).toBeUndefined();
      const { body } = await patch(`${RUNS}/made/status`, { status, spec: { cancelled: true } });
      expect(body.status).toEqual(status);
      expect(body.spec.cancelled).toBe(false);
      expect(body.metadata.generation).toBe(1);
    });

    test('shows Succeeded, Reason, Exit, Duration and Age', async () => {
      const { body } = await api({ path: `${RUNS}/made`, accept: TABLE });
      const columns = body.columnDefinitions as { name: string; priority: number }[];
      const shown = columns.filter(({ priority }) => priority === 0).map(({ name }) => name);
      expect(shown).toEqual(['Name', 'Succeeded', 'Reason', 'Exit', 'Duration', 'Age']);
      expect(body.rows[0].cells.slice(0, 5)).toEqual(['made', 'True', 'Completed', 0, 12]);
    });
  });
});

describe('a CodeBatch', () => {
  const item = (name: string, more: object = {}) => ({ name, code: '1', ...more });
  const many = (count: number, more: object = {}) => Array.from({ length: count }, (_, n) => item(`i${n}`, more));

  test('gets its defaults from the schema', async () => {
    const { message, body } = await api(batch({ items: [item('a')] }));
    expect(message).toBe('');
    expect(body.spec).toEqual({
      template: { language: 'python' },
      items: [item('a')],
      parallelism: 10,
      failFast: false,
      ttlSecondsAfterFinished: 3600,
      cancelled: false,
    });
  });

  test('takes 1000 items that set every field', async () => {
    const own = {
      className: 'c',
      timeoutSeconds: 1,
      resources: { memory: '64Mi' },
      stdin: 'in',
      args: ['a', 'b'],
      env: [{ name: 'A', value: 'b' }],
      files: [{ path: 'a/b', content: 'c' }],
    };
    const { message, body } = await api(batch({ items: many(1000, own), template: { packages: ['humanize'] } }));
    expect(message).toBe('');
    expect(body.spec.items[999]).toEqual(item('i999', own));
  });

  test.each<[string, object, string]>([
    ['no items', { items: [] }, 'spec.items'],
    ['more than 1000 items', { items: many(1001) }, 'spec.items: Too many'],
    ['two items of one name', { items: [item('a'), item('a')] }, 'spec.items[1]: Duplicate value'],
    ['an item without a name', { items: [{ code: '1' }] }, 'spec.items[0].name: Required value'],
    ['an item whose name is none', { items: [item('A_b')] }, 'spec.items[0].name'],
    ['an item without code', { items: [{ name: 'a' }] }, 'spec.items[0].code: Required value'],
    ['an unknown field of an item', { items: [item('a', { image: 'i' })] }, 'unknown field "spec.items[0].image"'],
    ['code in the template', { items: [item('a')], template: { code: '1' } }, 'unknown field "spec.template.code"'],
    ['no parallelism', { items: [item('a')], parallelism: 0 }, 'spec.parallelism'],
    [
      'the variable PATH in the template',
      { items: [item('a')], template: { env: [{ name: 'PATH', value: '' }] } },
      'must not be PATH',
    ],
  ])('is refused with %s', async (_title, spec, said) => {
    const answer = await api(batch(spec));
    expect(answer.code).toBeGreaterThanOrEqual(400);
    expect(answer.code).toBeLessThan(500);
    expect(answer.message).toContain(said);
  });

  describe('once made, of 1000 items', () => {
    beforeAll(async () => {
      await api(batch({ items: many(1000) }, 'made', 'fieldValidation=Strict'));
    });

    test.each<[string, object]>([
      ['items', { items: many(999) }],
      ['template', { template: { stdin: 'later' } }],
      ['failFast', { failFast: true }],
      ['ttlSecondsAfterFinished', { ttlSecondsAfterFinished: 1 }],
    ])('keeps its %s', async (field, spec) => {
      const answer = await patch(`${BATCHES}/made?dryRun=All`, { spec });
      expect(answer.code).toBe(422);
      expect(answer.message).toContain(`${field} is immutable; make a new object instead`);
    });

    test('takes another parallelism, and the wish to cancel it, once and for all', async () => {
      const { message, body } = await patch(`${BATCHES}/made`, { spec: { parallelism: 1, cancelled: true } });
      expect([message, body.spec.parallelism, body.spec.cancelled]).toEqual(['', 1, true]);
      const answer = await patch(`${BATCHES}/made`, { spec: { cancelled: false } });
      expect(answer.message).toContain('a cancelled batch cannot be set back');
    });

    test('takes the longest status there is, and shows what it counts', async () => {
      const items = many(1000).map(({ name }) => ({
        name: name.padEnd(63, 'x'),
        runName: name.padEnd(63, 'x'),
        runUID: '11111111-1111-4111-8111-111111111111',
        reason: 'PackageInstallFailed',
        exitCode: 255,
        durationMilliseconds: 3_600_000,
        completionTime: '2026-01-01T00:00:00.000Z',
      }));
      const counts = { total: 1000, queued: 0, running: 0, succeeded: 1, failed: 999 };
      const { message, body } = await patch(`${BATCHES}/made/status`, { status: { counts, items } });
      expect([message, body.status.items.length]).toEqual(['', 1000]);
      expect(JSON.stringify(body.status).length).toBeLessThan(512 * 1024);
      const table = await api({ path: `${BATCHES}/made`, accept: TABLE });
      expect(table.body.rows[0].cells.slice(0, 6)).toEqual(['made', null, null, 1000, 1, 999]);
    });
  });
});

describe('a ReplSession', () => {
  const session = (spec: object, name = 's', query = 'dryRun=All&fieldValidation=Strict'): Request => ({
    method: 'POST',
    path: `${SESSIONS}?${query}`,
    body: { apiVersion: API_VERSION, kind: 'ReplSession', metadata: { name }, spec },
  });
  const every = {
    className: 'default',
    idleTimeoutSeconds: 10,
    maxLifetimeSeconds: 86_400,
    resources: { cpu: '500m', memory: 536870912 },
    env: [{ name: 'A', value: 'b' }],
    files: [{ path: 'a/b.csv', content: '' }],
    packages: ['humanize==4.9.0'],
    ttlSecondsAfterFinished: 0,
    terminated: false,
  };

  test('gets its defaults from the schema', async () => {
    const { message, body } = await api(session({}));
    expect(message).toBe('');
    expect(body.spec).toEqual({
      idleTimeoutSeconds: 300,
      maxLifetimeSeconds: 3600,
      ttlSecondsAfterFinished: 3600,
      terminated: false,
    });
  });

  test('may set every field there is', async () => {
    const { message, body } = await api(session(every));
    expect([message, body.spec]).toEqual(['', every]);
  });

  test.each<[string, object, string]>([
    ['an idle timeout of seconds', { idleTimeoutSeconds: 9 }, 'spec.idleTimeoutSeconds'],
    ['an idle timeout of more than a day', { idleTimeoutSeconds: 86_401 }, 'spec.idleTimeoutSeconds'],
    ['a lifetime of more than a day', { maxLifetimeSeconds: 86_401 }, 'spec.maxLifetimeSeconds'],
    ['code', { code: '1' }, 'unknown field "spec.code"'],
    ['the variable LD_PRELOAD', { env: [{ name: 'LD_PRELOAD', value: '' }] }, 'must not be PATH'],
    ['a path that climbs', { files: [{ path: '../b', content: '' }] }, 'relative path'],
    ['a package by URL', { packages: ['git+https://example.org/x'] }, 'spec.packages[0]'],
  ])('is refused with %s', async (_title, spec, said) => {
    const answer = await api(session(spec));
    expect(answer.code).toBeGreaterThanOrEqual(400);
    expect(answer.code).toBeLessThan(500);
    expect(answer.message).toContain(said);
  });

  describe('once made', () => {
    beforeAll(async () => {
      await api(session({}, 'made', 'fieldValidation=Strict'));
    });

    test.each(Object.keys(every).filter((field) => field !== 'terminated'))('keeps its %s', async (field) => {
      const answer = await patch(`${SESSIONS}/made?dryRun=All`, { spec: { [field]: every[field as 'env'] } });
      expect(answer.code).toBe(422);
      expect(answer.message).toContain(`${field} is immutable; make a new object instead`);
    });

    test('is terminated once and for all', async () => {
      expect((await patch(`${SESSIONS}/made`, { spec: { terminated: true } })).message).toBe('');
      const answer = await patch(`${SESSIONS}/made`, { spec: { terminated: false } });
      expect(answer.message).toContain('a terminated session cannot be set back');
    });

    test('shows whether it is ready, why, what it did and when it expires', async () => {
      const expiresAt = '2026-01-01T00:05:00.000Z';
      const condition = {
        type: 'Ready',
        status: 'True',
        reason: 'Ready',
        message: 'ready',
        observedGeneration: 1,
        lastTransitionTime: '2026-01-01T00:00:00Z',
      };
      const status = {
        conditions: [condition],
        startTime: '2026-01-01T00:00:00.000Z',
        lastActivityTime: '2026-01-01T00:00:00.000Z',
        expiresAt,
        executions: 3,
        sandbox: { podName: 'p', podUID: 'u', warm: true },
      };
      expect((await patch(`${SESSIONS}/made/status`, { status })).body.status).toEqual(status);
      const table = await api({ path: `${SESSIONS}/made`, accept: TABLE });
      const columns = table.body.columnDefinitions as { name: string; priority: number }[];
      const shown = columns.filter(({ priority }) => priority === 0).map(({ name }) => name);
      expect(shown).toEqual(['Name', 'Ready', 'Reason', 'Executions', 'Expires', 'Age']);
      expect(table.body.rows[0].cells.slice(0, 5)).toEqual(['made', 'True', 'Ready', 3, expiresAt]);
    });
  });
});

describe('a SandboxClass', () => {
  test('gets its defaults from the schema, down to each amount', async () => {
    const { message, body } = await api(sandboxClass({ image: 'i' }));
    expect(message).toBe('');
    expect(body.spec).toMatchObject({
      runtimeClassName: 'gvisor',
      network: 'None',
      resources: { default: { cpu: '1', memory: '512Mi' }, max: { cpu: '2', memory: '2Gi' }, workspace: '128Mi' },
      timeoutSeconds: { default: 30, max: 3600 },
      outputLimitBytes: 65_536,
      podTTLSecondsAfterFinished: 60,
    });
  });

  test.each([
    ['PackageIndex', 'http://package-index.coderun-system.svc:8080/simple/'],
    ['PackageIndex', 'https://a.coderun-system.svc.cluster.local/simple'],
    ['PackageIndex', 'http://[fd00::7]:8080/simple/'],
    ['Internet', 'https://pypi.org/simple/'],
  ])('of network %s may name the index %s', async (network, packageIndexURL) => {
    expect(await api(sandboxClass({ image: 'i', network, packageIndexURL }))).toMatchObject({ code: 201, message: '' });
  });

  test('keeps the defaults of what it leaves out of a group', async () => {
    const { body } = await api(sandboxClass({ image: 'i', timeoutSeconds: { max: 60 } }));
    expect(body.spec.timeoutSeconds).toEqual({ default: 30, max: 60 });
  });

  test.each<[string, object, string]>([
    ['no image', {}, 'spec.image: Required value'],
    [
      'an index that its sandboxes could not find',
      { image: 'i', network: 'PackageIndex', packageIndexURL: 'https://pypi.org/simple/' },
      'packageIndexURL: with network PackageIndex the host must be a Service of coderun-system',
    ],
    [
      'an index that is no URL',
      { image: 'i', network: 'Internet', packageIndexURL: 'pypi.org' },
      'spec.packageIndexURL: Invalid value',
    ],
    ['an unknown network mode', { image: 'i', network: 'Host' }, 'spec.network: Unsupported value'],
    ['an unknown field', { image: 'i', privileged: true }, 'unknown field "spec.privileged"'],
    ['an output limit of a megabyte', { image: 'i', outputLimitBytes: 1_048_576 }, 'spec.outputLimitBytes'],
    ['a module that is no name', { image: 'i', preload: ['os; evil()'] }, 'spec.preload[0]'],
  ])('is refused with %s', async (_title, spec, said) => {
    const answer = await api(sandboxClass(spec));
    expect(answer.code).toBeGreaterThanOrEqual(400);
    expect(answer.message).toContain(said);
  });
});

test('the kinds have short names and the category coderun-dev', async () => {
  const { body } = await api({ path: '/apis/coderun.dev/v1alpha1' });
  const resources = body.resources as { name: string; shortNames?: string[]; categories?: string[] }[];
  expect(resources).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ name: 'coderuns', shortNames: ['crun'], categories: ['coderun-dev'] }),
      expect.objectContaining({ name: 'codebatches', shortNames: ['cbatch'], categories: ['coderun-dev'] }),
      expect.objectContaining({ name: 'replsessions', shortNames: ['rsess'], categories: ['coderun-dev'] }),
      expect.objectContaining({ name: 'sandboxclasses', shortNames: ['sclass'], categories: ['coderun-dev'] }),
    ]),
  );
});
