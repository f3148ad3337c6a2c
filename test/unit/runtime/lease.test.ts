/** Leader election: one leads, another takes over, and nobody trusts anyone's wall clock. */

import { afterEach, describe, expect, test } from 'vitest';
import { LeaderElector, type LeaderElectorOptions } from '../../../src/runtime/lease.ts';
import type { LeaseSpec } from '../../../src/runtime/lease-record.ts';
import { LeadershipLostError } from '../../../src/runtime/lease-term.ts';
import { FakeClock, settle } from '../../support/clock.ts';
import { FAIR, FakeLeaseServer, type Weather } from './fake-lease.ts';
import { noJitter, RecordingLogger } from './support.ts';

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

function aServer() {
  const clock = new FakeClock();
  return { clock, server: new FakeLeaseServer(clock) };
}

type World = ReturnType<typeof aServer>;

/** A process that runs for leader. While it leads, it works until its signal aborts, and then `drain` ms more. */
function candidate(
  { clock, server }: World,
  identity: string,
  { drain = 0, weather = FAIR, ...options }: Partial<LeaderElectorOptions> & { drain?: number; weather?: Weather } = {},
) {
  const process = {
    epochs: [] as number[],
    isLeading: false,
    isWorking: false,
    weather,
    outcome: 'running' as unknown,
    status: [] as boolean[],
    logger: new RecordingLogger(),
    reason: undefined as unknown,
    stop: async (): Promise<void> => {
      abort.abort();
      await clock.advance(60_000);
    },
  };
  const abort = new AbortController();
  const elector = new LeaderElector({
    port: server.port(() => process.weather),
    identity,
    clock,
    random: noJitter,
    logger: process.logger,
    masterStatus: (isLeader) => process.status.push(isLeader),
    ...options,
  });
  const lead = async (signal: AbortSignal, epoch: number): Promise<void> => {
    process.epochs.push(epoch);
    process.isLeading = process.isWorking = true;
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    process.reason = signal.reason;
    process.isLeading = false;
    if (drain > 0) await clock.sleep(drain);
    process.isWorking = false;
  };
  const run = (): void => {
    process.outcome = 'running';
    elector.run(lead, abort.signal).then(
      () => {
        process.outcome = 'stopped';
      },
      (error: unknown) => {
        process.outcome = error;
      },
    );
  };
  run();
  stops.push(process.stop);
  return Object.assign(process, { run, abort: () => abort.abort('stop') });
}

async function steal(
  server: FakeLeaseServer,
  spec: LeaseSpec = { holderIdentity: 'b', leaseTransitions: 2 },
): Promise<void> {
  const lease = await server.port().get();
  if (lease) await server.port().replace({ ...lease, spec: { ...lease.spec, ...spec } });
}

const LOST: Weather = { there: 0, back: 0, lost: 'request' };
const HUNG: Weather = { there: 1e9, back: 0 };

