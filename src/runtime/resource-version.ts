/** The order of resource versions: decimal numbers without leading zeros, of any length. */

/** Negative where `a` is older than `b`, 0 where they are the same, positive where it is newer. */
export function compareResourceVersions(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

export const isNewer = (a: string, b: string): boolean => compareResourceVersions(a, b) > 0;
