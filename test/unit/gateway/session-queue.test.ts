/** A request in the queue of a session is not waited for any longer once the session is over, and never given up for another's end. */

import { expect, test } from 'vitest';
import { readyCondition } from '../../../src/api/conditions.ts';
import { API_VERSION } from '../../../src/api/group.ts';
import { type ReplSession, ReplSessionSpec } from '../../../src/api/replsession.ts';
import type { SessionReason } from '../../../src/api/session-reasons.ts';
import type { GatewayDeps, ObjectWatch } from '../../../src/gateway/deps.ts';
import { queuedCall, SessionOver } from '../../../src/gateway/session-queue.ts';
import { Bridge } from '../../../src/sandbox/bridge.ts';
import { FakeClock, settle } from '../../support/clock.ts';
import { TestStream } from '../../support/stream.ts';

const aSession = (uid: string, reason: SessionReason): ReplSession => ({
  apiVersion: API_VERSION,
  kind: 'ReplSession',
  metadata: { name: 's', namespace: 'ns', uid, resourceVersion: '1', creationTimestamp: '' },
  spec: ReplSessionSpec.parse({}),
  status: { conditions: [readyCondition(reason === 'Ready', reason, '', 1, new Date(0), undefined)] },
});

/** A call for the session `own`, of which the watch has seen `before`. */
function waiting(before?: ReplSession) {
  const clock = new FakeClock();
  const stream = new TestStream();
  let listener: (session: ReplSession | undefined) => void = () => undefined;
  const sessions: ObjectWatch<ReplSession> = {
    get: () => before,
    onChange: (_namespace, _name, heard) => {
      listener = heard;
      return { [Symbol.dispose]: () => undefined };
    },
  };
  const deps = { clock, sessions } as unknown as GatewayDeps;
  const options = { timeoutSeconds: 10, detach: false, signal: new AbortController().signal, tell: () => undefined };
  const call = queuedCall(deps, aSession('own', 'Ready'), new Bridge(stream), { restart: {} }, options);
  let over: unknown;
  call.catch((error: unknown) => {
    over = error;
  });
  return {
    clock,
    call,
    stream,
    over: () => over,
    sees: async (session: ReplSession | undefined, milliseconds = 500) => {
      listener(session);
      await clock.advance(milliseconds);
      await settle();
    },
  };
}

test.each<[string, ReplSession | undefined, ReplSession | undefined]>([
  ['has ended', undefined, aSession('own', 'OutOfMemory')],
  ['was deleted', aSession('own', 'Ready'), undefined],
  ['has another in its place', aSession('own', 'Ready'), aSession('new', 'Ready')],
])('it is over when its session %s', async (_what, before, change) => {
  const { sees, over, clock } = waiting(before);
  await sees(change);
  expect(over()).toBeInstanceOf(SessionOver);
  expect(clock.pending).toBe(0);
});

test.each<[string, ReplSession | undefined]>([
  ['is used', aSession('own', 'Ready')],
  ['of the same name before it has ended', aSession('old', 'IdleTimeout')],
  ['of the same name before it was deleted', undefined],
])('it goes on when the session %s', async (_what, change) => {
  const { sees, over, call, stream } = waiting(aSession('old', 'Ready'));
  await sees(change);
  expect(over()).toBeUndefined();
  stream.say({ id: 'r1', done: {} });
  expect(await call).toEqual({});
});

test('an end that comes soon after that of its session is still taken', async () => {
  const { call, stream, sees } = waiting();
  await sees(aSession('own', 'Terminated'), 499);
  stream.say({ id: 'r1', done: { bytes: 1 } });
  expect(await call).toEqual({ bytes: 1 });
});