describe('acquiring', () => {
  test('the first comes to lead at once, in epoch 1, and writes times as Kubernetes reads them', async () => {
    const world = aServer();
    const a = candidate(world, 'a');
    await settle();
    expect([a.isLeading, a.epochs, a.status]).toEqual([true, [1], [true]]);
    expect(world.server.spec).toEqual({
      holderIdentity: 'a',
      leaseDurationSeconds: 15,
      acquireTime: '2026-01-01T00:00:00.000000Z',
      renewTime: '2026-01-01T00:00:00.000000Z',
      leaseTransitions: 1,
    });
  });

  test('the second waits for as long as the first renews', async () => {
    const world = aServer();
    const a = candidate(world, 'a');
    const b = candidate(world, 'b');
    await world.clock.advance(3_600_000);
    expect([a.isLeading, b.isLeading, a.epochs, b.epochs]).toEqual([true, false, [1], []]);
  });

  test('a holder that has died is replaced when its record was not seen to change for its lease, not sooner', async () => {
    const world = aServer();
    const a = candidate(world, 'a');
    await settle();
    a.weather = LOST;
    const b = candidate(world, 'b');
    await world.clock.advance(14_999);
    expect(b.isLeading).toBe(false);
    await world.clock.advance(2_001);
    expect([b.isLeading, b.epochs]).toEqual([true, [2]]);
  });

  test.each([
    ['long past', '2020-01-01T00:00:00.000000Z'],
    ['in the future', '2030-01-01T00:00:00.000000Z'],
  ])('a renew time %s makes no difference: only what was seen to change counts', async (_when, renewTime) => {
    const world = aServer();
    await world.server
      .port()
      .create({ holderIdentity: 'ghost', leaseDurationSeconds: 15, renewTime, leaseTransitions: 7 });
    const a = candidate(world, 'a');
    await world.clock.advance(14_999);
    expect(a.isLeading).toBe(false);
    await world.clock.advance(2_001);
    expect([a.isLeading, a.epochs]).toEqual([true, [8]]);
  });

  test('the lease duration is that of the holder', async () => {
    const world = aServer();
    await world.server.port().create({ holderIdentity: 'ghost', leaseDurationSeconds: 60, leaseTransitions: 1 });
    const a = candidate(world, 'a');
    await world.clock.advance(59_999);
    expect(a.isLeading).toBe(false);
    await world.clock.advance(2_001);
    expect(a.isLeading).toBe(true);
  });

  test('the same identity takes its own lease back without waiting, in a new epoch', async () => {
    const world = aServer();
    await world.server.port().create({ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 4 });
    const a = candidate(world, 'a');
    await settle();
    expect([a.isLeading, a.epochs]).toEqual([true, [5]]);
  });

  test('of two that see the lease free, one gets it', async () => {
    const world = aServer();
    await world.server.port().create({ holderIdentity: '', leaseTransitions: 3 });
    const [a, b] = [candidate(world, 'a'), candidate(world, 'b')];
    await settle();
    expect([a.epochs, b.epochs]).toEqual([[4], []]);
  });

  test('a request that gets no answer is given up and made anew', async () => {
    const world = aServer();
    const a = candidate(world, 'a', { weather: HUNG });
    await world.clock.advance(1_000);
    a.weather = FAIR;
    await world.clock.advance(5_999);
    expect(a.isLeading).toBe(false);
    await world.clock.advance(1);
    expect(a.isLeading).toBe(true);
  });

  test('stopping while waiting ends it and leaves no timer behind', async () => {
    const world = aServer();
    await world.server.port().create({ holderIdentity: 'ghost', leaseDurationSeconds: 15 });
    const a = candidate(world, 'a');
    await world.clock.advance(5_000);
    a.abort();
    await settle();
    expect([a.outcome, a.epochs, world.clock.pending]).toEqual(['stopped', [], 0]);
  });

  test('stopping while a request gets no answer ends it at once', async () => {
    const world = aServer();
    const a = candidate(world, 'a', { weather: HUNG });
    await settle();
    a.abort();
    await settle();
    expect(a.outcome).toBe('stopped');
  });

  test('tries are spread by chance', async () => {
    const world = aServer();
    const a = candidate(world, 'a', { random: () => 0.5, weather: LOST });
    await settle();
    a.weather = FAIR;
    await world.clock.advance(2_199);
    expect(a.isLeading).toBe(false);
    await world.clock.advance(1);
    expect(a.isLeading).toBe(true);
  });

  test.each([{ leaseMilliseconds: 10_000 }, { renewDeadlineMilliseconds: 2_400 }, { retryMilliseconds: 9_000 }])(
    'times that cannot work are refused: %o',
    (options) => {
      const world = aServer();
      expect(() => candidate(world, 'a', options)).toThrow(RangeError);
    },
  );
});

describe('losing', () => {
  test('a leader that cannot renew stops after the renew deadline, before anyone else begins', async () => {
    const world = aServer();
    const a = candidate(world, 'a');
    const b = candidate(world, 'b');
    await world.clock.advance(60_000);
    a.weather = LOST;
    await world.clock.advance(9_999);
    expect(a.isLeading).toBe(true);
    await world.clock.advance(1);
    expect([a.isLeading, b.isLeading, a.status]).toEqual([false, false, [true, false]]);
    expect(a.outcome).toBeInstanceOf(LeadershipLostError);
    expect(a.reason).toBeInstanceOf(LeadershipLostError);
    await world.clock.advance(10_000);
    expect(b.isLeading).toBe(true);
  });

  test('a leader whose requests get no answer stops after the renew deadline too', async () => {
    const world = aServer();
    const a = candidate(world, 'a');
    await settle();
    a.weather = HUNG;
    await world.clock.advance(10_000);
    expect(a.outcome).toBeInstanceOf(LeadershipLostError);
  });

  test.each([
    ['acquired', 2_000, 9_000],
    ['renewed', 5_500, 8_500],
  ])('the deadline counts from before the write that last %s the lease was sent', async (_what, until, left) => {
    const world = aServer();
    // Reads at 0 s, acquires at 1 s, renews at 4 s; each answer comes a second later.
    const a = candidate(world, 'a', { weather: { there: 0, back: 1_000 } });
    await world.clock.advance(until);
    a.weather = LOST;
    await world.clock.advance(left - 1);
    expect(a.isLeading).toBe(true);
    await world.clock.advance(1);
    expect(a.isLeading).toBe(false);
  });

  test('a renewal that fails now and then is no loss', async () => {
    const world = aServer();
    const a = candidate(world, 'a');
    for (let times = 0; times < 20; times++) {
      a.weather = times % 2 ? { there: 0, back: 0, lost: 'answer' } : FAIR;
      await world.clock.advance(2_000);
    }
    expect([a.isLeading, a.epochs]).toEqual([true, [1]]);
  });

  test('one hung request does not use up the whole deadline', async () => {
    const world = aServer();
    const a = candidate(world, 'a');
    await world.clock.advance(1_000);
    a.weather = HUNG;
    await world.clock.advance(1_500);
    a.weather = FAIR;
    await world.clock.advance(60_000);
    expect(a.isLeading).toBe(true);
  });

  test('a leader that finds another in its place stops at once, and leaves the lease alone', async () => {
    const world = aServer();
    const a = candidate(world, 'a');
    await settle();
    await steal(world.server);
    await world.clock.advance(4_000);
    expect(a.outcome).toBeInstanceOf(LeadershipLostError);
    expect(world.server.spec?.holderIdentity).toBe('b');
  });

  test('a later term of the same identity is another one', async () => {
    const world = aServer();
    const a = candidate(world, 'a');
    await settle();
    await steal(world.server, { leaseTransitions: 2 });
    await world.clock.advance(4_000);
    expect(a.outcome).toBeInstanceOf(LeadershipLostError);
  });

  test('whoever lost may run again, in a new epoch', async () => {
    const world = aServer();
    const a = candidate(world, 'a');
    await settle();
    a.weather = LOST;
    await world.clock.advance(10_000);
    a.weather = FAIR;
    a.run();
    await settle();
    expect([a.isLeading, a.epochs, a.status]).toEqual([true, [1, 2], [true, false, true]]);
  });

  test('a lease that was deleted is made again by its holder, whose epoch goes on', async () => {
    const world = aServer();
    await world.server.port().create({ holderIdentity: '', leaseTransitions: 6 });
    const a = candidate(world, 'a');
    await settle();
    world.server.lease = undefined;
    await world.clock.advance(60_000);
    expect([a.isLeading, a.epochs, world.server.spec?.leaseTransitions]).toEqual([true, [7], 7]);
  });

  test.each([
    ['as its holder', 'a'],
    ['as one who waited', 'b'],
  ])('after a deletion, whoever has seen an epoch %s goes on from it', async (_how, next) => {
    const world = aServer();
    await world.server.port().create({ holderIdentity: '', leaseTransitions: 6 });
    const a = candidate(world, 'a');
    await settle();
    const other = next === 'a' ? a : candidate(world, 'b');
    a.weather = LOST;
    await world.clock.advance(10_000);
    world.server.lease = undefined;
    a.weather = FAIR;
    if (next === 'a') a.run();
    await world.clock.advance(4_000);
    expect(other.epochs.at(-1)).toBe(8);
  });
});

