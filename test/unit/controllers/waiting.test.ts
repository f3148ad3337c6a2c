import { expect, test } from 'vitest';
import { LABEL_CLASS, LABEL_RUN, LABEL_SESSION } from '../../../src/api/group.ts';
import type { Pod } from '../../../src/api/object.ts';
import { type Claimant, WaitingSandboxes } from '../../../src/controllers/waiting.ts';
import { createStores } from '../../../src/roles/stores.ts';
import type { Channels, ChannelView } from '../../../src/sandbox/channels.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import {
  AGENT_VERSION,
  aChannel,
  aClaimedRun,
  aClass,
  aHello,
  aPooledPod,
  aReadySession,
  aRun,
  aSession,
  aSessionState,
  T0,
} from '../../support/builders.ts';

/** A pool's pods as the watch shows them, each with the channel that is open to it. */
function setUp(...sandboxes: { pod: Pod; channel: ChannelView | undefined }[]) {
  const stores = createStores(createLogger('test', 'error'));
  const channels = { view: (uid: string) => sandboxes.find(({ pod }) => pod.metadata.uid === uid)?.channel };
  const waiting = new WaitingSandboxes(
    stores,
    channels as Channels,
    { now: () => T0, monotonic: () => 0 },
    AGENT_VERSION,
  );
  stores.pods.replace(
    sandboxes.map(({ pod }) => pod),
    '100',
    { consistent: true },
  );
  return {
    stores,
    waiting,
    offer: (claimant: Claimant = aRun()) => waiting.offer(claimant, aClass())?.pod.metadata.name,
  };
}

function ready(name: string, channel: Partial<ChannelView> = {}, metadata: Partial<Pod['metadata']> = {}) {
  const pod = aPooledPod(name);
  const labels = { ...pod.metadata.labels, [LABEL_CLASS]: 'default', ...metadata.labels };
  pod.metadata = { ...pod.metadata, ...metadata, labels };
  return { pod, channel: aChannel({ podUID: pod.metadata.uid, ...channel }) };
}

function withLimits(sandbox: ReturnType<typeof ready>, limits: Record<string, string>) {
  sandbox.pod.spec.containers = [{ name: 'sandbox', resources: { limits } }];
  return sandbox;
}

/** A run that the watch has shown, under the name of its key. */
const runNamed = (name: string) => {
  const run = aRun();
  run.metadata = { ...run.metadata, name, uid: `uid-of-${name}` };
  return run;
};

test('a sandbox that waits is offered to one run only', () => {
  const { offer, stores } = setUp(ready('a'), ready('b'));
  const runs = ['1', '2', '3'].map(runNamed);
  stores.runs.replace(runs, '100', { consistent: true });
  expect(runs.map(offer)).toEqual(['a', 'b', undefined]);
});

test('a sandbox of a run that was deleted is promised to nobody', () => {
  const { waiting, stores } = setUp(ready('a'));
  const run = runNamed('1');
  stores.runs.replace([run], '100', { consistent: true });
  waiting.offer(run, aClass());
  expect(waiting.isClaimed(ready('a').pod)).toBe(true);
  stores.runs.apply({ type: 'DELETED', object: { ...run, metadata: { ...run.metadata, resourceVersion: '101' } } });
  expect(waiting.isClaimed(ready('a').pod)).toBe(false);
});

test('a sandbox whose promise was taken back is offered again', () => {
  const { waiting } = setUp(ready('a'));
  const offered = waiting.offer(aRun(), aClass());
  if (offered) waiting.withdraw(offered);
  expect(waiting.offer(runNamed('2'), aClass())?.pod.metadata.name).toBe('a');
});

test.each([['another namespace', { ...aRun(), metadata: { ...aRun().metadata, namespace: 'other' } }]])(
  'a run of %s is offered nothing',
  (_what, run) => {
    expect(setUp(ready('a')).offer(run)).toBeUndefined();
  },
);

const resized = (waiting: WaitingSandboxes, run = aRun({ resources: { memory: '1Gi' } })) =>
  waiting.offer(run, aClass());

test.each([
  ['more memory than the class gives', { memory: '1Gi' }, { cpu: '1000m', memory: `${1248 * 1024}Ki` }],
  ['another share of a processor', { cpu: '250m' }, { cpu: '250m', memory: `${736 * 1024}Ki` }],
  [
    'another share of a processor and less memory',
    { cpu: '2', memory: '64Mi' },
    { cpu: '2000m', memory: `${736 * 1024}Ki` },
  ],
])('a run that asks for %s is offered a sandbox that is to be resized', (_what, resources, limits) => {
  const { waiting } = setUp(ready('a'));
  expect(resized(waiting, aRun({ resources }))).toMatchObject({
    pod: { metadata: { name: 'a' } },
    resize: { limits, askedAt: undefined },
  });
});

