/** The admission policy coderun-sandbox-pods: one loosening at a time, refused with it and admitted without it. */

import { readFile } from 'node:fs/promises';
import { loadAll } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ApiServer, startApiServer } from '../../support/apiserver.ts';
import { lockedDownPod, ordinaryPod, type TestPod } from './pods.ts';
import { type Api, createNamespace, install, type Request, until } from './support.ts';

const PODS = '/api/v1/namespaces/tenant/pods';
const BINDING = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/coderun-sandbox-pods';
const POLICY_FILE = new URL('../../../deploy/base/admission-policy.yaml', import.meta.url);

type Edit = (pod: TestPod) => void;

const container =
  (change: object): Edit =>
  (pod) =>
    void Object.assign(pod.spec.containers[0], change);
const securityContext =
  (change: object): Edit =>
  (pod) =>
    void Object.assign(pod.spec.containers[0].securityContext, change);
const podSecurityContext =
  (change: object): Edit =>
  (pod) =>
    void Object.assign(pod.spec.securityContext ?? {}, change);
const spec =
  (change: object): Edit =>
  (pod) =>
    void Object.assign(pod.spec, change);
const labels =
  (change: object): Edit =>
  (pod) =>
    void Object.assign(pod.metadata.labels, change);
const annotation =
  (key: string): Edit =>
  (pod) =>
    void Object.assign(pod.metadata, { annotations: { [key]: 'x' } });
const volume = (source: object): Edit => spec({ volumes: [{ name: 'workspace', ...source }] });
const limits =
  (change: object): Edit =>
  (pod) =>
    container({ resources: { limits: { ...pod.spec.containers[0].resources?.limits, ...change } } })(pod);
const sidecar =
  (change: object): Edit =>
  (pod) => {
    const { containers } = lockedDownPod().spec;
    pod.spec.initContainers = [{ ...containers[0], name: 'sidecar', ...change }];
  };

const MUST = {
  label: 'label coderun.dev/sandbox of a sandbox must be "true"',
  network: 'label coderun.dev/network of a sandbox must be None, PackageIndex or Internet',
  fixed: 'labels coderun.dev/sandbox and coderun.dev/network of a pod are set when it is created, and never changed',
  runtime: 'runtimeClassName of a sandbox must be one of: gvisor, gvisor-nonet',
  annotations: 'a sandbox must not have annotations that configure gVisor or add networks',
  host: 'a sandbox must not use hostNetwork, hostPID or hostIPC',
  token: 'automountServiceAccountToken of a sandbox must be false',
  links: 'enableServiceLinks of a sandbox must be false',
  dns: 'dnsPolicy of a sandbox must be None, unless its network is Internet',
  aliases: 'a sandbox must not have hostAliases, unless its network is PackageIndex',
  restart: 'restartPolicy of a sandbox must be Never, and its containers must have none',
  deadline: 'activeDeadlineSeconds of a sandbox must be set',
  ephemeral: 'a sandbox must not have ephemeral containers',
  volumes: 'a sandbox may only have volumes of type emptyDir with a sizeLimit',
  devices: 'a sandbox must not claim devices',
  sysctls: 'a sandbox must not set sysctls',
  modules: 'a sandbox must not set seLinuxOptions or appArmorProfile',
  privileged: 'containers of a sandbox must not be privileged',
  escalation: "allowPrivilegeEscalation of a sandbox's containers must be false",
  nonRoot: "runAsNonRoot of a sandbox's containers must be true",
  seccomp: "seccompProfile of a sandbox's containers must be RuntimeDefault",
  readOnly: "readOnlyRootFilesystem of a sandbox's containers must be true",
  drop: 'containers of a sandbox must drop all capabilities',
  add: 'containers of a sandbox must not add capabilities',
  procMount: "procMount of a sandbox's containers must be Default",
  limits: 'containers of a sandbox must have limits of cpu, memory and ephemeral-storage',
  ports: 'containers of a sandbox must not have ports',
  env: 'environment variables of a sandbox must be literal values',
};

