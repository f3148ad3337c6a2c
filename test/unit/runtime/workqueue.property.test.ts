/** The promises of the work queue, under any mixture of adding, delaying, taking, finishing and time. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { splitKey } from '../../../src/runtime/keys.ts';
import { WorkQueue } from '../../../src/runtime/workqueue.ts';
import { FakeClock, settle } from '../../support/clock.ts';
import { noJitter } from './support.ts';

const laneOf = (key: string): string => splitKey(key).namespace ?? '';
const BACKOFF = { baseMilliseconds: 10, maximumMilliseconds: 80, jitter: 0 };

/** Works the queue and keeps its own account of what the queue owes. */
class Bookkeeper {
  readonly clock = new FakeClock();
  readonly queue = new WorkQueue({ clock: this.clock, random: noJitter, backoff: BACKOFF, laneOf });
  /** When each key is due; absent where it isn't wanted. */
  readonly due = new Map<string, number>();
  readonly inWork = new Set<string>();
  readonly failures = new Map<string, number>();
  /** Lanes that could have given a key at every moment since the last take of each lane. */
  readonly passedOver = new Map<string, Set<string>>();
  /** Promises that the queue has broken. */
  readonly faults: string[] = [];
  waiting = 0;
  /** While time moves, keys that are due may not be queued yet, so nothing can be said of turns. */
  isMoving = false;

  add(key: string): void {
    this.queue.add(key);
    this.want(key, 0);
  }

  addAfter(key: string, milliseconds: number): void {
    this.queue.addAfter(key, milliseconds);
    this.want(key, milliseconds);
  }

  addRateLimited(key: string): void {
    const failures = this.failures.get(key) ?? 0;
    this.failures.set(key, failures + 1);
    this.queue.addRateLimited(key);
    this.want(key, Math.min(BACKOFF.maximumMilliseconds, BACKOFF.baseMilliseconds * 2 ** failures));
  }

  get(): void {
    this.waiting += 1;
    void this.queue.get().then((key) => this.taken(String(key)));
  }

  done(index: number): void {
    const key = [...this.inWork][index % this.inWork.size];
    if (key === undefined) return;
    // Before `done`, which may hand the key out again.
    this.inWork.delete(key);
    this.queue.done(key);
  }

  async advance(milliseconds: number): Promise<void> {
    this.isMoving = true;
    await this.clock.advance(milliseconds);
    this.isMoving = false;
    this.passedOver.clear();
  }

  /** What must hold whenever nothing moves. */
  check(): void {
    expect(this.faults).toEqual([]);
    if (this.waiting > 0) expect(this.takeable(), 'kept from those who wait').toEqual([]);
    for (const [lane, others] of this.passedOver) {
      const able = new Set(this.takeable().map(laneOf));
      for (const other of others) if (!able.has(other)) this.passedOver.get(lane)?.delete(other);
    }
    const ready = [...this.due].filter(([, at]) => at <= this.clock.monotonic());
    expect(this.queue.depth).toBe(ready.length);
  }

  private takeable(): string[] {
    const now = this.clock.monotonic();
    return [...this.due].filter(([key, at]) => at <= now && !this.inWork.has(key)).map(([key]) => key);
  }

  private want(key: string, milliseconds: number): void {
    const at = this.clock.monotonic() + milliseconds;
    this.due.set(key, Math.min(at, this.due.get(key) ?? at));
  }

  private taken(key: string): void {
    this.waiting -= 1;
    const lane = laneOf(key);
    if (this.inWork.has(key)) this.faults.push(`${key} is in work already`);
    if ((this.due.get(key) ?? Number.POSITIVE_INFINITY) > this.clock.monotonic()) this.faults.push(`${key} is not due`);
    if (!this.isMoving && this.passedOver.get(lane)?.size)
      this.faults.push(`${lane} was taken twice while another lane waited`);
    this.due.delete(key);
    this.inWork.add(key);
    for (const others of this.passedOver.values()) others.delete(lane);
    this.passedOver.set(
      lane,
      new Set(
        this.takeable()
          .map(laneOf)
          .filter((other) => other !== lane),
      ),
    );
  }
}

const key = fc.constantFrom('a/1', 'a/2', 'a/3', 'b/1', 'b/2', 'c/1');
const operation = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('add' as const), key }) },
  fc.record({ kind: fc.constant('addAfter' as const), key, milliseconds: fc.integer({ min: 0, max: 50 }) }),
  fc.record({ kind: fc.constant('addRateLimited' as const), key }),
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('get' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('done' as const), index: fc.nat(5) }) },
  fc.record({ kind: fc.constant('advance' as const), milliseconds: fc.integer({ min: 1, max: 30 }) }),
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

async function perform(books: Bookkeeper, step: Operation): Promise<void> {
  switch (step.kind) {
    case 'add':
      books.add(step.key);
      break;
    case 'addAfter':
      books.addAfter(step.key, step.milliseconds);
      break;
    case 'addRateLimited':
      books.addRateLimited(step.key);
      break;
    case 'get':
      books.get();
      break;
    case 'done':
      books.done(step.index);
      break;
    case 'advance':
      await books.advance(step.milliseconds);
      break;
  }
  await settle();
}

test('no key is ever in work twice or early, none is lost, none waits while a worker does, and lanes take turns', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 10, maxLength: 80 }), async (operations) => {
      const books = new Bookkeeper();
      for (const step of operations) {
        await perform(books, step);
        books.check();
      }
      await books.advance(1_000);
      while (books.due.size > 0 || books.inWork.size > 0) {
        await perform(books, books.inWork.size > 0 ? { kind: 'done', index: 0 } : { kind: 'get' });
        books.check();
      }
      expect(books.queue.depth).toBe(0);
    }),
    { numRuns: 150 },
  );
});
