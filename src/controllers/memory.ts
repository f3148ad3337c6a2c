/** What the controller remembers of a run beside the API: hints that may be lost at any time without harm. */

import type { PodRefusal } from '../core/plan.ts';
import type { Transcript } from '../sandbox/transcript.ts';

export interface RunMemory {
  uid: string;
  firstSeen: Date;
  refusedPod: PodRefusal | undefined;
  creationFailures: number;
  journal: Transcript | 'unreadable' | undefined;
  journalFailures: number;
}

export class Memory {
  readonly #runs = new Map<string, RunMemory>();

  /** The memory of the run at `key`; a new one where the name has passed to another object. */
  of(key: string, uid: string, created: string, now: Date): RunMemory {
    const known = this.#runs.get(key);
    if (known?.uid === uid) return known;
    const fresh: RunMemory = {
      uid,
      firstSeen: firstSeen(new Date(created), now),
      refusedPod: undefined,
      creationFailures: 0,
      journal: undefined,
      journalFailures: 0,
    };
    this.#runs.set(key, fresh);
    return fresh;
  }

  forget(key: string): void {
    this.#runs.delete(key);
  }
}

/** creationTimestamp is cut to the second: a run seen within that second was made just now, as far as anyone can tell. */
function firstSeen(created: Date, now: Date): Date {
  const age = now.getTime() - created.getTime();
  return age >= 0 && age < 1500 ? now : created;
}
