import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { LABEL_NETWORK, LABEL_SANDBOX } from '../../src/api/group.ts';
import type { KubernetesObject, Pod } from '../../src/api/object.ts';
import { networkPolicies } from '../../src/core/network.ts';
import { NETWORK_POLICIES, PODS } from '../../src/kube/resources.ts';
import { type Change, containerOf, directPod, runPod } from './direct.ts';
import { eventually, kube, NODES, newNamespace, runToEnd, temporary } from './support.ts';

/*
 * A fact about each layer is seen three times: by a program in its sandbox; in the pod of a sandbox, without the agent;
 * and in such a pod that lacks the layer. The last shows that the others can fail.
 */

const PROBE = readFileSync(new URL('probe.py', import.meta.url), 'utf8');

interface Facts {
  [fact: string]: unknown;
  connect: Record<string, string>;
}

const namespace = await newNamespace();
let targets: Record<string, [host: string, port: number]>;
let sandbox: Facts;
let asBuilt: Facts;

async function factsOf(change: Change): Promise<Facts> {
  const pod = await directPod(namespace, PROBE, { TARGETS: JSON.stringify(targets) });
  change(pod);
  const { output } = await runPod(pod);
  return JSON.parse(output);
}

/** A pod that listens, for others to connect to. */
async function listener(): Promise<string> {
  const server =
    'import socketserver; socketserver.TCPServer(("", 9000), socketserver.BaseRequestHandler).serve_forever()';
  const pod = await directPod(namespace, server);
  pod.metadata.name = 'listener';
  pod.spec.runtimeClassName = 'gvisor';
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
  const probed = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'probed', namespace } };
  await kube.create(service, { ...probed, ...{ spec: { ports: [{ port: 1 }] } } });
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
  asBuilt = await factsOf(() => undefined);
});

describe('the sandbox of the class default', () => {
  test('reaches no pod, no API server, no kubelet, no DNS, no metadata service and no internet', () => {
    const reached = Object.entries(sandbox.connect).filter(
      ([, outcome]) => !outcome.includes('Network is unreachable'),
    );
    expect(reached).toEqual([]);
    expect(Object.keys(sandbox.connect)).toHaveLength(7);
  });

  test('shows the program no process but its own, so that it can not stop, read or speak for the agent', async () => {
    expect(sandbox['processes']).toEqual([sandbox['own_process']]);
    const run = await runToEnd(namespace, {
      code: 'import os\nprint("before", flush=True)\nos.kill(1, 9)\nos.kill(-1, 9)',
    });
    expect(run.status).toMatchObject({ conditions: [{ reason: 'Signalled' }], signal: 'SIGKILL', stdout: 'before\n' });
  });
});

interface Layer {
  layer: string;
  fact: (facts: Facts) => unknown;
  /** In the pod, and for the program where the agent adds nothing of its own. */
  safe: unknown;
  program?: unknown;
  /** What is changed before, so that no other layer stands in for this one. */
  given?: Change;
  /** Takes the layer away. */
  without: Change;
  unsafe: unknown;
}

const ZERO = '0000000000000000';
const denied = (...outcomes: unknown[]) => outcomes.map((outcome) => outcome !== 'written');

const layers: Layer[] = [
  {
    layer: 'gVisor is the kernel',
    fact: ({ gvisor, kernel }) => [gvisor === true, String(kernel).includes('gvisor')],
    safe: [true, true],
    without: (pod) => void delete pod.spec.runtimeClassName,
    unsafe: [false, false],
  },
  {
    layer: 'there is no network but loopback',
    fact: ({ interfaces }) => interfaces,
    safe: ['lo'],
    without: (pod) => {
      pod.spec.runtimeClassName = 'gvisor';
    },
    unsafe: ['eth0', 'lo'],
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
    layer: 'the program is not root',
    fact: ({ user }) => user,
    safe: [65_534, 65_534],
    without: (pod) => {
      pod.spec.securityContext = { runAsUser: 0, runAsGroup: 0 };
    },
    unsafe: [0, 0],
  },
  {
    layer: 'root itself has no capability',
    fact: ({ capabilities }) => capabilities,
    safe: [ZERO, ZERO, ZERO],
    // The agent ran it in a user namespace of the sandbox's own kernel, where the bounding set says nothing.
    program: [ZERO, ZERO, expect.any(String)],
    without: (pod) => void delete containerOf(pod).securityContext?.capabilities,
    unsafe: [ZERO, ZERO, expect.not.stringMatching(ZERO)],
  },
  {
    layer: 'no privilege is gained',
    fact: ({ no_new_privileges }) => no_new_privileges,
    safe: '1',
    without: (pod) => {
      containerOf(pod).securityContext = { ...containerOf(pod).securityContext, allowPrivilegeEscalation: true };
    },
    unsafe: '0',
  },
  {
    layer: 'nothing outside of the working directory can be written, even by root',
    fact: ({ write_root, write_etc, write_code }) => denied(write_root, write_etc, write_code),
    safe: [true, true, true],
    given: (pod) => {
      pod.spec.securityContext = { runAsUser: 0 };
    },
    without: (pod) => {
      containerOf(pod).securityContext = { ...containerOf(pod).securityContext, readOnlyRootFilesystem: false };
    },
    unsafe: [false, false, false],
  },
  {
    layer: 'the name of the pod is not told',
    fact: ({ hostname }) => hostname,
    safe: 'sandbox',
    without: (pod) => void delete pod.spec.hostname,
    unsafe: expect.stringMatching(/^direct-/),
  },
  {
    layer: 'services of the namespace are not told',
    fact: ({ service_environment }) => (service_environment as string[]).filter((name) => name.startsWith('PROBED_')),
    safe: [],
    without: (pod) => {
      pod.spec.enableServiceLinks = true;
    },
    unsafe: expect.arrayContaining(['PROBED_SERVICE_HOST']),
  },
];

describe.each(layers)('$layer', ({ fact, safe, program, given, without, unsafe }) => {
  test('for a program in its sandbox', () => {
    expect(fact(sandbox)).toEqual(program ?? safe);
  });

  test('by the pod alone', async () => {
    expect(fact(given ? await factsOf(given) : asBuilt)).toEqual(safe);
  });

  test('but not in a pod that lacks this layer', async () => {
    const weakened = await factsOf((pod) => {
      given?.(pod);
      without(pod);
    });
    expect(fact(weakened)).toEqual(unsafe);
  });
});

describe('what the agent and the runtime keep a program from', () => {
  test.each([
    ['becoming root', ({ become_root }: Facts) => become_root, expect.stringContaining('Error')],
    ['seeing the services of the cluster', ({ service_environment }: Facts) => service_environment, []],
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
    const { connect } = await factsOf(policed);
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
    const { connect } = await factsOf((pod) => {
      pod.spec.runtimeClassName = 'gvisor';
    });
    expect(connect['pod']).toBe('connected');
  });
});
