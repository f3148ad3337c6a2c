/** A real kube-apiserver on a real etcd, on 127.0.0.1, for as long as a test needs it. No kubelet, no controllers. */

import { once } from 'node:events';
import { access, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ResourceType } from '../../src/api/group.ts';
import type { Authentication, Credentials, Tls } from '../../src/kube/credentials.ts';
import type { Kube } from '../../src/kube/port.ts';
import { systemClock, within } from '../../src/runtime/clock.ts';
import { type Certificates, createCertificates } from './certificates.ts';
import { fixedCredentials } from './credentials.ts';
import { freePorts, type Started, start } from './processes.ts';

export interface ApiServer {
  readonly url: string;
  /** Path of a kubeconfig of an administrator (group system:masters). */
  readonly kubeconfig: string;
  readonly credentials: Credentials;
  stop(): Promise<void>;
}

const READY_MILLISECONDS = 60_000;

/** The directory with the programs `etcd` and `kube`; the latter is every Kubernetes program, told apart by its name. */
const programs = (): string => process.env['CODERUN_BIN_DIR'] ?? join(homedir(), '.cache', 'coderun-cluster', 'bin');

/** Starts both and waits until the API server is ready: about five seconds. RBAC is on; admission is the default. */
export async function startApiServer(): Promise<ApiServer> {
  const directory = await mkdtemp(join(tmpdir(), 'coderun-apiserver-'));
  const started: Started[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((one) => one.stop()));
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const [certificates, ports] = await Promise.all([createCertificates(directory), freePorts(3)]);
    const [clientPort = 0, peerPort = 0, port = 0] = ports;
    await Promise.all(['etcd', 'kube'].map((name) => access(join(programs(), name))));
    await symlink(join(programs(), 'kube'), join(directory, 'kube-apiserver'));
    started.push(startEtcd(directory, clientPort, peerPort));
    started.push(startKubeApiServer(directory, certificates, clientPort, port));
    const url = `https://127.0.0.1:${port}`;
    const authentication = await administrator(certificates);
    const failed = started.map(async (one) => Promise.reject(new Error(await one.ended)));
    await within(systemClock, READY_MILLISECONDS, Promise.race([untilReady(url, authentication), ...failed]));
    const kubeconfig = join(directory, 'kubeconfig');
    await writeFile(kubeconfig, kubeconfigOf(url, certificates), { mode: 0o600 });
    return { url, kubeconfig, credentials: fixedCredentials(url, authentication), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function startEtcd(directory: string, clientPort: number, peerPort: number): Started {
  const client = `http://127.0.0.1:${clientPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  const flags = {
    'data-dir': join(directory, 'etcd'),
    'unsafe-no-fsync': 'true',
    // As kubeadm has it: a watch in which nothing happens still learns how far the server is.
    'watch-progress-notify-interval': '5s',
    'listen-client-urls': client,
    'advertise-client-urls': client,
    'listen-peer-urls': peer,
    'initial-advertise-peer-urls': peer,
    'initial-cluster': `default=${peer}`,
  };
  return start(join(programs(), 'etcd'), asFlags(flags), join(directory, 'etcd.log'), directory);
}

function startKubeApiServer(directory: string, files: Certificates, etcdPort: number, port: number): Started {
  const flags = {
    'etcd-servers': `http://127.0.0.1:${etcdPort}`,
    'bind-address': '127.0.0.1',
    // As kubeadm sets it: otherwise a privileged pod is refused before any policy is asked.
    'allow-privileged': 'true',
    'secure-port': `${port}`,
    'tls-cert-file': files.serverCertificate,
    'tls-private-key-file': files.serverKey,
    'client-ca-file': files.ca,
    'service-account-key-file': files.tokenKey,
    'service-account-signing-key-file': files.tokenKey,
    'service-account-issuer': 'https://kubernetes.default.svc',
    'service-cluster-ip-range': '10.96.0.0/16',
    'authorization-mode': 'RBAC',
    // The only service would be this server itself, at an address of the host.
    'endpoint-reconciler-type': 'none',
  };
  return start(join(directory, 'kube-apiserver'), asFlags(flags), join(directory, 'kube-apiserver.log'), directory);
}

async function untilReady(url: string, { tls }: Authentication): Promise<void> {
  const ready = async (): Promise<boolean> => {
    const request = get(`${url}/readyz`, { ...tls, agent: false });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    return response.statusCode === 200;
  };
  while (!(await ready().catch(() => false))) await systemClock.sleep(100);
}

const asFlags = (flags: Record<string, string>): string[] =>
  Object.entries(flags).map(([name, value]) => `--${name}=${value}`);

async function administrator(files: Certificates): Promise<Authentication> {
  const read = (path: string): Promise<Buffer> => readFile(path);
  const [ca, cert, key] = await Promise.all([files.ca, files.adminCertificate, files.adminKey].map(read));
  return { headers: {}, tls: { ca, cert, key } as Tls };
}

function kubeconfigOf(url: string, files: Certificates): string {
  const cluster = { server: url, 'certificate-authority': files.ca };
  const user = { 'client-certificate': files.adminCertificate, 'client-key': files.adminKey };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster }],
    users: [{ name: 'admin', user }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
    'current-context': 'test',
  });
}

/** The same server for another user, with no more than what RBAC gives to that user. */
export const impersonating = (credentials: Credentials, user: string): Credentials => ({
  ...credentials,
  authentication: async () => {
    const { headers, tls } = await credentials.authentication();
    return { headers: { ...headers, 'impersonate-user': user }, tls };
  },
});

/** How Kubernetes calls a service account as a user. */
export const serviceAccountUser = (namespace: string, name: string): string =>
  `system:serviceaccount:${namespace}:${name}`;

const core = (kind: string, plural: string, namespaced: boolean): ResourceType => ({
  apiVersion: 'v1',
  kind,
  plural,
  namespaced,
});

/** A namespace of its own for a test, with the service account that pods need. No controller would make it here. */
export async function createNamespace(kube: Kube, name: string, labels: Record<string, string> = {}): Promise<void> {
  const namespaces = core('Namespace', 'namespaces', false);
  const serviceAccounts = core('ServiceAccount', 'serviceaccounts', true);
  await kube.create(namespaces, {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels } as { name: string },
  });
  await kube.create(serviceAccounts, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default', namespace: name },
  });
}

/** Resolves when the API server knows a type whose definition was created a moment ago. */
export async function untilServed(kube: Kube, type: ResourceType): Promise<void> {
  const isServed = (): Promise<boolean> =>
    kube.list(type, { limit: 1 }).then(
      () => true,
      () => false,
    );
  while (!(await isServed())) await systemClock.sleep(50);
}
