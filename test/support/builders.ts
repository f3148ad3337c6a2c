/** Builders for the world of a run: each gives the ordinary case, and takes only what a test is about. */

import type { V1PodStatus } from '@kubernetes/client-node';
import { type CodeBatch, CodeBatchSpec, type CodeBatchSpecInput } from '../../src/api/codebatch.ts';
import type { CodeRun, CodeRunSpecInput, CodeRunStatus } from '../../src/api/coderun.ts';
import { CodeRunSpec } from '../../src/api/coderun.ts';
import { succeededCondition } from '../../src/api/conditions.ts';
import { API_VERSION, LABEL_CLASS_GENERATION, LABEL_POOL } from '../../src/api/group.ts';
import { podName } from '../../src/api/names.ts';
import type { Pod } from '../../src/api/object.ts';
import type { Reason } from '../../src/api/reasons.ts';
import { type SandboxClass, SandboxClassSpec } from '../../src/api/sandboxclass.ts';
import { type SandboxPool, SandboxPoolSpec } from '../../src/api/sandboxpool.ts';
import type { World } from '../../src/core/plan.ts';
import type { ChannelView } from '../../src/sandbox/channels.ts';
import type { AgentEvent } from '../../src/sandbox/protocol.ts';
import { Transcript } from '../../src/sandbox/transcript.ts';

export const T0 = new Date('2026-01-01T00:00:00.000Z');
export const later = (seconds: number): Date => new Date(T0.getTime() + seconds * 1000);

export const RUN_UID = '11111111-1111-4111-8111-111111111111';
export const POD_UID = '22222222-2222-4222-8222-222222222222';

export function aRun(spec: Partial<CodeRunSpecInput> = {}, more: Partial<CodeRun> = {}): CodeRun {
  return {
    apiVersion: API_VERSION,
    kind: 'CodeRun',
    metadata: {
      name: 'hello',
      namespace: 'tenant',
      uid: RUN_UID,
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: T0.toISOString(),
    },
    spec: CodeRunSpec.parse({ ...(spec.codeFrom ? {} : { code: 'print(1)' }), ...spec }),
    ...more,
  };
}

export const aStatus = (reason: Reason, more: CodeRunStatus = {}): CodeRunStatus => ({
  conditions: [succeededCondition(reason, '', 1, T0, undefined)],
  ...more,
});

/** A run that is claimed by the pod of `aPod`. */
export const aClaimedRun = (spec: Partial<CodeRunSpecInput> = {}): CodeRun =>
  aRun(spec, {
    status: aStatus('Running', {
      startTime: T0.toISOString(),
      sandbox: { podName: podName({ name: 'hello', uid: RUN_UID }), podUID: POD_UID },
    }),
  });

export const aClass = (spec: Partial<SandboxClassSpec> = {}, name = 'default'): SandboxClass => ({
  apiVersion: API_VERSION,
  kind: 'SandboxClass',
  metadata: {
    name,
    generation: 1,
    uid: '33333333-3333-4333-8333-333333333333',
    resourceVersion: '1',
    creationTimestamp: T0.toISOString(),
  },
  spec: SandboxClassSpec.parse({ image: 'sandbox:1', ...spec }),
});

const running: V1PodStatus = { phase: 'Running', containerStatuses: [container({ running: {} })] };

export const terminated = (exitCode: number, reason = 'Error', pod: V1PodStatus = {}): V1PodStatus => ({
  phase: exitCode === 0 ? 'Succeeded' : 'Failed',
  containerStatuses: [container({ terminated: { exitCode, reason } })],
  ...pod,
});

export const waiting = (reason: string, message = ''): V1PodStatus => ({
  phase: 'Pending',
  containerStatuses: [container({ waiting: { reason, message } })],
});

function container(state: NonNullable<V1PodStatus['containerStatuses']>[number]['state']) {
  return { name: 'sandbox', image: 'sandbox:1', imageID: '', ready: false, restartCount: 0, state: state ?? {} };
}

