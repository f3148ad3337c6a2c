/** How many sandboxes may be starting at once, and how many a namespace may hold: whoever wants one more waits in turn. */

import type { CodeRun } from '../api/coderun.ts';
import { REASONS, type Reason } from '../api/reasons.ts';
import type { ReplSession } from '../api/replsession.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import { SESSION_REASONS, type SessionReason } from '../api/session-reasons.ts';
import { reasonOf } from '../core/coderun.ts';
import { sessionReasonOf } from '../core/session-status.ts';
import { joinKey, keyOf, splitKey } from '../runtime/keys.ts';

export interface AdmissionOptions {
  /** Runs and sessions without a sandbox that waits for them, which may be starting at once. */
  maxStarting: number;
  /** Every run and session there is, at the first question: what a leader before us has admitted is held. */
  runs: () => CodeRun[];
  sessions: () => ReplSession[];
  /** Name of the class of those that name none. */
  defaultClass: () => string | undefined;
  /** Has the run of that key looked at again, or the session of that `sessionPlace`. */
  wake: (key: string) => void;
}

const SESSION_MARK = '~';

/** The key of a session among those of runs: no object's name begins like that. */
export function sessionPlace(key: string): string {
  const { namespace, name } = splitKey(key);
  return joinKey(namespace, SESSION_MARK + name);
}

/** The key of the session whose place it is; undefined for one of a run. */
export function sessionAt(place: string): string | undefined {
  const { namespace, name } = splitKey(place);
  return name.startsWith(SESSION_MARK) ? joinKey(namespace, name.slice(SESSION_MARK.length)) : undefined;
}

/** Whoever holds a place: of a namespace and class, and of those that are starting until it runs. */
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

  /** Runs and sessions that wait for a place. */
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
    const state = reason && REASONS[reason].state;
    if (state === 'running') this.#started(key);
    else if (state === 'succeeded' || state === 'failed' || state === undefined) this.#ended(key);
  }

  /** What has become of the session of that key. */
  followSession(key: string, reason: SessionReason | undefined): void {
    const state = reason && SESSION_REASONS[reason].state;
    if (state === 'ready') this.#started(sessionPlace(key));
    else if (state === 'ended' || state === undefined) this.#ended(sessionPlace(key));
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

  #started(key: string): void {
    const place = this.#held().get(key);
    if (!place?.isStarting) return;
    place.isStarting = false;
    this.wakeNext();
  }

  #ended(key: string): void {
    this.#leaveQueue(key);
    if (this.#held().delete(key)) this.wakeNext();
  }

  #held(): Map<string, Place> {
    this.#places ??= this.#placesThereAre();
    return this.#places;
  }

  #placesThereAre(): Map<string, Place> {
    const { runs, sessions, defaultClass } = this.#options;
    const usual = defaultClass() ?? '';
    const ofRuns = runs().flatMap((run) => placeOfRun(run, usual));
    return new Map([...ofRuns, ...sessions().flatMap((session) => placeOfSession(session, usual))]);
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

function placeOfRun(run: CodeRun, usual: string): [string, Place][] {
  const reason = reasonOf(run);
  const state = reason && REASONS[reason].state;
  if (run.spec.sessionRef || (state !== 'starting' && state !== 'running')) return [];
  const key = keyOf(run);
  return [[key, { group: groupOf(key, run.spec.className ?? usual), isStarting: state === 'starting' }]];
}

function placeOfSession(session: ReplSession, usual: string): [string, Place][] {
  const reason = sessionReasonOf(session);
  if (reason !== 'Starting' && reason !== 'Ready') return [];
  const key = sessionPlace(keyOf(session));
  return [[key, { group: groupOf(key, session.spec.className ?? usual), isStarting: reason === 'Starting' }]];
}
