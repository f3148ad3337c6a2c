/** Credentials come from where they lie, stay fresh, and don't leak. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inClusterCredentials, kubeconfigCredentials } from '../../../src/kube/config.ts';
import { type Authentication, refreshed } from '../../../src/kube/credentials.ts';
import { FakeClock } from '../../support/clock.ts';

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'coderun-config-'));
});

afterAll(() => rm(directory, { recursive: true }));

const put = (name: string, content: string): Promise<void> => writeFile(join(directory, name), content);

async function mountServiceAccount(): Promise<void> {
  await Promise.all([put('token', 'first\n'), put('ca.crt', 'CA'), put('namespace', 'coderun-system\n')]);
}

test('in a pod, the token is read again after a minute', async () => {
  await mountServiceAccount();
  const clock = new FakeClock();
  const credentials = await inClusterCredentials({ host: '10.0.0.1', port: '443', directory }, clock);
  expect(credentials).toMatchObject({ server: new URL('https://10.0.0.1:443'), namespace: 'coderun-system' });
  const first = await credentials.authentication();
  expect(first).toEqual({ headers: { authorization: 'Bearer first' }, tls: { ca: 'CA' } });
  await put('token', 'second');
  await clock.advance(59_999);
  expect((await credentials.authentication()).headers).toEqual({ authorization: 'Bearer first' });
  await clock.advance(1);
  const second = await credentials.authentication();
  expect(second.headers).toEqual({ authorization: 'Bearer second' });
  expect(second.tls).toBe(first.tls);
});

test('in a pod of an IPv6 cluster, the address is put into brackets', async () => {
  await mountServiceAccount();
  const credentials = await inClusterCredentials({ host: 'fd00::1', port: '443', directory }, new FakeClock());
  expect(credentials.server.href).toBe('https://[fd00::1]/');
});

const from = (token: string, ca = 'CA'): Authentication => ({ headers: { token }, tls: { ca } });

test('many who ask at once share one reading', async () => {
  let readings = 0;
  const ask = refreshed(new FakeClock(), 1000, async () => from(`${++readings}`));
  const answers = await Promise.all([ask(), ask(), ask()]);
  expect(answers.map((answer) => answer.headers)).toEqual([{ token: '1' }, { token: '1' }, { token: '1' }]);
});

test('new TLS material is a new object', async () => {
  const clock = new FakeClock();
  const answers = [from('1', 'old'), from('2', 'new')];
  const ask = refreshed(clock, 1000, async () => answers.shift() ?? from(''));
  const { tls } = await ask();
  await clock.advance(1000);
  expect((await ask()).tls).not.toBe(tls);
});

test('a failed reading is told without its text, and tried again at the next call', async () => {
  const readings = [() => Promise.reject(new Error('SECRET')), () => Promise.resolve(from('1'))];
  const ask = refreshed(new FakeClock(), 1000, () => (readings.shift() ?? Promise.reject)());
  const error: Error = await ask().then(
    () => new Error('it was read'),
    (reason) => reason,
  );
  expect(error).toMatchObject({ name: 'KubeError', code: 0, reason: 'NoCredentials' });
  expect(`${error.stack} ${error.cause}`).not.toContain('SECRET');
  expect((await ask()).headers).toEqual({ token: '1' });
});

const base64 = (text: string): string => Buffer.from(text).toString('base64');

const execution = (script: string) => ({
  exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'sh', args: ['-c', script] },
});

const KUBECONFIG = {
  apiVersion: 'v1',
  kind: 'Config',
  'current-context': 'certificate',
  clusters: [
    { name: 'c', cluster: { server: 'https://localhost:1/below', 'certificate-authority-data': base64('CA') } },
    { name: 'insecure', cluster: { server: 'https://localhost:2', 'insecure-skip-tls-verify': true } },
    { name: 'proxied', cluster: { server: 'https://localhost:3', 'proxy-url': 'http://proxy' } },
  ],
  users: [
    { name: 'certificate', user: { 'client-certificate-data': base64('CERT'), 'client-key-data': base64('KEY') } },
    { name: 'token', user: { token: 't' } },
    { name: 'password', user: { username: 'u', password: 'p' } },
    { name: 'program', user: execution(`echo '{"status":{"token":"from-program"}}'`) },
    { name: 'failing', user: execution('echo SECRET; echo SECRET >&2; exit 1') },
  ],
  contexts: [
    { name: 'certificate', context: { cluster: 'c', user: 'certificate', namespace: 'ns' } },
    { name: 'token', context: { cluster: 'insecure', user: 'token' } },
    { name: 'password', context: { cluster: 'c', user: 'password' } },
    { name: 'program', context: { cluster: 'c', user: 'program' } },
    { name: 'failing', context: { cluster: 'c', user: 'failing' } },
    { name: 'proxied', context: { cluster: 'proxied', user: 'token' } },
  ],
};

async function credentialsOf(context?: string) {
  await put('kubeconfig', JSON.stringify(KUBECONFIG));
  return kubeconfigCredentials({ path: join(directory, 'kubeconfig'), ...(context && { context }) }, new FakeClock());
}

const ca = Buffer.from('CA');

test.each<[string, Authentication]>([
  ['certificate', { headers: {}, tls: { ca, cert: Buffer.from('CERT'), key: Buffer.from('KEY') } }],
  ['token', { headers: { authorization: 'Bearer t' }, tls: { rejectUnauthorized: false } }],
  ['password', { headers: { authorization: `Basic ${base64('u:p')}` }, tls: { ca } }],
  ['program', { headers: { authorization: 'Bearer from-program' }, tls: { ca } }],
])('a kubeconfig with a %s gives what its user shows', async (context, authentication) => {
  expect(await (await credentialsOf(context)).authentication()).toEqual(authentication);
});

test('without a context, a kubeconfig says which', async () => {
  const { server, namespace } = await credentialsOf();
  expect({ server: server.href, namespace }).toEqual({ server: 'https://localhost:1/below', namespace: 'ns' });
});

test('what a login program prints stays out of the error', async () => {
  const credentials = await credentialsOf('failing');
  await expect(credentials.authentication()).rejects.toMatchObject({
    reason: 'NoCredentials',
    message: 'the credentials could not be read',
  });
});

test.each([
  ['absent', 'no context "absent"'],
  ['proxied', 'proxy-url is not supported'],
])('the context %s is refused with a reason', async (context, message) => {
  await expect(credentialsOf(context)).rejects.toThrow(message);
});