describe('stopping', () => {
  test('the lease is held, and renewed, until the work has ended, and then given back', async () => {
    const world = aServer();
    const a = candidate(world, 'a', { drain: 30_000 });
    const b = candidate(world, 'b');
    await world.clock.advance(1_000);
    a.abort();
    await world.clock.advance(29_999);
    expect([a.isLeading, a.isWorking, a.reason, b.isLeading]).toEqual([false, true, 'stop', false]);
    await world.clock.advance(1);
    expect([a.outcome, a.status]).toEqual(['stopped', [true, false]]);
    expect(world.server.spec).toMatchObject({ holderIdentity: '', leaseTransitions: 1 });
    await world.clock.advance(2_000);
    expect([b.isLeading, b.epochs]).toEqual([true, [2]]);
  });

  test('in the middle of a renewal still gives the lease back', async () => {
    const world = aServer();
    const a = candidate(world, 'a');
    await settle();
    a.weather = { there: 500, back: 500 };
    await world.clock.advance(2_100);
    a.abort();
    await world.clock.advance(3_000);
    expect([a.outcome, world.server.spec?.holderIdentity, world.clock.pending]).toEqual(['stopped', '', 0]);
  });

  test('after another has taken the lease unseen leaves it alone', async () => {
    const world = aServer();
    const a = candidate(world, 'a', { drain: 600 });
    await settle();
    a.weather = LOST;
    await world.clock.advance(2_000);
    a.weather = FAIR;
    await steal(world.server);
    a.abort();
    await world.clock.advance(600);
    expect([a.outcome, world.server.spec?.holderIdentity]).toEqual(['stopped', 'b']);
  });

  test('while a renewal finds that another has taken the lease is a stop, not a loss', async () => {
    const world = aServer();
    const a = candidate(world, 'a');
    await settle();
    a.weather = LOST;
    await world.clock.advance(2_000);
    a.weather = { there: 500, back: 0 };
    await steal(world.server);
    await world.clock.advance(2_100);
    a.abort();
    await world.clock.advance(1_000);
    expect([a.outcome, a.status, world.server.spec?.holderIdentity]).toEqual(['stopped', [true, false], 'b']);
  });

  test('does not wait for ever for a server that gives no answer', async () => {
    const world = aServer();
    const a = candidate(world, 'a');
    await settle();
    a.weather = HUNG;
    a.abort();
    await world.clock.advance(2_000);
    expect([a.outcome, a.logger.messages('warn')]).toEqual(['stopped', ['could not release the lease']]);
  });

  test('a leader whose work ends by itself gives the lease back, and what its work threw is passed on', async () => {
    const world = aServer();
    const options = {
      port: world.server.port(),
      identity: 'a',
      clock: world.clock,
      random: noJitter,
      logger: new RecordingLogger(),
    };
    const run = new LeaderElector(options).run(() => Promise.reject(new Error('broken')), new AbortController().signal);
    await expect(run).rejects.toThrow('broken');
    expect([world.server.spec?.holderIdentity, world.clock.pending]).toEqual(['', 0]);
  });
});
