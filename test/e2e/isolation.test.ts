import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { LABEL_NETWORK, LABEL_SANDBOX } from '../../src/api/group.ts';
import type { KubernetesObject, NewPod, Pod } from '../../src/api/object.ts';
import { networkPolicies } from '../../src/core/network.ts';
import { NETWORK_POLICIES, PODS } from '../../src/kube/resources.ts';
import { runInPod, unlabelledPod } from './direct.ts';
import { eventually, kube, NODES, newNamespace, runToEnd, temporary } from './support.ts';

/*
 * Each layer has two tests of the same fact: what a program sees in the sandbox that it gets, and what it sees in a pod
 * that lacks this one layer. The second shows that the first can fail.
 */

const PROBE = readFileSync(new URL('probe.py', import.meta.url), 'utf8');

interface Facts {
  [fact: string]: unknown;
  connect: Record<string, string>;
}

type Change = (pod: NewPod) => void;

const containerOf = (pod: NewPod) => {
  const [container] = pod.spec.containers;
  if (!container) throw new Error('a pod has a container');
  return container;
};

const securityOf = (pod: NewPod) => {
  const container = containerOf(pod);
  container.securityContext ??= {};
  return container.securityContext;
};

const namespace = await newNamespace();
let targets: Record<string, [host: string, port: number]>;
let sandbox: Facts;

async function factsWithout(change: Change): Promise<Facts> {
  const pod = await unlabelledPod(namespace);
  change(pod);
  const { stdout, stderr } = await runInPod(pod, PROBE, { TARGETS: JSON.stringify(targets) });
  return JSON.parse(stdout || `"${stderr}"`);
}

/** A pod that listens, for others to connect to. */
async function listener(): Promise<string> {
  const pod = await unlabelledPod(namespace);
  pod.metadata.name = 'listener';
  pod.spec.runtimeClassName = 'gvisor';
  const server =
    'import socketserver; socketserver.TCPServer(("", 9000), socketserver.BaseRequestHandler).serve_forever()';
  Object.assign(containerOf(pod), { command: ['python3', '-c', server] });
  await temporary(PODS, pod);
  return eventually(async () => {
    const { status } = await kube.get<Pod>(PODS, namespace, 'listener');
    return status?.phase === 'Running' && status.podIP;
  }, 60);
}

beforeAll(async () => {
  const { items } = await kube.list<KubernetesObject & { status: { addresses: { type: string; address: string }[] } }>(
    NODES,
  );
  const node = items[0]?.status.addresses.find(({ type }) => type === 'InternalIP')?.address ?? '';
  const service = { apiVersion: 'v1', kind: 'Service', plural: 'services', namespaced: true };
  const api = await kube.get<KubernetesObject & { spec: { clusterIP: string } }>(service, 'default', 'kubernetes');
  const dns = await kube.get<KubernetesObject & { spec: { clusterIP: string } }>(service, 'kube-system', 'kube-dns');
  targets = {
    pod: [await listener(), 9000],
    apiServer: [api.spec.clusterIP, 443],
    nodeApiServer: [node, 6443],
    kubelet: [node, 10_250],
    dns: [dns.spec.clusterIP, 53],
    metadata: ['169.254.169.254', 80],
    internet: ['1.1.1.1', 443],
  };
  const run = await runToEnd(
    namespace,
    { code: PROBE, env: [{ name: 'TARGETS', value: JSON.stringify(targets) }], timeoutSeconds: 60 },
    120,
  );
  sandbox = JSON.parse(run.status?.stdout || '{}');
});

describe('the sandbox of the class default', () => {
  test('reaches no pod, no API server, no kubelet, no DNS, no metadata service and no internet', () => {
    const reached = Object.entries(sandbox.connect).filter(
      ([, outcome]) => !outcome.includes('Network is unreachable'),
    );
    expect(reached).toEqual([]);
    expect(Object.keys(sandbox.connect)).toHaveLength(7);
  });

  test('has held after all that', () => {
    expect(sandbox).toMatchObject({ stop_agent: expect.anything(), hostname: 'sandbox' });
  });
});

interface Layer {
  layer: string;
  fact: (facts: Facts) => unknown;
  safe: unknown;
  /** Takes the layer away. */
  without: Change;
  unsafe: unknown;
}

const ZERO = '0000000000000000';

