/** Who may do what: RBAC of controller and gateway, what namespaces refuse, and what the controller is kept from. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SANDBOX_NAMESPACE, SYSTEM_NAMESPACE } from '../../../src/api/group.ts';
import { networkPolicies } from '../../../src/core/network.ts';
import { type ApiServer, startApiServer } from '../../support/apiserver.ts';
import { lockedDownPod, ordinaryPod } from './pods.ts';
import { type Account, type Answer, type Api, createNamespace, install, type Request, until } from './support.ts';

const CONTROLLER: Account = { namespace: SYSTEM_NAMESPACE, name: 'controller' };
const GATEWAY: Account = { namespace: SYSTEM_NAMESPACE, name: 'gateway' };
const SANDBOX: Account = { namespace: SANDBOX_NAMESPACE, name: 'default' };
const NOBODY: Account = { namespace: SYSTEM_NAMESPACE, name: 'nobody' };

let server: ApiServer;
let api: Api;

beforeAll(async () => {
  server = await startApiServer();
  api = await install(server);
  await createNamespace(api, 'tenant');
  await createNamespace(api, 'open');
  await createNamespace(api, SYSTEM_NAMESPACE);
  await createNamespace(api, SANDBOX_NAMESPACE);
});
afterAll(() => server.stop());

const creation = (namespace: string, pod: object, as?: Account): Request => ({
  method: 'POST',
  path: `/api/v1/namespaces/${namespace}/pods?dryRun=All`,
  body: pod,
  ...(as && { as }),
});

const bindingOf = (policy: string): Request => ({
  method: 'DELETE',
  path: `/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/${policy}`,
});

describe('RBAC', () => {
  /** `verb resource` of everything that the account may do in the namespace, beyond what every account may. */
  async function allowed(account: Account, namespace: string): Promise<string[]> {
    const [own, common] = await Promise.all([account, NOBODY].map((as) => rules(as, namespace)));
    return [...(own ?? [])].filter((rule) => !common?.has(rule)).sort();
  }

  async function rules(as: Account, namespace: string): Promise<Set<string>> {
    const path = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews';
    const { body } = await api({ method: 'POST', path, body: { spec: { namespace } }, as });
    type Rule = { verbs: string[]; apiGroups: string[]; resources: string[]; resourceNames?: string[] };
    const lines = (body.status.resourceRules as Rule[]).flatMap(({ verbs, apiGroups, resources, resourceNames }) =>
      resources.flatMap((resource) =>
        verbs.map((verb) => `${verb} ${[resource, ...apiGroups].filter(Boolean).join('.')}${resourceNames ?? ''}`),
      ),
    );
    const { nonResourceRules } = body.status as { nonResourceRules: { verbs: string[]; nonResourceURLs: string[] }[] };
    return new Set([...lines, ...nonResourceRules.map((rule) => `${rule.verbs} ${rule.nonResourceURLs}`)]);
  }

  const may = (verbs: string, ...resources: string[]): string[] =>
    resources.flatMap((resource) => verbs.split(' ').map((verb) => `${verb} ${resource}`));

  const controllerEverywhere = [
    ...may('get list watch create patch delete', 'coderuns.coderun.dev'),
    ...may('get list watch delete', 'codebatches.coderun.dev', 'replsessions.coderun.dev'),
    ...may(
      'update',
      'coderuns/status.coderun.dev',
      'codebatches/status.coderun.dev',
      'replsessions/status.coderun.dev',
      'sandboxpools/status.coderun.dev',
    ),
    ...may('get list watch', 'sandboxclasses.coderun.dev', 'sandboxpools.coderun.dev'),
    ...may('get list watch create patch delete', 'pods'),
    ...may('get create', 'pods/attach'),
    ...may('patch', 'pods/resize'),
    ...may('get', 'pods/log', 'configmaps'),
    ...may('get list watch create', 'networkpolicies.networking.k8s.io'),
    ...may('create', 'events.events.k8s.io'),
  ];
  const gatewayEverywhere = [
    ...may('get list watch create patch', 'coderuns.coderun.dev', 'codebatches.coderun.dev'),
    ...may('get list watch create patch delete', 'replsessions.coderun.dev'),
    ...may('get list', 'sandboxclasses.coderun.dev'),
    ...may('create', 'tokenreviews.authentication.k8s.io', 'subjectaccessreviews.authorization.k8s.io'),
  ];

  const leases = may('get create update', 'leases.coordination.k8s.io');
  test.each([
    { account: CONTROLLER, namespace: 'tenant', expected: controllerEverywhere },
    { account: CONTROLLER, namespace: SANDBOX_NAMESPACE, expected: controllerEverywhere },
    {
      account: CONTROLLER,
      namespace: SYSTEM_NAMESPACE,
      expected: [...controllerEverywhere, ...leases, ...may('list watch', 'services')],
    },
    { account: GATEWAY, namespace: 'tenant', expected: gatewayEverywhere },
    {
      account: GATEWAY,
      namespace: SANDBOX_NAMESPACE,
      expected: [...gatewayEverywhere, ...may('get', 'pods/log'), ...may('get create', 'pods/exec')],
    },
    {
      account: GATEWAY,
      namespace: SYSTEM_NAMESPACE,
      expected: [...gatewayEverywhere, 'get secretscoderun-api-keys'],
    },
    { account: SANDBOX, namespace: SANDBOX_NAMESPACE, expected: [] },
  ])(
    'gives the account $account.name in $namespace what it uses and no more',
    async ({ account, namespace, expected }) => {
      expect(await allowed(account, namespace)).toEqual([...expected].sort());
    },
  );

  const secrets = '/api/v1/namespaces/coderun-system/secrets';
  test.each<[string, Request]>([
    ['the gateway to make a pod', creation(SANDBOX_NAMESPACE, lockedDownPod(), GATEWAY)],
    ['the gateway to read secrets', { path: secrets, as: GATEWAY }],
    ['the gateway to read another secret', { path: `${secrets}/other`, as: GATEWAY }],
    [
      'the gateway to read that secret elsewhere',
      { path: '/api/v1/namespaces/tenant/secrets/coderun-api-keys', as: GATEWAY },
    ],
    [
      'the gateway to change API keys',
      { method: 'PATCH', path: `${secrets}/coderun-api-keys`, body: { data: {} }, as: GATEWAY },
    ],
    ['the controller to read API keys', { path: `${secrets}/coderun-api-keys`, as: CONTROLLER }],
    ['the gateway to read logs of other namespaces', { path: '/api/v1/namespaces/tenant/pods/p/log', as: GATEWAY }],
    ['the gateway to run commands in pods', { path: '/api/v1/namespaces/tenant/pods/p/exec?command=id', as: GATEWAY }],
    ['the controller to read secrets', { path: secrets, as: CONTROLLER }],
    ['the controller to list Services elsewhere', { path: '/api/v1/namespaces/tenant/services', as: CONTROLLER }],
    ['the controller to list ConfigMaps', { path: '/api/v1/configmaps', as: CONTROLLER }],
    [
      'the controller to run commands in pods',
      { path: '/api/v1/namespaces/tenant/pods/p/exec?command=id', as: CONTROLLER },
    ],
    ['a sandbox to ask anything', { path: '/api/v1/namespaces/coderun-sandboxes/pods', as: SANDBOX }],
  ])('does not allow %s', async (_title, request) => {
    expect(await api(request)).toMatchObject({ code: 403 });
  });
});

