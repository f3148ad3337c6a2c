/** How many runs may be starting at once, and how many of a namespace may hold a sandbox: the others wait in turn. */

import type { CodeRun } from '../api/coderun.ts';
import { REASONS, type Reason } from '../api/reasons.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import { reasonOf } from '../core/coderun.ts';
import { joinKey, keyOf, splitKey } from '../runtime/keys.ts';

export interface AdmissionOptions {
  /** Runs without a sandbox that waits for them, which may be starting at once. */
  maxStarting: number;
  /** Every run there is, at the first question: what a leader before us has admitted is held. */
  runs: () => CodeRun[];
  wake: (key: string) => void;
}

/** A run that holds a place: of a namespace and class, and of those that are starting until it runs. */
interface Place {
  group: string;
  isStarting: boolean;
}

export class Admission {
  readonly #options: AdmissionOptions;
  #places: Map<string, Place> | undefined;
  /** Keys that wait, in order, by namespace: no namespace can starve another. */
  readonly #queues = new Map<string, Set<string>>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Runs that wait for a place. */
  get queued(): number {
    return [...this.#queues.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** Whether the namespace of the run may have one more of its class. */
  hasRoom(key: string, sandboxClass: SandboxClass): boolean {
    const limit = sandboxClass.spec.maxConcurrentPerNamespace ?? Number.POSITIVE_INFINITY;
    const group = groupOf(key, sandboxClass.metadata.name);
    const places = this.#held();
    return places.has(key) || [...places.values()].filter((place) => place.group === group).length < limit;
  }

  /** A place for the run, or one in the queue. With `warm`, a sandbox waits for it, and nothing needs to be started. */
  admit(key: string, sandboxClass: SandboxClass, warm: boolean): boolean {
    const places = this.#held();
    const starting = [...places.values()].filter(({ isStarting }) => isStarting).length;
    const isAdmitted =
      places.has(key) || (this.hasRoom(key, sandboxClass) && (warm || starting < this.#options.maxStarting));
    if (!isAdmitted) {
      this.#queueOf(key).add(key);
      return false;
    }
    if (!places.has(key)) places.set(key, { group: groupOf(key, sandboxClass.metadata.name), isStarting: !warm });
    this.#leaveQueue(key);
    return true;
  }

  /** What has become of the run: one that runs is starting no more, one that has ended holds no place. */
  follow(key: string, reason: Reason | undefined): void {
    const place = this.#held().get(key);
    const state = reason && REASONS[reason].state;
    if (state === 'running' && place?.isStarting) place.isStarting = false;
    else if (state === 'succeeded' || state === 'failed' || reason === undefined) {
      this.#leaveQueue(key);
      if (!this.#held().delete(key)) return;
    } else return;
    this.wakeNext();
  }

  /** The first of each namespace looks again; the others have their turn when a place is free once more. */
  wakeNext(): void {
    for (const queue of this.#queues.values()) {
      const [first] = queue;
      if (first !== undefined) this.#options.wake(first);
    }
  }

  /** So many sandboxes wait in `namespace`: as many runs look again. */
  wakeFor(namespace: string, count: number): void {
    for (const key of [...(this.#queues.get(namespace) ?? [])].slice(0, count)) this.#options.wake(key);
  }

  #held(): Map<string, Place> {
    this.#places ??= new Map(this.#options.runs().flatMap((run) => placeOf(run) ?? []));
    return this.#places;
  }

  #queueOf(key: string): Set<string> {
    const namespace = splitKey(key).namespace ?? '';
    const queue = this.#queues.get(namespace) ?? new Set();
    this.#queues.set(namespace, queue);
    return queue;
  }

  #leaveQueue(key: string): void {
    const namespace = splitKey(key).namespace ?? '';
    const queue = this.#queues.get(namespace);
    queue?.delete(key);
    if (queue?.size === 0) this.#queues.delete(namespace);
  }
}

const groupOf = (key: string, className: string): string => joinKey(splitKey(key).namespace, className);

function placeOf(run: CodeRun): [string, Place][] | undefined {
  const reason = reasonOf(run);
  const state = reason && REASONS[reason].state;
  if (state !== 'starting' && state !== 'running') return undefined;
  const key = keyOf(run);
  return [[key, { group: groupOf(key, run.spec.className ?? ''), isStarting: state === 'starting' }]];
}
