/** Builders for the world of a run: each gives the ordinary case, and takes only what a test is about. */

import type { V1PodStatus } from '@kubernetes/client-node';
import { type CodeBatch, CodeBatchSpec, type CodeBatchSpecInput } from '../../src/api/codebatch.ts';
import type { CodeRun, CodeRunSpecInput, CodeRunStatus } from '../../src/api/coderun.ts';
import { CodeRunSpec } from '../../src/api/coderun.ts';
import { readyCondition, succeededCondition } from '../../src/api/conditions.ts';
import { API_VERSION, LABEL_AGENT, LABEL_CLASS_GENERATION, LABEL_POOL } from '../../src/api/group.ts';
import { podName } from '../../src/api/names.ts';
import type { Pod } from '../../src/api/object.ts';
import type { Reason } from '../../src/api/reasons.ts';
import {
  type ReplSession,
  ReplSessionSpec,
  type ReplSessionSpecInput,
  type ReplSessionStatus,
} from '../../src/api/replsession.ts';
import { type SandboxClass, SandboxClassSpec } from '../../src/api/sandboxclass.ts';
import { type SandboxPool, SandboxPoolSpec } from '../../src/api/sandboxpool.ts';
import type { SessionReason } from '../../src/api/session-reasons.ts';
import type { SandboxWorld, World } from '../../src/core/plan.ts';
import type { SessionWorld } from '../../src/core/session-plan.ts';
import type { Hello } from '../../src/sandbox/channel.ts';
import type { ChannelView } from '../../src/sandbox/channels.ts';
import type { AgentEvent, SessionState } from '../../src/sandbox/protocol.ts';
import { Transcript } from '../../src/sandbox/transcript.ts';

export const T0 = new Date('2026-01-01T00:00:00.000Z');
export const later = (seconds: number): Date => new Date(T0.getTime() + seconds * 1000);

export const RUN_UID = '11111111-1111-4111-8111-111111111111';
export const AGENT_VERSION = '0123456789';
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

/** It ran, and then its node fell silent. */
export const onLostNode: V1PodStatus = {
  phase: 'Running',
  conditions: [{ type: 'Ready', status: 'False' }],
  containerStatuses: [{ ...container({ running: {} }), ready: true }],
};

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

export const aHello = (more: Partial<Hello> = {}): Hello => ({
  kernel: '4.19.0-gvisor',
  gvisor: true,
  run: null,
  session: null,
  ...more,
});

export const aChannel = (more: Partial<ChannelView> = {}): ChannelView => ({
  podUID: POD_UID,
  state: 'open',
  hello: aHello(),
  helloAt: T0,
  askedAt: T0,
  refused: undefined,
  opened: undefined,
  wasToldToOpen: false,
  transcript: undefined,
  isWhole: true,
  startedAt: undefined,
  interruptedAt: undefined,
  wasToldToEnd: false,
  silentSince: undefined,
  reopenAt: T0,
  ...more,
});

/** Nothing is there for a run or a session yet. */
const aSandboxWorld = (): SandboxWorld => ({
  sandboxClass: aClass(),
  pod: undefined,
  refusedPod: undefined,
  channel: undefined,
  waiting: undefined,
  isAdmitted: true,
  firstSeen: T0,
  agentCommand: ['python3', 'agent'],
  agentVersion: AGENT_VERSION,
  hostAliases: [],
  epoch: 7,
  settings: { pendingTimeoutSeconds: 300, imagePullGraceSeconds: 60, timeoutGraceSeconds: 5 },
});

export const aWorld = (more: Partial<World> = {}): World => ({
  ...aSandboxWorld(),
  run: aRun(),
  code: { text: 'print(1)' },
  journal: undefined,
  home: undefined,
  ...more,
});

export const SESSION_UID = '66666666-6666-4666-8666-666666666666';

export const aSession = (spec: Partial<ReplSessionSpecInput> = {}, more: Partial<ReplSession> = {}): ReplSession => ({
  apiVersion: API_VERSION,
  kind: 'ReplSession',
  metadata: {
    name: 'notebook',
    namespace: 'tenant',
    uid: SESSION_UID,
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: T0.toISOString(),
  },
  spec: ReplSessionSpec.parse(spec),
  ...more,
});

export const aSessionStatus = (reason: SessionReason, more: ReplSessionStatus = {}): ReplSessionStatus => ({
  conditions: [readyCondition(reason === 'Ready', reason, '', 1, T0, undefined)],
  ...more,
});

/** A session that is ready since T0, in the pod of `aSessionPod`. */
export const aReadySession = (spec: Partial<ReplSessionSpecInput> = {}, more: ReplSessionStatus = {}): ReplSession =>
  aSession(spec, {
    status: aSessionStatus('Ready', {
      startTime: T0.toISOString(),
      lastActivityTime: T0.toISOString(),
      executions: 0,
      sandbox: { podName: podName({ name: 'notebook', uid: SESSION_UID }), podUID: POD_UID },
      ...more,
    }),
  });

/** The pod of its own of the session of `aSession`. */
export const aSessionPod = (status: V1PodStatus = running, metadata: Partial<Pod['metadata']> = {}): Pod =>
  aPod(status, {
    name: podName({ name: 'notebook', uid: SESSION_UID }),
    ownerReferences: [
      { apiVersion: API_VERSION, kind: 'ReplSession', name: 'notebook', uid: SESSION_UID, controller: true },
    ],
    ...metadata,
  });

/** What the agent of that session says of it. */
export const aSessionState = (more: Partial<SessionState> = {}): SessionState => ({
  id: SESSION_UID,
  state: 'open',
  executions: 0,
  busy: false,
  idleMilliseconds: 0,
  ...more,
});

export const aSessionWorld = (more: Partial<SessionWorld> = {}): SessionWorld => ({
  ...aSandboxWorld(),
  session: aSession(),
  refreshedAt: undefined,
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
    labels: { [LABEL_POOL]: 'warm', [LABEL_CLASS_GENERATION]: '1', [LABEL_AGENT]: AGENT_VERSION },
    ownerReferences: [],
    ...metadata,
  });
