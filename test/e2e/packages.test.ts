import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import type { CodeRunSpecInput } from '../../src/api/coderun.ts';
import { API_VERSION, LABEL_NETWORK, LABEL_SANDBOX, SANDBOX_POOLS, SYSTEM_NAMESPACE } from '../../src/api/group.ts';
import type { KubernetesObject, Pod } from '../../src/api/object.ts';
import type { SandboxPool } from '../../src/api/sandboxpool.ts';
import { reasonOf } from '../../src/core/coderun.ts';
import { networkPolicies } from '../../src/core/network.ts';
import { NETWORK_POLICIES, PODS, SERVICES } from '../../src/kube/resources.ts';
import { type Change, directPod, runPod } from './direct.ts';
import {
  createRun,
  eventually,
  isFinished,
  kube,
  NODES,
  newClass,
  newNamespace,
  runToEnd,
  temporary,
  until,
} from './support.ts';

const namespace = await newNamespace();
const className = 'packages';

const run = (spec: Partial<CodeRunSpecInput>) => runToEnd(namespace, { className, timeoutSeconds: 60, ...spec }, 120);

describe('a run with packages', () => {
  test('imports them', async () => {
    const { status } = await run({
      packages: ['humanize==4.9.0'],
      code: 'import humanize\nprint(humanize.__version__, humanize.naturalsize(10**6))',
    });
    expect(status).toMatchObject({ conditions: [{ reason: 'Completed' }], stdout: '4.9.0 1.0 MB\n' });
    expect(status?.sandbox).toMatchObject({ network: 'PackageIndex', runtimeClassName: 'gvisor' });
  });

  test('gets what they need as well, and its own processes find them', async () => {
    const { status } = await run({
      packages: ['rich'],
      code: [
        'import subprocess, sys',
        'program = "from rich.markdown import Markdown; from rich.console import Console; Console().print(Markdown(\'*it works*\'))"',
        'print(subprocess.check_output([sys.executable, "-c", program], text=True).strip())',
      ].join('\n'),
    });
    expect(status).toMatchObject({ conditions: [{ reason: 'Completed' }], stdout: 'it works\n' });
  });

  test.each(['no-such-package', 'humanize==0.0.1'])(
    'fails with the last words of pip where %s is not there',
    async (name) => {
      const { status } = await run({ packages: [name], code: 'print("ran")' });
      expect(status).toMatchObject({ conditions: [{ reason: 'PackageInstallFailed' }], retrySafe: true, stdout: '' });
      expect(status?.stderr).toContain(`No matching distribution found for ${name}`);
    },
  );

  test('is claimed by a sandbox that waits, which knows the index too', async () => {
    await temporary(SANDBOX_POOLS, {
      apiVersion: API_VERSION,
      kind: 'SandboxPool',
      metadata: { name: 'packages', namespace },
      ...{ spec: { className, replicas: 1 } },
    });
    await eventually(async () => {
      const { status } = await kube.get<SandboxPool>(SANDBOX_POOLS, namespace, 'packages');
      return status?.ready === 1;
    }, 60);
    const { status } = await run({ packages: ['humanize'], code: 'import humanize' });
    expect(status).toMatchObject({ conditions: [{ reason: 'Completed' }], sandbox: { warm: true } });
  });

  test('waits until the Service of its index is there, and says so', async () => {
    const name = `index-of-${namespace}`;
    const waiting = await newClass({
      runtimeClassName: 'gvisor',
      network: 'PackageIndex',
      packageIndexURL: `http://${name}.${SYSTEM_NAMESPACE}.svc:8080/simple/`,
    });
    const made = await createRun(namespace, {
      className: waiting,
      packages: ['humanize'],
      code: 'import humanize',
      timeoutSeconds: 60,
    });
    const message = ({ status }: typeof made) => status?.conditions?.[0]?.message ?? '';
    const held = await until(made, (current) => message(current).includes(name));
    expect(reasonOf(held)).toBe('Starting');
    expect(message(held)).toContain(`there is no Service "${name}" with an address in ${SYSTEM_NAMESPACE}`);
    await temporary(SERVICES, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: SYSTEM_NAMESPACE },
      ...{ spec: { selector: { 'app.kubernetes.io/name': 'package-index' }, ports: [{ port: 8080 }] } },
    });
    expect(reasonOf(await until(made, isFinished))).toBe('Completed');
  });
});

type Target = [kind: 'tcp' | 'udp', host: string, port: number];
type Service = KubernetesObject & { spec: { clusterIP: string } };
type Node = KubernetesObject & { status: { addresses: { type: string; address: string }[] } };

/** The node of each target, where it is one: what listens there itself, NetworkPolicies don't keep from its own pods. */
const onNode = new Map<string, string>();
const targets: Record<string, Target> = {};

