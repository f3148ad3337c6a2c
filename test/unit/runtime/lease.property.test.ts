/** Leader election under any weather: never two leaders at once, epochs grow, and when it clears up, somebody leads. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LeaderElector } from '../../../src/runtime/lease.ts';
import { FakeClock } from '../../support/clock.ts';
import { FAIR, FakeLeaseServer, type Weather } from './fake-lease.ts';
import { RecordingLogger } from './support.ts';

const milliseconds = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 1, max: 100 }),
  fc.integer({ min: 1_000, max: 30_000 }),
);
const weather: fc.Arbitrary<Weather> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(FAIR) },
  fc.record({ there: milliseconds, back: milliseconds }),
  fc.record({ there: milliseconds, back: milliseconds, lost: fc.constantFrom('request' as const, 'answer' as const) }),
);
/** Weather that lasts. */
const spell = fc.record({ milliseconds: fc.integer({ min: 1_000, max: 40_000 }), weather });
type Spell = typeof spell extends fc.Arbitrary<infer T> ? T : never;
const random = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });

class Cluster {
  readonly clock = new FakeClock();
  readonly server = new FakeLeaseServer(this.clock);
  readonly leaders = new Set<string>();
  readonly epochs: number[] = [];
  readonly #stop = new AbortController();
  #mostLeaders = 0;

  get mostLeaders(): number {
    return this.#mostLeaders;
  }

  /** A process that runs for leader again and again; each of its requests meets the weather of its time. */
  async join(identity: string, forecast: readonly Spell[], chance: number): Promise<void> {
    const elector = new LeaderElector({
      port: this.server.port(() => this.#weather(forecast)),
      identity,
      clock: this.clock,
      random: () => chance,
      logger: new RecordingLogger(),
    });
    while (!this.#stop.signal.aborted) {
      await elector
        .run((signal, epoch) => this.#lead(identity, signal, epoch), this.#stop.signal)
        .catch(() => undefined);
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.clock.advance(100_000);
  }

  #weather(forecast: readonly Spell[]): Weather {
    let end = 0;
    for (const { milliseconds, weather } of forecast) {
      end += milliseconds;
      if (this.clock.monotonic() < end) return weather;
    }
    return FAIR;
  }

  async #lead(identity: string, signal: AbortSignal, epoch: number): Promise<void> {
    this.epochs.push(epoch);
    this.leaders.add(identity);
    this.#mostLeaders = Math.max(this.#mostLeaders, this.leaders.size);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve());
    });
    this.leaders.delete(identity);
  }
}

test('never do two lead at once, epochs grow strictly, and once the weather is fair one leads', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ forecast: fc.array(spell, { maxLength: 8 }), random }), { minLength: 2, maxLength: 3 }),
      async (candidates) => {
        const cluster = new Cluster();
        candidates.forEach((candidate, index) => {
          void cluster.join(`process-${index}`, candidate.forecast, candidate.random);
        });
        for (let minutes = 0; minutes < 8; minutes++) await cluster.clock.advance(60_000);
        expect(cluster.mostLeaders).toBe(1);
        expect(cluster.epochs).toEqual([...new Set(cluster.epochs)].sort((a, b) => a - b));
        expect(cluster.leaders.size).toBe(1);
        await cluster.stop();
        expect(cluster.leaders.size).toBe(0);
      },
    ),
    { numRuns: 40, endOnFailure: true },
  );
});
