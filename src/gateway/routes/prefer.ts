/** The header Prefer (RFC 7240), of which `wait` is understood. */

import { WAIT_LIMIT_SECONDS } from './schemas.ts';

/** Seconds, cut to the limit; undefined where no wait is preferred. A preference that can't be understood is passed over. */
export function preferredWait(header: string | string[] | undefined): number | undefined {
  for (const preference of [header ?? []].flat().join(',').split(',')) {
    const seconds = /^\s*wait\s*=\s*"?([0-9]{1,6})"?\s*(;|$)/i.exec(preference)?.[1];
    if (seconds !== undefined) return Math.min(Number(seconds), WAIT_LIMIT_SECONDS);
  }
  return undefined;
}