const layers: Layer[] = [
  {
    layer: 'gVisor is the kernel',
    fact: ({ gvisor, kernel }) => [gvisor, String(kernel).includes('gvisor')],
    safe: [true, true],
    without: (pod) => void delete pod.spec.runtimeClassName,
    unsafe: [expect.not.stringMatching(/^true$/), false],
  },
  {
    layer: 'there is no network but loopback',
    fact: ({ interfaces }) => interfaces,
    safe: ['lo'],
    without: (pod) => {
      pod.spec.runtimeClassName = 'gvisor';
    },
    unsafe: expect.arrayContaining(['eth0']),
  },
  {
    layer: 'no name is resolved',
    fact: ({ resolve }) => resolve,
    safe: expect.stringContaining('gaierror'),
    without: (pod) => {
      pod.spec.runtimeClassName = 'gvisor';
      pod.spec.dnsPolicy = 'ClusterFirst';
    },
    unsafe: true,
  },
  {
    layer: 'the resolver configuration tells nothing of the cluster',
    fact: ({ resolvers }) => String(resolvers).includes('cluster.local'),
    safe: false,
    without: (pod) => {
      pod.spec.dnsPolicy = 'ClusterFirst';
    },
    unsafe: true,
  },
  {
    layer: 'there is no service account token',
    fact: ({ token }) => token,
    safe: false,
    without: (pod) => {
      pod.spec.automountServiceAccountToken = true;
    },
    unsafe: true,
  },
  {
    layer: 'the program is not root and has no capability',
    fact: ({ user, capabilities }) => [user, capabilities],
    safe: [
      [65_534, 65_534],
      [ZERO, ZERO, ZERO],
    ],
    without: (pod) => {
      pod.spec.securityContext = { runAsUser: 0, runAsGroup: 0 };
      containerOf(pod).securityContext = { readOnlyRootFilesystem: true };
    },
    unsafe: [[0, 0], expect.not.arrayContaining([ZERO])],
  },
  {
    layer: 'capabilities can not be gained',
    fact: ({ capabilities }) => (capabilities as string[])[2],
    safe: ZERO,
    without: (pod) => void delete securityOf(pod).capabilities,
    unsafe: expect.not.stringMatching(ZERO),
  },
  {
    layer: 'nothing outside of the working directory can be written',
    fact: ({ write_root, write_etc, write_code }) =>
      [write_root, write_etc, write_code].map((outcome) => outcome === 'written'),
    safe: [false, false, false],
    without: (pod) => {
      pod.spec.securityContext = { runAsUser: 0 };
      containerOf(pod).securityContext = {};
    },
    unsafe: [true, true, true],
  },
  {
    layer: 'the name of the pod is not told',
    fact: ({ hostname }) => hostname,
    safe: 'sandbox',
    without: (pod) => void delete pod.spec.hostname,
    unsafe: expect.stringMatching(/^direct-/),
  },
];

describe.each(layers)('$layer', ({ fact, safe, without, unsafe }) => {
  test('in a sandbox', () => {
    expect(fact(sandbox)).toEqual(safe);
  });

  test('but not in a pod that lacks this layer', async () => {
    expect(fact(await factsWithout(without))).toEqual(unsafe);
  });
});

describe('what the agent and the runtime keep a program from', () => {
  test.each([
    ['becoming root', ({ become_root }: Facts) => become_root, expect.stringContaining('PermissionError')],
    ['seeing the services of the cluster', ({ service_environment }: Facts) => service_environment, []],
    [
      'reading the environment of the agent',
      ({ agent_environment }: Facts) => agent_environment,
      expect.stringContaining('Error'),
    ],
    ['reading the memory of the agent', ({ agent_memory }: Facts) => agent_memory, expect.stringContaining('Error')],
    [
      'writing to the channel of the agent',
      ({ agent_output }: Facts) => agent_output,
      expect.stringContaining('Error'),
    ],
    ['raw sockets', ({ raw_socket }: Facts) => raw_socket, expect.stringContaining('Error')],
    ['mounting', ({ mount }: Facts) => mount, -1],
    ['making devices', ({ device }: Facts) => device, expect.stringContaining('Error')],
    ['dumping core', ({ core_limit }: Facts) => core_limit, 0],
    [
      'processes without end',
      ({ process_limit }: Facts) => Number(process_limit) > 0 && Number(process_limit) <= 256,
      true,
    ],
    ['open files without end', ({ file_limit }: Facts) => Number(file_limit) > 0 && Number(file_limit) <= 1024, true],
    ['the sockets of the node', ({ sockets }: Facts) => sockets, []],
  ])('%s', (_what, fact, want) => {
    expect(fact(sandbox)).toEqual(want);
  });
});

describe('deny-all by NetworkPolicy, in plain gVisor with a network', () => {
  const policed: Change = (pod) => {
    pod.spec.runtimeClassName = 'gvisor';
    pod.metadata.labels = { [LABEL_SANDBOX]: 'true', [LABEL_NETWORK]: 'None' };
  };

  test('keeps a sandbox from other pods, DNS, metadata and the internet, but not from its own node', async () => {
    for (const policy of networkPolicies(namespace)) await kube.create(NETWORK_POLICIES, policy).catch(() => undefined);
    const { connect } = await factsWithout(policed);
    expect(
      Object.entries(connect)
        .filter(([, outcome]) => outcome === 'connected')
        .map(([name]) => name),
    ).toEqual(
      // NetworkPolicy's contract leaves out the pod's own node: this is what the RuntimeClass without network closes.
      expect.not.arrayContaining(['pod', 'dns', 'metadata', 'internet']),
    );
    expect([connect['nodeApiServer'], connect['kubelet']]).toContain('connected');
  });

  test('is what does it: without the label another pod is reached', async () => {
    const { connect } = await factsWithout((pod) => {
      pod.spec.runtimeClassName = 'gvisor';
    });
    expect(connect['pod']).toBe('connected');
  });
});
