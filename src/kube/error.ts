/** Errors of the API server, typed once at the border; everything else asks the predicates below. */

/** A refusal by the API server (with its HTTP code), or code 0 where it could not be reached. */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly code: number;
  /** The `reason` of the Status object, such as NotFound or AlreadyExists; empty where there is none. */
  readonly reason: string;
  /** How long the server asks to wait, in milliseconds. */
  readonly retryAfterMilliseconds: number | undefined;

  constructor(
    code: number,
    reason: string,
    message: string,
    options?: { retryAfterMilliseconds?: number; cause?: unknown },
  ) {
    super(message, options);
    this.code = code;
    this.reason = reason;
    this.retryAfterMilliseconds = options?.retryAfterMilliseconds;
  }
}

const is = (error: unknown, code: number): error is KubeError => error instanceof KubeError && error.code === code;

export const isNotFound = (error: unknown): boolean => is(error, 404);
export const isAlreadyExists = (error: unknown): boolean => is(error, 409) && error.reason === 'AlreadyExists';
export const isConflict = (error: unknown): boolean => is(error, 409) && error.reason !== 'AlreadyExists';
/** The resourceVersion of a list or watch is too old. */
export const isExpired = (error: unknown): boolean =>
  is(error, 410) || (error instanceof KubeError && error.reason === 'Expired');
export const isInvalid = (error: unknown): boolean => is(error, 422);
export const isForbidden = (error: unknown): boolean => is(error, 403);
export const isQuotaExceeded = (error: unknown): boolean => is(error, 403) && error.message.includes('exceeded quota');
export const isTooManyRequests = (error: unknown): boolean => is(error, 429);
/** Worth another try as it is: the server was busy, restarting or out of reach. */
export const isTransient = (error: unknown): boolean =>
  error instanceof KubeError && (error.code === 0 || error.code === 429 || error.code >= 500);
