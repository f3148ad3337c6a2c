import type { V1PodStatus } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import type { Pod } from '../../../src/api/object.ts';
import { resizeLeft } from '../../../src/core/resize.ts';
import { aPooledPod, later } from '../../support/builders.ts';

const LIMITS = { cpu: '2000m', memory: '1048576Ki' };

const pod = (limits: Record<string, string>, conditions: V1PodStatus['conditions'] = []): Pod =>
  aPooledPod('a', {
    conditions,
    containerStatuses: [
      { name: 'sandbox', image: '', imageID: '', ready: true, restartCount: 0, resources: { limits } },
    ],
  });

const SMALL = { cpu: '1', memory: '512Mi' };
const LARGE = { cpu: '2', memory: '1Gi', 'ephemeral-storage': '64Mi' };

test.each([
  ['is done when the kubelet says so, in whatever units', pod(LARGE), later(0), undefined],
  ['has its time before it was asked for', pod(SMALL), undefined, 2000],
  ['has what is left of its time', pod(SMALL), later(0), 500],
  ['has none left after that', pod(SMALL), later(-10), 0],
  ['waits for no room', pod(SMALL, [{ type: 'PodResizePending', status: 'True', reason: 'Deferred' }]), later(0), 0],
  ['goes on', pod(SMALL, [{ type: 'PodResizeInProgress', status: 'True' }]), later(0), 500],
  [
    'does not wait where it failed',
    pod(SMALL, [{ type: 'PodResizeInProgress', status: 'True', reason: 'Error' }]),
    later(0),
    0,
  ],
])('a resize %s', (_sentence, sandbox, askedAt, left) => {
  expect(resizeLeft(sandbox, { limits: LIMITS, askedAt }, later(1.5))).toBe(left);
});
