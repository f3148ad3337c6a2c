import { expect, test } from 'vitest';
import { LABEL_AGENT } from '../../../src/api/group.ts';
import type { Pod } from '../../../src/api/object.ts';
import { type PooledSandbox, type PoolWorld, planPool } from '../../../src/core/pool.ts';
import {
  AGENT_VERSION,
  aChannel,
  aClass,
  aPool,
  aPooledPod,
  aTranscript,
  later,
  onLostNode,
  T0,
  terminated,
  waiting,
} from '../../support/builders.ts';

function ready(name: string, indexAddress?: string): PooledSandbox {
  const pod = aPooledPod(name);
  if (indexAddress) pod.spec.hostAliases = [{ ip: indexAddress, hostnames: ['index'] }];
  return { pod, channel: aChannel() };
}
const running = (name: string, agentVersion: string | undefined): PooledSandbox => {
  const { pod, channel } = ready(name);
  const { [LABEL_AGENT]: _ours, ...labels } = pod.metadata.labels ?? {};
  pod.metadata.labels = { ...labels, ...(agentVersion && { [LABEL_AGENT]: agentVersion }) };
  return { pod, channel };
};
const starting = (name: string): PooledSandbox => ({ pod: aPooledPod(name, { phase: 'Pending' }), channel: undefined });

function withLimits(pod: Pod, limits: Record<string, string>): Pod {
  return { ...pod, spec: { ...pod.spec, containers: [{ name: 'sandbox', resources: { limits } }] } };
}

function aPoolWorld(more: Partial<PoolWorld> = {}): PoolWorld {
  let made = 0;
  return {
    pool: aPool({ replicas: 2 }),
    sandboxClass: aClass(),
    sandboxes: [],
    claimed: 0,
    refusedPod: undefined,
    freshName: () => `new-${++made}`,
    agentCommand: ['agent'],
    agentVersion: AGENT_VERSION,
    hostAliases: [],
    maxStarting: 4,
    pendingTimeoutSeconds: 300,
    ...more,
  };
}

/** What a plan does, with the names of the pods that it does it to. */
function summary(world: PoolWorld, seconds: number) {
  const { status, actions } = planPool(world, later(seconds));
  return {
    reason: status.conditions?.[0]?.reason,
    ready: status.ready,
    actions: actions.map(({ type, pod }) => `${type} ${pod.metadata.name}`),
  };
}

