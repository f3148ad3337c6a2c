/** Deletions that somebody else was faster with. */

import { isConflict, isNotFound } from '../kube/error.ts';

/** For `catch`: passes over an object that is gone already, or replaced by another of the same name. */
export function ignoreGone(error: unknown): void {
  if (!isNotFound(error) && !isConflict(error)) throw error;
}