test('a sandbox that is being resized stays promised to whom it is for, and tells since when', () => {
  const { waiting } = setUp(ready('a'), ready('b'));
  const offered = resized(waiting);
  if (offered) waiting.resizeAsked(offered);
  expect(resized(waiting)).toMatchObject({ pod: offered?.pod, resize: { askedAt: T0 } });
});

test('where a sandbox could not be resized, those of its class are offered only as they are', () => {
  const { waiting } = setUp(ready('a'), ready('b'));
  const offered = resized(waiting);
  if (offered) waiting.forgoResize(offered);
  expect(resized(waiting)).toBeUndefined();
  expect(waiting.offer(aRun(), aClass())?.pod.metadata.name).toBe('a');
});

test('a run that asks for less memory takes what waits', () => {
  expect(setUp(ready('a')).offer(aRun({ resources: { memory: '64Mi' } }))).toBe('a');
});

test.each([
  ['whose agent was not reached yet', ready('a', { hello: undefined })],
  ['whose channel is closed', ready('a', { state: 'closed' })],
  ['that was resized for somebody who did not take it', withLimits(ready('a'), { cpu: '1', memory: '2Gi' })],
  ['whose agent has run something', ready('a', { hello: aHello({ run: { id: 'x', state: 'finished' } }) })],
  ['whose agent refused an order', ready('a', { refused: { reason: 'StaleEpoch', message: '' } })],
  ['that an older class made', ready('a', {}, { labels: { 'coderun.dev/class-generation': '0' } })],
  ['that runs another agent', ready('a', {}, { labels: { 'coderun.dev/agent-version': 'of-before' } })],
  ['that is being deleted', ready('a', {}, { deletionTimestamp: 'now' })],
  ['whose agent holds a session', ready('a', { hello: aHello({ session: aSessionState() }) })],
  ['whose agent was told to open a session', ready('a', { wasToldToOpen: true })],
  ['that a session has adopted', ready('a', {}, { labels: { [LABEL_SESSION]: 'x' } })],
  ['that a run has adopted', ready('a', {}, { labels: { [LABEL_RUN]: 'x' } })],
])('a sandbox %s is offered to nobody', (_what, sandbox) => {
  expect(setUp(sandbox).offer()).toBeUndefined();
});

test('a sandbox that a run has claimed is offered to nobody, though a leader before us wrote the claim', () => {
  const { stores, waiting, offer } = setUp(ready('a'));
  const run = aClaimedRun();
  run.status = { ...run.status, sandbox: { podName: 'a', podUID: 'uid-of-a' } };
  stores.runs.replace([run], '100', { consistent: true });
  expect(waiting.isClaimed(ready('a').pod)).toBe(true);
  expect(offer(runNamed('other'))).toBeUndefined();
});

test('a sandbox is offered to a run or to a session, never to both', () => {
  const { offer, stores } = setUp(ready('a'), ready('b'));
  const [run, session] = [runNamed('same'), aSession()];
  session.metadata.name = 'same';
  stores.runs.replace([run], '100', { consistent: true });
  stores.sessions.replace([session], '100', { consistent: true });
  expect([offer(run), offer(session), offer(runNamed('third'))]).toEqual(['a', 'b', undefined]);
});

test('a sandbox that a session has claimed is offered to nobody, though a leader before us wrote the claim', () => {
  const { stores, waiting, offer } = setUp(ready('a'));
  const session = aReadySession({}, { sandbox: { podName: 'a', podUID: 'uid-of-a' } });
  stores.sessions.replace([session], '100', { consistent: true });
  expect(waiting.isClaimed(ready('a').pod)).toBe(true);
  expect(offer()).toBeUndefined();
});

test('a sandbox of a session that was deleted is promised to nobody', () => {
  const { waiting, stores } = setUp(ready('a'));
  const session = aSession();
  stores.sessions.replace([session], '100', { consistent: true });
  waiting.offer(session, aClass());
  expect(waiting.promisedTo('uid-of-a')).toMatchObject({ kind: 'ReplSession', key: 'tenant/notebook' });
  expect(waiting.isClaimed(ready('a').pod)).toBe(true);
  stores.sessions.replace([], '101', { consistent: true });
  expect(waiting.isClaimed(ready('a').pod)).toBe(false);
});