const LOOSER_PODS: [string, Edit, string][] = [
  ['a label that says no', labels({ 'coderun.dev/sandbox': 'false' }), MUST.label],
  ['no network mode', (pod) => delete pod.metadata.labels['coderun.dev/network'], MUST.network],
  ['an unknown network mode', labels({ 'coderun.dev/network': 'Everything' }), MUST.network],
  ['no RuntimeClass', (pod) => delete pod.spec.runtimeClassName, MUST.runtime],
  ['a RuntimeClass of runc', spec({ runtimeClassName: 'runc' }), MUST.runtime],
  ['a RuntimeClass whose name only begins like ours', spec({ runtimeClassName: 'gvisor-debug' }), MUST.runtime],
  ['a flag of gVisor', annotation('dev.gvisor.flag.host-uds'), MUST.annotations],
  ['another network', annotation('k8s.v1.cni.cncf.io/networks'), MUST.annotations],
  ['another default network', annotation('v1.multus-cni.io/default-network'), MUST.annotations],
  ["the node's network", spec({ hostNetwork: true }), MUST.host],
  ["the node's processes", spec({ hostPID: true }), MUST.host],
  ["the node's IPC", spec({ hostIPC: true }), MUST.host],
  ['a token', spec({ automountServiceAccountToken: true }), MUST.token],
  ['a token by default', (pod) => delete pod.spec.automountServiceAccountToken, MUST.token],
  ['service links', spec({ enableServiceLinks: true }), MUST.links],
  ['service links by default', (pod) => delete pod.spec.enableServiceLinks, MUST.links],
  ['the resolver of the cluster', spec({ dnsPolicy: 'ClusterFirst' }), MUST.dns],
  [
    'names of its own, though it needs none',
    spec({ hostAliases: [{ ip: '10.96.0.1', hostnames: ['pypi.org'] }] }),
    MUST.aliases,
  ],
  ['restarts', spec({ restartPolicy: 'Always' }), MUST.restart],
  ['a sidecar that restarts', sidecar({ restartPolicy: 'Always' }), MUST.restart],
  ['no deadline', (pod) => delete pod.spec.activeDeadlineSeconds, MUST.deadline],
  ['an emptyDir without a limit', volume({ emptyDir: {} }), MUST.volumes],
  ['an emptyDir with a limit of 0, which is none', volume({ emptyDir: { sizeLimit: '0' } }), MUST.volumes],
  ['a directory of the node', volume({ hostPath: { path: '/' } }), MUST.volumes],
  ['a secret', volume({ secret: { secretName: 's' } }), MUST.volumes],
  ['a ConfigMap', volume({ configMap: { name: 'c' } }), MUST.volumes],
  ['a projected token', volume({ projected: { sources: [{ serviceAccountToken: { path: 't' } }] } }), MUST.volumes],
  ['a claimed volume', volume({ persistentVolumeClaim: { claimName: 'c' } }), MUST.volumes],
  ['a claimed device', spec({ resourceClaims: [{ name: 'd', resourceClaimName: 'd' }] }), MUST.devices],
  ['a sysctl', podSecurityContext({ sysctls: [{ name: 'net.ipv4.tcp_syncookies', value: '0' }] }), MUST.sysctls],
  ["the pod's SELinux options", podSecurityContext({ seLinuxOptions: { type: 'spc_t' } }), MUST.modules],
  ["a container's SELinux options", securityContext({ seLinuxOptions: { type: 'spc_t' } }), MUST.modules],
  ["the pod's AppArmor profile", podSecurityContext({ appArmorProfile: { type: 'Unconfined' } }), MUST.modules],
  ["a container's AppArmor profile", securityContext({ appArmorProfile: { type: 'Unconfined' } }), MUST.modules],
  ['privileges', securityContext({ privileged: true, allowPrivilegeEscalation: true }), MUST.privileged],
  ['privilege escalation', securityContext({ allowPrivilegeEscalation: true }), MUST.escalation],
  ['no word on privilege escalation', container({ securityContext: {} }), MUST.escalation],
  ['root', podSecurityContext({ runAsNonRoot: false }), MUST.nonRoot],
  ['root in a container', securityContext({ runAsNonRoot: false }), MUST.nonRoot],
  ['no seccomp profile', podSecurityContext({ seccompProfile: undefined }), MUST.seccomp],
  ['no seccomp in a container', securityContext({ seccompProfile: { type: 'Unconfined' } }), MUST.seccomp],
  ['a writable root', securityContext({ readOnlyRootFilesystem: false }), MUST.readOnly],
  ['the usual capabilities', securityContext({ capabilities: {} }), MUST.drop],
  ['a capability', securityContext({ capabilities: { drop: ['ALL'], add: ['NET_RAW'] } }), MUST.add],
  [
    'an open /proc',
    (pod) => {
      spec({ hostUsers: false })(pod);
      securityContext({ procMount: 'Unmasked' })(pod);
    },
    MUST.procMount,
  ],
  ['no limit of CPU', limits({ cpu: undefined }), MUST.limits],
  ['no limit of memory', limits({ memory: undefined }), MUST.limits],
  ['a limit of memory of 0, which is none', limits({ memory: '0' }), MUST.limits],
  ['no limit of ephemeral storage', limits({ 'ephemeral-storage': undefined }), MUST.limits],
  ['a port of the node', container({ ports: [{ containerPort: 80, hostPort: 80 }] }), MUST.ports],
  ['a port', container({ ports: [{ containerPort: 80 }] }), MUST.ports],
  [
    'a secret as a variable',
    container({ env: [{ name: 'S', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] }),
    MUST.env,
  ],
  ['secrets as variables', container({ envFrom: [{ secretRef: { name: 's' } }] }), MUST.env],
  ['an init container that is looser', sidecar({ securityContext: {} }), MUST.escalation],
];

const creation = (edit: Edit): Request => {
  const pod = lockedDownPod();
  edit(pod);
  return { method: 'POST', path: `${PODS}?dryRun=All`, body: pod };
};
const change = (pod: string, body: object): Request => ({ method: 'PATCH', path: `${PODS}/${pod}?dryRun=All`, body });

const ATTEMPTS: [string, Request, string][] = [
  ...LOOSER_PODS.map(([title, edit, message]): [string, Request, string] => [title, creation(edit), message]),
  [
    'another network later',
    change('sandbox', { metadata: { labels: { 'coderun.dev/network': 'Internet' } } }),
    MUST.fixed,
  ],
  ['no label any more', change('sandbox', { metadata: { labels: { 'coderun.dev/sandbox': null } } }), MUST.label],
  [
    'labels that come later',
    change('ordinary', { metadata: { labels: { 'coderun.dev/sandbox': 'true', 'coderun.dev/network': 'None' } } }),
    MUST.fixed,
  ],
  [
    'a flag of gVisor later',
    change('sandbox', { metadata: { annotations: { 'dev.gvisor.flag.debug': 'true' } } }),
    MUST.annotations,
  ],
  [
    'an ephemeral container',
    change('sandbox/ephemeralcontainers', { spec: { ephemeralContainers: [{ name: 'debug', image: 'debug' }] } }),
    MUST.ephemeral,
  ],
  [
    'its limit of memory taken away by a resize',
    change('sandbox/resize', {
      spec: { containers: [{ name: 'sandbox', resources: { limits: { memory: '0' }, requests: { memory: '0' } } }] },
    }),
    MUST.limits,
  ],
];

describe('the admission policy for sandbox pods', () => {
  let server: ApiServer;
  let api: Api;

  beforeAll(async () => {
    server = await startApiServer();
    api = await install(server);
    await createNamespace(api, 'tenant');
    for (const name of ['runc', 'gvisor-debug'])
      await api({
        method: 'POST',
        path: '/apis/node.k8s.io/v1/runtimeclasses',
        body: { metadata: { name }, handler: name },
      });
    await until(
      () => api(creation(spec({ hostPID: true }))),
      ({ code }) => code === 422,
    );
    await api({
      method: 'POST',
      path: PODS,
      body: { ...lockedDownPod(), metadata: { ...lockedDownPod().metadata, name: 'sandbox' } },
    });
    await api({ method: 'POST', path: PODS, body: ordinaryPod() });
  });
  afterAll(() => server.stop());

  test.each(['None', 'PackageIndex', 'Internet'] as const)(
    'admits the pod of a class with network %s',
    async (network) => {
      const answer = await api({ method: 'POST', path: `${PODS}?dryRun=All`, body: lockedDownPod({ network }) });
      expect(answer).toMatchObject({ code: 201, message: '' });
    },
  );

  test('admits pods that are not sandboxes, whatever they are', async () => {
    const body = { ...ordinaryPod(), metadata: { name: 'another' } };
    expect(await api({ method: 'POST', path: `${PODS}?dryRun=All`, body })).toMatchObject({ code: 201 });
  });

  test('admits what the controller changes of a sandbox: its run, its deadline', async () => {
    const body = { metadata: { labels: { 'coderun.dev/run-uid': 'u-2' } }, spec: { activeDeadlineSeconds: 1 } };
    expect(await api(change('sandbox', body))).toMatchObject({ code: 200, message: '' });
  });

  test.each(ATTEMPTS)('refuses a sandbox with %s', async (_title, request, message) => {
    const answer = await api(request);
    expect(answer.code).toBe(422);
    expect(answer.message).toMatch(/'coderun-sandbox-pods' denied request: (.*)$/);
    expect(answer.message.split('denied request: ')[1]).toBe(message);
  });

  test('has no rule without an attempt against it', async () => {
    const policies = loadAll(await readFile(POLICY_FILE, 'utf8')) as {
      metadata: { name: string };
      spec: { validations?: { message: string; messageExpression?: string }[] };
    }[];
    const rules = policies[0]?.spec.validations ?? [];
    const said = rules.map(({ message, messageExpression }) => (messageExpression ? MUST.runtime : message));
    expect(new Set(ATTEMPTS.map(([, , message]) => message))).toEqual(new Set(said));
  });

  describe('taken away', () => {
    beforeAll(async () => {
      await api({ method: 'DELETE', path: BINDING });
      await until(
        () => api(creation(spec({ hostPID: true }))),
        ({ code }) => code === 201,
      );
    });

    test.each(ATTEMPTS)('lets a sandbox have %s', async (_title, request) => {
      expect(await api(request)).toMatchObject({ code: request.method === 'POST' ? 201 : 200, message: '' });
    });
  });
});
