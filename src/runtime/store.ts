/** The local copy of one kind of object, fed by a watch and by our own writes, in whichever order they arrive. */

import type { KubernetesObject } from '../api/object.ts';
import type { WatchEvent } from '../kube/port.ts';
import { keyOf } from './keys.ts';
import type { Logger } from './logger.ts';
import { isNewer } from './resource-version.ts';
import { StoreIndex } from './store-index.ts';

export interface Change<T> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** As it is now; of a deletion, as it last was. */
  object: T;
  old?: T;
}

/** Is called after the store has changed. What it throws is logged. */
export type Listener<T> = (change: Change<T>) => void;

export interface StoreOptions<T, Index extends string> {
  logger: Logger;
  /**
   * Cuts every object down to what is needed before it is kept, such as without managedFields. May change it in place:
   * what is given to the store belongs to it.
   */
  transform?: (object: T) => T;
  /** By name: the values that an object is found under with `by`. */
  indexes?: Record<Index, (object: T) => readonly string[]>;
}

/**
 * What is known of an object has a resource version: its own where it is here, else that of the latest event, bookmark
 * or list, as of which it is known to be absent. Whatever isn't newer than what is known is ignored.
 *
 * Guarantees: an older object never overwrites a newer one; a deletion that was seen is never undone by an older
 * write's response or by a list from a lagging cache; an object deleted and created again under the same name shows as
 * DELETED and then ADDED, even if that was missed.
 *
 * Assumptions: events come in the order of their resource versions, and these can be compared within the kind.
 *
 * Caveats: objects are shared, so they must not be changed. Only what the watch selects may be upserted.
 */
export class Store<T extends KubernetesObject, Index extends string = never> {
  readonly #objects = new Map<string, T>();
  readonly #indexes: Map<string, StoreIndex<T>>;
  readonly #listeners = new Set<Listener<T>>();
  readonly #transform: (object: T) => T;
  readonly #logger: Logger;
  readonly #synced = Promise.withResolvers<void>();
  #isSynced = false;
  #resourceVersion: string | undefined;

  constructor({ logger, transform = (object) => object, indexes }: StoreOptions<T, Index>) {
    this.#logger = logger;
    this.#transform = transform;
    const functions = Object.entries<(object: T) => readonly string[]>(indexes ?? {});
    this.#indexes = new Map(functions.map(([name, valuesOf]) => [name, new StoreIndex(valuesOf)]));
  }

  /** Resolves after the first list. */
  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  get size(): number {
    return this.#objects.size;
  }

  /** How far the watch has come; undefined before the first list. Writes of our own don't move it. */
  get resourceVersion(): string | undefined {
    return this.#resourceVersion;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  by(index: Index, value: string): T[] {
    const keys = this.#indexes.get(index)?.keys(value) ?? [];
    return [...keys].flatMap((key) => this.#objects.get(key) ?? []);
  }

  /** Calls `listener` with every change from now on. */
  onChange(listener: Listener<T>): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /** Takes the next event of the watch. */
  apply(event: WatchEvent<T>): void {
    if (event.type === 'BOOKMARK') {
      this.#observe(event.resourceVersion);
      return;
    }
    const { resourceVersion } = event.object.metadata;
    const object = this.#transform(event.object);
    const changes = event.type === 'DELETED' ? this.#remove(object, resourceVersion) : this.#put(object);
    this.#observe(resourceVersion);
    this.#notify(changes);
  }

  /**
   * Takes a whole list, as of `resourceVersion`: what is missing from it is deleted, unless it is newer. A consistent
   * list that is older than what was seen means that the history was replaced (etcd restored): it is taken as it is.
   */
  replace(items: readonly T[], resourceVersion: string, { consistent }: { consistent: boolean }): void {
    const restored =
      consistent && this.#resourceVersion !== undefined && isNewer(this.#resourceVersion, resourceVersion);
    const listed = new Set(items.map(keyOf));
    const gone = this.list().filter((object) => !listed.has(keyOf(object)));
    const changes = [
      ...gone.flatMap((object) => this.#remove(object, restored ? object.metadata.resourceVersion : resourceVersion)),
      ...items.flatMap((item) => (restored ? this.#set(this.#transform(item)) : this.#put(this.#transform(item)))),
    ];
    if (restored) this.#resourceVersion = resourceVersion;
    this.#observe(resourceVersion);
    this.#isSynced = true;
    this.#synced.resolve();
    this.#notify(changes);
  }

  /** Takes the response of a write of our own, so that it is seen before the watch brings it; false if it was older. */
  upsert(object: T): boolean {
    const changes = this.#put(this.#transform(object));
    this.#notify(changes);
    return changes.length > 0;
  }

  #put(object: T): Change<T>[] {
    const known = this.#objects.get(keyOf(object))?.metadata.resourceVersion ?? this.#resourceVersion;
    const isNews = known === undefined || isNewer(object.metadata.resourceVersion, known);
    return isNews ? this.#set(object) : [];
  }

  #set(object: T): Change<T>[] {
    const key = keyOf(object);
    const old = this.#objects.get(key);
    for (const index of this.#indexes.values()) index.set(key, object);
    this.#objects.set(key, object);
    if (old === undefined) return [{ type: 'ADDED', object }];
    if (old.metadata.uid === object.metadata.uid) return [{ type: 'MODIFIED', object, old }];
    return [
      { type: 'DELETED', object: old, old },
      { type: 'ADDED', object },
    ];
  }

  /** Removes what is known of `last` as of `resourceVersion`. */
  #remove(last: T, resourceVersion: string): Change<T>[] {
    const key = keyOf(last);
    const old = this.#objects.get(key);
    if (old === undefined || isNewer(old.metadata.resourceVersion, resourceVersion)) return [];
    for (const index of this.#indexes.values()) index.delete(key);
    this.#objects.delete(key);
    return [{ type: 'DELETED', object: last, old }];
  }

  #observe(resourceVersion: string): void {
    if (this.#resourceVersion === undefined || isNewer(resourceVersion, this.#resourceVersion)) {
      this.#resourceVersion = resourceVersion;
    }
  }

  #notify(changes: readonly Change<T>[]): void {
    for (const change of changes) {
      for (const listener of this.#listeners) {
        try {
          listener(change);
        } catch (error) {
          this.#logger.error({ err: error, key: keyOf(change.object) }, 'store listener failed');
        }
      }
    }
  }
}
