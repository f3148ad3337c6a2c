/** What went wrong on the way to the API server or back, as the errors that callers know. */

import { AbortError } from '../runtime/abort.ts';
import { KubeError } from './error.ts';
import { safeMessage } from './status.ts';

/** Reasons by the code of undici's error; all else means that there was no connection, or no more. */
const REASONS: Record<string, string> = {
  UND_ERR_HEADERS_TIMEOUT: 'Timeout',
  UND_ERR_BODY_TIMEOUT: 'Timeout',
  UND_ERR_RES_EXCEEDED_MAX_SIZE: 'InvalidResponse',
  UND_ERR_INVALID_ARG: 'InvalidRequest',
  UND_ERR_CLOSED: 'Closed',
  UND_ERR_DESTROYED: 'Closed',
};

/** `KubeError` of code 0; where `signal` has aborted, its reason if that is a `KubeError`, else `AbortError`. */
export function failure(error: unknown, signal: AbortSignal | undefined): KubeError | AbortError {
  if (signal?.aborted) return signal.reason instanceof KubeError ? signal.reason : new AbortError(signal.reason);
  if (error instanceof KubeError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const message = (error instanceof Error && error.message) || code;
  return new KubeError(0, REASONS[code] ?? 'Unreachable', `no answer from the API server: ${safeMessage(message)}`);
}

/** Parses without repeating the text in the error, as `JSON.parse` would. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new KubeError(0, 'InvalidResponse', 'the answer of the API server is not JSON');
  }
}