export const aPod = (status: V1PodStatus = running, metadata: Partial<Pod['metadata']> = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: podName({ name: 'hello', uid: RUN_UID }),
    namespace: 'tenant',
    uid: POD_UID,
    resourceVersion: '1',
    creationTimestamp: T0.toISOString(),
    ownerReferences: [{ apiVersion: API_VERSION, kind: 'CodeRun', name: 'hello', uid: RUN_UID, controller: true }],
    ...metadata,
  },
  spec: { nodeName: 'node-1', containers: [] },
  status,
});

export const anExit = (exit: Partial<Extract<AgentEvent, { exit: unknown }>['exit']> = {}): AgentEvent => ({
  id: RUN_UID,
  exit: {
    exitCode: 0,
    signal: null,
    cause: null,
    error: null,
    durationMilliseconds: 12,
    session: null,
    usage: { cpuMilliseconds: 3, peakMemoryBytes: 1000 },
    output: { stdoutBytes: 0, stderrBytes: 0, stdoutTruncated: false, stderrTruncated: false },
    ...exit,
  },
});

export function aTranscript(...events: AgentEvent[]): Transcript {
  const transcript = new Transcript(RUN_UID, { outputBytes: 65_536, resultBytes: 524_288 });
  for (const event of [{ id: RUN_UID, started: {} }, ...events]) transcript.add(event);
  return transcript;
}

export const aChannel = (more: Partial<ChannelView> = {}): ChannelView => ({
  podUID: POD_UID,
  state: 'open',
  hello: { kernel: '4.19.0-gvisor', gvisor: true, run: null },
  refused: undefined,
  transcript: undefined,
  interruptedAt: undefined,
  reopenAt: T0,
  ...more,
});

export const aWorld = (more: Partial<World> = {}): World => ({
  run: aRun(),
  sandboxClass: aClass(),
  code: { text: 'print(1)' },
  pod: undefined,
  refusedPod: undefined,
  channel: undefined,
  waiting: undefined,
  isAdmitted: true,
  journal: undefined,
  firstSeen: T0,
  agentCommand: ['python3', 'agent'],
  epoch: 7,
  settings: { pendingTimeoutSeconds: 300, imagePullGraceSeconds: 60, timeoutGraceSeconds: 5 },
  ...more,
});

export const aPool = (spec: Partial<SandboxPoolSpec> = {}, more: Partial<SandboxPool> = {}): SandboxPool => ({
  apiVersion: API_VERSION,
  kind: 'SandboxPool',
  metadata: {
    name: 'warm',
    namespace: 'tenant',
    uid: '44444444-4444-4444-8444-444444444444',
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: T0.toISOString(),
  },
  spec: SandboxPoolSpec.parse({ className: 'default', ...spec }),
  ...more,
});

/** A batch of the items a, b and c. */
export const aBatch = (spec: Partial<CodeBatchSpecInput> = {}, more: Partial<CodeBatch> = {}): CodeBatch => ({
  apiVersion: API_VERSION,
  kind: 'CodeBatch',
  metadata: {
    name: 'many',
    namespace: 'tenant',
    uid: '55555555-5555-4555-8555-555555555555',
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: T0.toISOString(),
  },
  spec: CodeBatchSpec.parse({ items: ['a', 'b', 'c'].map((name) => ({ name, code: `print("${name}")` })), ...spec }),
  ...more,
});

/** A sandbox of the pool of `aPool`, as a watch shows it. */
export const aPooledPod = (name: string, status: V1PodStatus = running, metadata: Partial<Pod['metadata']> = {}): Pod =>
  aPod(status, {
    name,
    uid: `uid-of-${name}`,
    labels: { [LABEL_POOL]: 'warm', [LABEL_CLASS_GENERATION]: '1' },
    ownerReferences: [],
    ...metadata,
  });
