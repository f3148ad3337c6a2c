/** Which failed requests are sent again by the transport itself, and when. */

import { type Backoff, backoffDelay, type Random } from '../runtime/backoff.ts';
import type { KubeError } from './error.ts';

const BACKOFF: Backoff = { baseMilliseconds: 100, maximumMilliseconds: 2000, jitter: 0.5 };
const RETRIES = 3;
/** A server that asks for more is told to the caller at once. */
const LONGEST_WAIT_MILLISECONDS = 10_000;

/**
 * Milliseconds to wait before the request is sent again, or undefined where it isn't.
 * What isn't idempotent is only sent again when the server says that it did nothing: 429 with a Retry-After.
 */
export function retryDelay(
  error: KubeError,
  idempotent: boolean,
  failures: number,
  random: Random,
): number | undefined {
  if (failures > RETRIES || !(idempotent ? isTemporary(error) : isRefusedForNow(error))) return undefined;
  const delay = Math.max(error.retryAfterMilliseconds ?? 0, backoffDelay(BACKOFF, failures, random));
  return delay <= LONGEST_WAIT_MILLISECONDS ? delay : undefined;
}

const isRefusedForNow = (error: KubeError): boolean => error.code === 429 && error.retryAfterMilliseconds !== undefined;

const isTemporary = (error: KubeError): boolean =>
  error.code === 429 || error.code >= 500 || (error.code === 0 && error.reason === 'Unreachable');
