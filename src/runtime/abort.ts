/** Cancellation as values: one error type for it, and waiting that ends when it comes. */

/** A wait was given up because its signal aborted; `cause` is the signal's reason. */
export class AbortError extends Error {
  override readonly name = 'AbortError';

  constructor(reason: unknown) {
    super('aborted', { cause: reason });
  }
}

/** Calls `run` once when `signal` aborts, at once where it has already, unless disposed of before. */
export function onAbort(signal: AbortSignal, run: () => void): Disposable {
  if (signal.aborted) run();
  else signal.addEventListener('abort', run, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', run) };
}

/**
 * What `promise` gives, or a rejection with AbortError as soon as `signal` aborts.
 *
 * Caveat: the work behind `promise` goes on; what comes of it later is ignored, an error included.
 */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: outcome, resolve, reject } = Promise.withResolvers<T>();
  const listener = onAbort(signal, () => reject(new AbortError(signal.reason)));
  promise.then(resolve, reject).finally(() => listener[Symbol.dispose]());
  return outcome;
}

/** Resolves when `signal` aborts. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    onAbort(signal, resolve);
  });
