/** The store against a whole history: at any moment it holds the newest that it can know of, and so do its listeners. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keyOf } from '../../../src/runtime/keys.ts';
import { Store } from '../../../src/runtime/store.ts';
import { aThing, RecordingLogger, type Thing } from './support.ts';

/** Versions cross the length of a decimal number. */
const FIRST_VERSION = 95;

interface Step {
  name: string;
  value: string;
  isDeletion: boolean;
}

/** Everything that ever happened to the objects: version by version, as the API server would tell it. */
class History {
  readonly events: { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: Thing }[] = [];

  constructor(steps: readonly Step[]) {
    const alive = new Map<string, Thing>();
    for (const { name, value, isDeletion } of steps) {
      const old = alive.get(name);
      if (isDeletion && !old) continue;
      const version = FIRST_VERSION + this.events.length;
      const object = aThing(name, version, { value, uid: old?.metadata.uid ?? `${name}-${version}` });
      this.events.push({ type: isDeletion ? 'DELETED' : old ? 'MODIFIED' : 'ADDED', object });
      if (isDeletion) alive.delete(name);
      else alive.set(name, object);
    }
  }

  /** The objects after `count` events. */
  stateAt(count: number): Map<string, Thing> {
    const state = new Map<string, Thing>();
    for (const { type, object } of this.events.slice(0, count)) {
      if (type === 'DELETED') state.delete(keyOf(object));
      else state.set(keyOf(object), object);
    }
    return state;
  }

  versionAt(count: number): string {
    return String(FIRST_VERSION + count - 1);
  }
}

/** A store that is told of a history, and an account of what it can know. */
class Watcher {
  readonly store = new Store<Thing, 'value'>({
    logger: new RecordingLogger(),
    indexes: { value: (thing) => [thing.value] },
  });
  /** What a listener knows by the changes alone. */
  readonly mirror = new Map<string, Thing>();
  readonly #history: History;
  /** How many events the watch has brought, and what we wrote that it hasn't. */
  #seen = 0;
  #own: { position: number; object: Thing }[] = [];

  constructor(history: History) {
    this.#history = history;
    this.store.onChange(({ type, object }) => {
      if (type === 'DELETED') this.mirror.delete(keyOf(object));
      else this.mirror.set(keyOf(object), object);
    });
    this.list(0);
  }

  watch(): void {
    const event = this.#history.events[this.#seen];
    if (event === undefined) return;
    this.store.apply(event);
    this.#seen += 1;
  }

  bookmark(): void {
    this.store.apply({ type: 'BOOKMARK', resourceVersion: this.#history.versionAt(this.#seen) });
  }

  list(position: number): void {
    const items = [...this.#history.stateAt(position).values()];
    this.store.replace(items, this.#history.versionAt(position), { consistent: false });
    this.#seen = Math.max(this.#seen, position);
  }

  upsert(position: number): void {
    const event = this.#history.events[position];
    if (event === undefined || event.type === 'DELETED') return;
    this.store.upsert(event.object);
    this.#own.push({ position, object: event.object });
  }

  /** The state that the watch has brought, and over it what we have written since. */
  expected(): Map<string, Thing> {
    const state = this.#history.stateAt(this.#seen);
    const own = this.#own.filter(({ position }) => position >= this.#seen).sort((a, b) => a.position - b.position);
    for (const { object } of own) state.set(keyOf(object), object);
    return state;
  }
}

const step = fc.record({
  name: fc.constantFrom('a', 'b'),
  value: fc.constantFrom('x', 'y'),
  isDeletion: fc.boolean(),
});
const operation = fc.record({
  kind: fc.constantFrom('watch' as const, 'watch' as const, 'upsert' as const, 'list' as const, 'bookmark' as const),
  at: fc.nat(40),
});

test('the store knows the newest of what it was told, in whichever order, and listeners and index agree with it', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.array(operation, { maxLength: 60 }), (steps, operations) => {
      const history = new History(steps);
      const watcher = new Watcher(history);
      for (const { kind, at } of operations) {
        watcher[kind](Math.min(at, history.events.length));
        const want = watcher.expected();
        expect(new Map(watcher.store.list().map((thing) => [keyOf(thing), thing]))).toEqual(want);
        expect(watcher.mirror).toEqual(want);
        const indexed = [...want.values()].filter(({ value }) => value === 'x');
        expect(new Set(watcher.store.by('value', 'x'))).toEqual(new Set(indexed));
      }
    }),
    { numRuns: 300 },
  );
});
