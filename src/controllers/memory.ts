/** What controllers remember of an object beside the API: hints that may be lost at any time without harm. */

import type { PodRefusal } from '../core/plan.ts';
import type { Transcript } from '../sandbox/transcript.ts';

/** Of whatever needs a sandbox. */
export interface SandboxMemory {
  uid: string;
  firstSeen: Date;
  refusedPod: PodRefusal | undefined;
  creationFailures: number;
}

export interface RunMemory extends SandboxMemory {
  journal: Transcript | 'unreadable' | undefined;
  journalFailures: number;
  /** UID of the session's pod that was told to execute the run. */
  executedIn: string | undefined;
}

export class Memory<T extends SandboxMemory> {
  readonly #objects = new Map<string, T>();
  readonly #fresh: (common: SandboxMemory) => T;

  /** `fresh` makes the memory of an object that was not seen before. */
  constructor(fresh: (common: SandboxMemory) => T) {
    this.#fresh = fresh;
  }

  /** The memory of the object at `key`; a new one where the name has passed to another object. */
  of(key: string, uid: string, created: string, now: Date): T {
    const known = this.#objects.get(key);
    if (known?.uid === uid) return known;
    const common = { uid, firstSeen: firstSeen(new Date(created), now), refusedPod: undefined, creationFailures: 0 };
    const fresh = this.#fresh(common);
    this.#objects.set(key, fresh);
    return fresh;
  }

  /** Lets go of what was known of the object at `key`, unless it is that of `uid`; returns what it was. */
  forget(key: string, uid?: string): T | undefined {
    const known = this.#objects.get(key);
    if (!known || known.uid === uid) return undefined;
    this.#objects.delete(key);
    return known;
  }
}

/** creationTimestamp is cut to the second: an object seen within that second was made just now, as far as anyone can tell. */
function firstSeen(created: Date, now: Date): Date {
  const age = now.getTime() - created.getTime();
  return age >= 0 && age < 1500 ? now : created;
}