describe('namespaces', () => {
  const privileged = {
    metadata: { name: 'privileged' },
    spec: { containers: [{ name: 'c', image: 'i', securityContext: { privileged: true } }] },
  };

  test.each([SANDBOX_NAMESPACE, SYSTEM_NAMESPACE])('%s refuses a privileged pod by Pod Security', async (namespace) => {
    const answer = await api(creation(namespace, privileged));
    expect(answer).toMatchObject({ code: 403 });
    expect(answer.message).toContain('violates PodSecurity "restricted:latest"');
  });

  test('without the labels of Pod Security a namespace takes a privileged pod', async () => {
    expect(await api(creation('open', privileged))).toMatchObject({ code: 201 });
  });

  test.each(['controller', 'gateway', 'package-index'])('coderun-system takes the pod of its own %s', async (name) => {
    const { body } = await api({ path: `/apis/apps/v1/namespaces/coderun-system/deployments/${name}` });
    const answer = await api(creation(SYSTEM_NAMESPACE, { ...body.spec.template, metadata: { name } }));
    expect(answer).toMatchObject({ code: 201, message: '' });
  });

  test('coderun-sandboxes takes a sandbox', async () => {
    expect(await api(creation(SANDBOX_NAMESPACE, lockedDownPod(), CONTROLLER))).toMatchObject({
      code: 201,
      message: '',
    });
  });

  describe('made for sandboxes', () => {
    const other = { ...lockedDownPod(), metadata: { name: 'other' } };
    const attempt = () => api(creation(SANDBOX_NAMESPACE, other));

    test('refuse any other pod, and say what to do', async () => {
      const answer = await until(attempt, ({ code }) => code === 422);
      expect(answer.message).toContain('this namespace holds sandboxes only; make a CodeRun here');
    });

    test('take other pods once the policy is gone', async () => {
      await api(bindingOf('coderun-sandboxes-only'));
      expect(await until(attempt, ({ code }) => code === 201)).toMatchObject({ code: 201 });
    });
  });
});

