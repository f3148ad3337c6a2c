/** Pods to try: the one that the controller makes, and one that nobody has locked down. */

import type { V1Container, V1PodSpec } from '@kubernetes/client-node';
import { type CodeRun, CodeRunSpec } from '../../../src/api/coderun.ts';
import { API_VERSION } from '../../../src/api/group.ts';
import { type SandboxClass, SandboxClassSpec } from '../../../src/api/sandboxclass.ts';
import { runPod } from '../../../src/core/sandboxes.ts';

export interface TestPod {
  metadata: { name: string; labels: Record<string, string>; annotations?: Record<string, string> };
  spec: V1PodSpec & { containers: [V1Container & { securityContext: object }] };
}

/** The pod of src/core/pod.ts for the class that `spec` changes. */
export function lockedDownPod(spec: Partial<SandboxClassSpec> = {}): TestPod {
  const metadata = { name: 'r', namespace: '', uid: 'u-1', resourceVersion: '1', creationTimestamp: '' };
  const run: CodeRun = { apiVersion: API_VERSION, kind: 'CodeRun', metadata, spec: CodeRunSpec.parse({ code: '1' }) };
  const sandboxClass: SandboxClass = {
    apiVersion: API_VERSION,
    kind: 'SandboxClass',
    metadata: { ...metadata, name: 'default' },
    spec: SandboxClassSpec.parse({ image: 'sandbox', ...spec }),
  };
  const request = { timeoutSeconds: 1, command: undefined, cpu: 1, memory: 2 ** 29 };
  const hostAliases = spec.network === 'PackageIndex' ? [{ ip: '10.96.0.7', hostnames: ['index'] }] : [];
  const parts = { agentCommand: ['python3', '-c', ''], agentVersion: '0123456789', hostAliases };
  return runPod(run, sandboxClass, request, parts, 1) as unknown as TestPod;
}

export const ordinaryPod = () => ({
  metadata: { name: 'ordinary', labels: {} as Record<string, string> },
  spec: { containers: [{ name: 'main', image: 'ordinary' }] },
});