const CONNECTS = readFileSync(new URL('connects.py', import.meta.url), 'utf8');

/** The targets that a program in such a pod reaches, with the milliseconds that it took. */
async function reachedFrom(change: Change): Promise<Record<string, number>> {
  const pod = await directPod(namespace, CONNECTS, { TARGETS: JSON.stringify(targets) });
  pod.spec.runtimeClassName = 'gvisor';
  change(pod);
  return JSON.parse((await runPod(pod)).output);
}

async function podOf(namespace: string, labelSelector: string): Promise<string> {
  const { items } = await kube.list<Pod>(PODS, { namespace, labelSelector });
  return items.find(({ status }) => status?.podIP)?.status?.podIP ?? '';
}

const serviceOf = async (namespace: string, name: string): Promise<string> =>
  (await kube.get<Service>(SERVICES, namespace, name)).spec.clusterIP;

async function findTargets(): Promise<void> {
  const index = await podOf(SYSTEM_NAMESPACE, 'app.kubernetes.io/name=package-index');
  const dns = await serviceOf('kube-system', 'kube-dns');
  Object.assign(targets, {
    index: ['tcp', await serviceOf(SYSTEM_NAMESPACE, 'package-index'), 8080],
    'another port of the index': ['tcp', index, 9000],
    'the gateway': ['tcp', await podOf(SYSTEM_NAMESPACE, 'app.kubernetes.io/name=gateway'), 8080],
    'the Service of the gateway': ['tcp', await serviceOf(SYSTEM_NAMESPACE, 'gateway'), 80],
    'the controller': ['tcp', await podOf(SYSTEM_NAMESPACE, 'app.kubernetes.io/name=controller'), 8081],
    'DNS by TCP': ['tcp', dns, 53],
    'DNS by UDP': ['udp', dns, 53],
    'the pod of DNS': ['udp', await podOf('kube-system', 'k8s-app=kube-dns'), 53],
    'the metadata service': ['tcp', '169.254.169.254', 80],
    'the internet': ['tcp', '1.1.1.1', 443],
  } satisfies Record<string, Target>);
  const { items } = await kube.list<Node>(NODES);
  for (const { metadata, status } of items) {
    const address = status.addresses.find(({ type }) => type === 'InternalIP')?.address ?? '';
    targets[`the gateway by a port of ${metadata.name}`] = ['tcp', address, 30_080];
    const own: [string, Target][] = [[`the kubelet of ${metadata.name}`, ['tcp', address, 10_250]]];
    if (metadata.labels?.['node-role.kubernetes.io/control-plane'] !== undefined) {
      own.push(['the API server', ['tcp', await serviceOf('default', 'kubernetes'), 443]]);
      own.push([`the API server on ${metadata.name}`, ['tcp', address, 6443]]);
    }
    for (const [name, target] of own) {
      targets[name] = target;
      onNode.set(name, metadata.name);
    }
  }
}

describe('a sandbox with network PackageIndex', () => {
  beforeAll(findTargets);

  test('reaches the index and nothing else, from its first packet on', async () => {
    const { status } = await run({ code: CONNECTS, env: [{ name: 'TARGETS', value: JSON.stringify(targets) }] });
    expect(status?.conditions?.[0]?.reason, JSON.stringify(status)).toBe('Completed');
    const reached = Object.keys(JSON.parse(status?.stdout ?? ''));
    const elsewhere = reached.filter((name) => onNode.get(name) !== status?.sandbox?.nodeName);
    expect(elsewhere).toEqual(['index']);
  });

  test('has one name, that of the index, and no resolver', async () => {
    const code = [
      'import socket',
      'for name in "package-index.coderun-system.svc", "kubernetes.default.svc.cluster.local", "pypi.org":',
      '    try: print(socket.gethostbyname(name))',
      '    except OSError as error: print(type(error).__name__)',
    ].join('\n');
    expect((await run({ code })).status?.stdout).toBe(`${targets['index']?.[1]}\ngaierror\ngaierror\n`);
  });

  test('is kept from the rest by its label, and let in by it: without, it is the other way round', async () => {
    for (const policy of networkPolicies(namespace)) await kube.create(NETWORK_POLICIES, policy).catch(() => undefined);
    const labels = { [LABEL_SANDBOX]: 'true', [LABEL_NETWORK]: 'PackageIndex' };
    const labelled = await reachedFrom((pod) => {
      pod.metadata.labels = labels;
    });
    const unlabelled = Object.keys(await reachedFrom(() => undefined));
    expect(Object.keys(labelled)).toContain('index');
    expect(unlabelled).toEqual(expect.arrayContaining(['the gateway', 'the controller', 'DNS by UDP']));
    expect(unlabelled).not.toContain('index');
  });
});
