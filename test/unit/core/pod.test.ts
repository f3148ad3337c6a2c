import { expect, test } from 'vitest';
import type { NewPod } from '../../../src/api/object.ts';
import { adoption, poolPod, runPod, sessionAdoption, sessionPod } from '../../../src/core/sandboxes.ts';
import {
  aClass,
  aPod,
  aPool,
  aRun,
  aSession,
  aSessionPod,
  later,
  RUN_UID,
  SESSION_UID,
  T0,
} from '../../support/builders.ts';

const request = { timeoutSeconds: 30, command: undefined, cpu: 1, memory: 512 * 2 ** 20 };
const parts = { agentCommand: ['python3', 'agent'], agentVersion: '0123456789', hostAliases: [] };
const build = (spec: Parameters<typeof aClass>[0] = {}) =>
  runPod(aRun(), aClass({ runtimeClassName: 'gvisor-nonet', ...spec }), request, parts, 300);

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
      hostAliases: [],
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

test('a sandbox knows the address of its package index, of a run as of a session and of a pool', () => {
  const hostAliases = [{ ip: '10.96.0.7', hostnames: ['package-index.coderun-system.svc'] }];
  const sandboxClass = aClass({ network: 'PackageIndex' });
  const withIndex = { ...parts, hostAliases };
  expect(runPod(aRun(), sandboxClass, request, withIndex, 300).spec.hostAliases).toEqual(hostAliases);
  expect(sessionPod(aSession(), sandboxClass, request, withIndex, 300).spec.hostAliases).toEqual(hostAliases);
  expect(poolPod(aPool(), sandboxClass, 'warm-1', withIndex).spec.hostAliases).toEqual(hostAliases);
});

test('a sandbox never reserves more than its limits', () => {
  const spec = aClass().spec.resources;
  const pod = build({ resources: { ...spec, requests: { cpu: '8', memory: '64Gi' } } });
  expect(pod.spec.containers[0]?.resources?.requests).toMatchObject({ cpu: '1000m', memory: `${736 * 1024}Ki` });
});

test('the pod of a pool is that of a run, but for its name, its owner, its labels and its deadline', () => {
  const ofRun = build();
  const ofPool = poolPod(aPool(), aClass({ runtimeClassName: 'gvisor-nonet' }), 'warm-1', parts);
  expect({ ...ofPool.spec, activeDeadlineSeconds: 0 }).toEqual({ ...ofRun.spec, activeDeadlineSeconds: 0 });
  expect(ofPool.metadata).toEqual({
    name: 'warm-1',
    namespace: 'tenant',
    labels: {
      'app.kubernetes.io/managed-by': 'coderun',
      'coderun.dev/sandbox': 'true',
      'coderun.dev/network': 'None',
      'coderun.dev/class': 'default',
      'coderun.dev/pool': 'warm',
      'coderun.dev/class-generation': '1',
      'coderun.dev/agent-version': '0123456789',
    },
    ownerReferences: [
      {
        apiVersion: 'coderun.dev/v1alpha1',
        kind: 'SandboxPool',
        name: 'warm',
        uid: aPool().metadata.uid,
        controller: true,
      },
    ],
  });
});

test('a pod of a pool lives long enough for the longest session that claims it at its last moment', () => {
  const { spec } = poolPod(aPool({ maxAgeSeconds: 100 }), aClass(), 'warm-1', parts);
  expect(spec.activeDeadlineSeconds).toBe(100 + 86_400 + 60);
});

test('the pod of a session is that of a run, but for its owner, its label and its deadline', () => {
  const session = aSession({ maxLifetimeSeconds: 7200 });
  const ofSession = sessionPod(session, aClass(), { cpu: 1, memory: 512 * 2 ** 20 }, parts, 300);
  const ofRun = runPod(aRun(), aClass(), request, parts, 300);
  expect({ ...ofSession.spec, activeDeadlineSeconds: 0 }).toEqual({ ...ofRun.spec, activeDeadlineSeconds: 0 });
  expect(ofSession.spec.activeDeadlineSeconds).toBe(300 + 7200 + 30);
  expect(ofSession.metadata).toMatchObject({
    name: aSessionPod().metadata.name,
    labels: { 'coderun.dev/session-uid': SESSION_UID },
    ownerReferences: [{ kind: 'ReplSession', name: 'notebook', uid: SESSION_UID, controller: true }],
  });
});

test("a pod that a session has adopted is the session's own, with the deadline of the session", () => {
  const pod = aPod();
  pod.spec.activeDeadlineSeconds = 90_000;
  expect(sessionAdoption(aSession(), pod, 3599.5, later(10))).toEqual({
    metadata: {
      uid: pod.metadata.uid,
      labels: { 'coderun.dev/session-uid': SESSION_UID },
      ownerReferences: [
        {
          apiVersion: 'coderun.dev/v1alpha1',
          kind: 'ReplSession',
          name: 'notebook',
          uid: SESSION_UID,
          controller: true,
        },
      ],
    },
    spec: { activeDeadlineSeconds: 10 + 3600 + 30 },
  });
});

test("an adopted pod is the run's own, with the deadline of the run", () => {
  const pod = aPod();
  pod.spec.activeDeadlineSeconds = 1000;
  expect(adoption(aRun(), pod, 60, later(10))).toEqual({
    metadata: {
      uid: pod.metadata.uid,
      labels: { 'coderun.dev/run-uid': RUN_UID },
      ownerReferences: [
        { apiVersion: 'coderun.dev/v1alpha1', kind: 'CodeRun', name: 'hello', uid: RUN_UID, controller: true },
      ],
    },
    spec: { activeDeadlineSeconds: 100 },
  });
  expect(adoption(aRun(), pod, 3600, T0)).toMatchObject({ spec: { activeDeadlineSeconds: 1000 } });
});

test('only sandboxes of a pool import modules ahead: nobody waits for them', () => {
  const sandboxClass = aClass({ preload: ['numpy', 'pandas'] });
  const preloaded = ({ spec }: NewPod) =>
    spec.containers[0]?.env?.find(({ name }) => name === 'CODERUN_PRELOAD')?.value;
  expect(preloaded(poolPod(aPool(), sandboxClass, 'warm-1', parts))).toBe('numpy,pandas');
  expect(preloaded(build({ preload: ['numpy', 'pandas'] }))).toBe('');
});