describe('the controller', () => {
  const policies = '/apis/networking.k8s.io/v1/namespaces/tenant/networkpolicies';
  const allowAll = { metadata: { name: 'allow-all' }, spec: { podSelector: {}, egress: [{}] } };
  const attempts: [string, Request][] = [
    ['make a pod that is no sandbox', creation('tenant', ordinaryPod(), CONTROLLER)],
    [
      "delete somebody's pod",
      { method: 'DELETE', path: '/api/v1/namespaces/tenant/pods/existing?dryRun=All', as: CONTROLLER },
    ],
    ['open the network', { method: 'POST', path: `${policies}?dryRun=All`, body: allowAll, as: CONTROLLER }],
  ];
  const refused = ({ code }: Answer) => code === 422;

  beforeAll(async () => {
    const existing = { ...ordinaryPod(), metadata: { name: 'existing' } };
    const sandbox = { ...lockedDownPod(), metadata: { ...lockedDownPod().metadata, name: 'sandbox' } };
    for (const body of [existing, sandbox]) await api({ method: 'POST', path: '/api/v1/namespaces/tenant/pods', body });
  });

  test.each(attempts)('may not %s', async (_title, request) => {
    const answer = await until(() => api(request), refused);
    expect(answer.message).toMatch(
      /the controller may only (touch pods with the label|create its own NetworkPolicies)/,
    );
  });

  test('may make and delete sandboxes', async () => {
    const path = '/api/v1/namespaces/tenant/pods/sandbox?dryRun=All';
    expect(await api(creation('tenant', lockedDownPod(), CONTROLLER))).toMatchObject({ code: 201, message: '' });
    expect(await api({ method: 'DELETE', path, as: CONTROLLER })).toMatchObject({ code: 200, message: '' });
  });

  test('may make the NetworkPolicies of sandboxes', async () => {
    for (const body of networkPolicies('tenant')) {
      const answer = await api({ method: 'POST', path: `${policies}?dryRun=All`, body, as: CONTROLLER });
      expect(answer).toMatchObject({ code: 201, message: '' });
    }
  });

  test.each(attempts)('could %s if the policy were gone', async (_title, request) => {
    await api(bindingOf('coderun-controller'));
    expect(
      (
        await until(
          () => api(request),
          (answer) => !refused(answer),
        )
      ).message,
    ).toBe('');
  });
});