const rows: [string, Partial<PoolWorld>, number, Partial<ReturnType<typeof summary>>][] = [
  ['is filled', {}, 0, { reason: 'Filling', ready: 0, actions: ['createPod new-1', 'createPod new-2'] }],
  [
    'is ready when as many wait as are asked for',
    { sandboxes: [ready('a'), ready('b')] },
    1,
    { reason: 'Ready', ready: 2, actions: [] },
  ],
  ['counts what is being started', { sandboxes: [ready('a'), starting('b')] }, 1, { ready: 1, actions: [] }],
  [
    'starts no more at once than it may',
    { pool: aPool({ replicas: 10 }), maxStarting: 3, sandboxes: [starting('a')] },
    1,
    { actions: ['createPod new-1', 'createPod new-2'] },
  ],
  [
    'reaches for the agents of what runs',
    { sandboxes: [{ pod: aPooledPod('a'), channel: undefined }, ready('b')] },
    1,
    { actions: ['openChannel a'] },
  ],
  [
    'replaces what has ended',
    { sandboxes: [{ pod: aPooledPod('a', terminated(1)), channel: undefined }, ready('b')] },
    1,
    { actions: ['deletePod a', 'createPod new-1'] },
  ],
  [
    'replaces what is too old',
    { pool: aPool({ replicas: 1, maxAgeSeconds: 60 }), sandboxes: [ready('a')] },
    60,
    { ready: 0, actions: ['deletePod a', 'createPod new-1'] },
  ],
  [
    'replaces what an older class made',
    {
      sandboxClass: { ...aClass(), metadata: { ...aClass().metadata, generation: 2 } },
      sandboxes: [ready('a'), ready('b')],
    },
    1,
    { ready: 0, actions: ['deletePod a', 'deletePod b', 'createPod new-1', 'createPod new-2'] },
  ],
  [
    'replaces what runs another agent, or none that is known',
    { sandboxes: [ready('a'), running('b', 'of-before'), running('c', undefined)] },
    1,
    { ready: 1, actions: ['deletePod b', 'deletePod c', 'createPod new-1'] },
  ],
  [
    'replaces what knows another address of its package index',
    {
      hostAliases: [{ ip: '10.96.0.7', hostnames: ['index'] }],
      sandboxes: [ready('a', '10.96.0.7'), ready('b', '10.96.0.8')],
    },
    1,
    { ready: 1, actions: ['deletePod b', 'createPod new-1'] },
  ],
  [
    'replaces what never answered',
    { sandboxes: [starting('a'), ready('b')] },
    300,
    { actions: ['deletePod a', 'createPod new-1'] },
  ],
  [
    'replaces what is on a node that fell silent, although its channel has not noticed',
    { sandboxes: [{ pod: aPooledPod('a', onLostNode), channel: aChannel() }, ready('b')] },
    1,
    { ready: 1, actions: ['deletePod a', 'createPod new-1'] },
  ],
  [
    'replaces what was made another size for somebody who did not take it',
    {
      sandboxes: [
        {
          pod: withLimits(aPooledPod('a'), { cpu: '1', memory: '2Gi', 'ephemeral-storage': '64Mi' }),
          channel: aChannel(),
        },
        { pod: withLimits(aPooledPod('b'), { cpu: '1000m', memory: '736Mi' }), channel: aChannel() },
      ],
    },
    1,
    { ready: 1, actions: ['deletePod a', 'createPod new-1'] },
  ],
  [
    'does not count what somebody is deleting',
    { sandboxes: [{ pod: aPooledPod('a', undefined, { deletionTimestamp: 'now' }), channel: aChannel() }, ready('b')] },
    1,
    { ready: 1, actions: ['createPod new-1'] },
  ],
  [
    'replaces what has run something for a run that is gone',
    { sandboxes: [{ pod: aPooledPod('a'), channel: aChannel({ transcript: aTranscript() }) }, ready('b')] },
    1,
    { ready: 1, actions: ['deletePod a', 'createPod new-1'] },
  ],
  [
    'lets surplus go, what is not ready first',
    { pool: aPool({ replicas: 1 }), sandboxes: [starting('a'), ready('b')] },
    1,
    { actions: ['deletePod a'] },
  ],
  [
    'may be empty',
    { pool: aPool({ replicas: 0 }), sandboxes: [ready('a')] },
    1,
    { reason: 'Ready', actions: ['deletePod a'] },
  ],
  [
    'holds nothing of a class that is gone',
    { sandboxClass: undefined, sandboxes: [ready('a')] },
    1,
    { reason: 'ClassNotFound', actions: ['deletePod a'] },
  ],
  [
    'waits after a refusal, and says why',
    { refusedPod: { kind: 'quota', message: 'exceeded quota', retryAt: later(5) } },
    1,
    { reason: 'QuotaExceeded', actions: [] },
  ],
  [
    'tries again when the time has come',
    { refusedPod: { kind: 'passing', message: 'busy', retryAt: later(5) } },
    5,
    { reason: 'PodRefused', actions: ['createPod new-1', 'createPod new-2'] },
  ],
  [
    'says what keeps its pods from running',
    {
      pool: aPool({ replicas: 1 }),
      sandboxes: [{ pod: aPooledPod('a', waiting('ImagePullBackOff')), channel: undefined }],
    },
    1,
    { reason: 'SandboxesPending', actions: [] },
  ],
];

test.each(rows)('a pool %s', (_sentence, more, seconds, want) => {
  expect(summary(aPoolWorld(more), seconds)).toMatchObject(want);
});

test('a pool looks again when its oldest sandbox is too old', () => {
  const world = aPoolWorld({ pool: aPool({ replicas: 1, maxAgeSeconds: 60 }), sandboxes: [ready('a')] });
  expect(planPool(world, later(50)).after).toBe(10_000);
});

test('the selector finds what waits, for autoscalers', () => {
  expect(planPool(aPoolWorld(), T0).status.selector).toBe(
    'coderun.dev/pool=warm,!coderun.dev/run-uid,!coderun.dev/session-uid',
  );
});
