import { expect, test } from 'vitest';
import { sandboxPod } from '../../../src/core/pod.ts';
import type { RunRequest } from '../../../src/core/request.ts';
import { aClass, aRun, RUN_UID } from '../../support/builders.ts';

const request: RunRequest = { timeoutSeconds: 30, command: undefined, cpu: 1, memory: 512 * 2 ** 20 };
const build = (spec: Parameters<typeof aClass>[0] = {}) =>
  sandboxPod({
    run: aRun(),
    sandboxClass: aClass({ runtimeClassName: 'gvisor-nonet', ...spec }),
    request,
    agentCommand: ['python3', 'agent'],
    pendingTimeoutSeconds: 300,
  });

test('the sandbox pod is exactly this', () => {
  expect(build()).toEqual({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'hello-bd7662a5',
      namespace: 'tenant',
      labels: {
        'app.kubernetes.io/managed-by': 'coderun',
        'coderun.dev/sandbox': 'true',
        'coderun.dev/network': 'None',
        'coderun.dev/class': 'default',
        'coderun.dev/run-uid': RUN_UID,
      },
      ownerReferences: [
        { apiVersion: 'coderun.dev/v1alpha1', kind: 'CodeRun', name: 'hello', uid: RUN_UID, controller: true },
      ],
    },
    spec: {
      runtimeClassName: 'gvisor-nonet',
      restartPolicy: 'Never',
      activeDeadlineSeconds: 360,
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      hostname: 'sandbox',
      dnsPolicy: 'None',
      dnsConfig: { nameservers: ['127.0.0.1'] },
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 65_534,
        runAsGroup: 65_534,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      containers: [
        {
          name: 'sandbox',
          image: 'sandbox:1',
          command: ['python3', 'agent'],
          workingDir: '/workspace',
          stdin: true,
          env: [
            { name: 'CODERUN_WORKSPACE', value: '/workspace' },
            { name: 'CODERUN_PRELOAD', value: '' },
          ],
          resources: {
            limits: { cpu: '1000m', memory: `${(512 + 96 + 128) * 1024}Ki`, 'ephemeral-storage': '64Mi' },
            requests: { cpu: '50m', memory: `${128 * 1024}Ki`, 'ephemeral-storage': '64Mi' },
          },
          securityContext: {
            allowPrivilegeEscalation: false,
            privileged: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
          volumeMounts: [{ name: 'workspace', mountPath: '/workspace' }],
        },
      ],
      volumes: [{ name: 'workspace', emptyDir: { medium: 'Memory', sizeLimit: `${128 * 1024}Ki` } }],
      nodeSelector: {},
      tolerations: [
        { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 30 },
        { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 30 },
      ],
    },
  });
});

test('only a class with Internet resolves names', () => {
  expect(build({ network: 'Internet' }).spec.dnsPolicy).toBe('ClusterFirst');
  expect(build({ network: 'PackageIndex' }).spec.dnsPolicy).toBe('None');
});

test('a sandbox never reserves more than its limits', () => {
  const spec = aClass().spec.resources;
  const pod = build({ resources: { ...spec, requests: { cpu: '8', memory: '64Gi' } } });
  expect(pod.spec.containers[0]?.resources?.requests).toMatchObject({ cpu: '1000m', memory: `${736 * 1024}Ki` });
});
