/** A language model as the agent needs it, and the ways in which one fails. */

export interface Message {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

export interface LanguageModel {
  /** Those that may be asked for; the first is that of tasks which name none. */
  readonly models: readonly [string, ...string[]];
  /** The text of the answer, bounded in length. Rejects with `ModelError`, and with the reason of `signal`. */
  complete(messages: readonly Message[], options: { model: string; signal: AbortSignal }): Promise<string>;
}

/**
 * `busy`: it takes no more for now; `timeout`: no answer in time; `refused`: it does not take the key or the model;
 * `unreachable`: no connection; `failed`: an error of its own; `malformed`: an answer that is none, or one too long.
 */
export type ModelFailure = 'busy' | 'timeout' | 'refused' | 'unreachable' | 'failed' | 'malformed';

/** Its message holds nothing of the model's own words, which may quote the key. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  readonly failure: ModelFailure;

  constructor(failure: ModelFailure, cause?: unknown) {
    super(`the language model: ${failure}`, { cause });
    this.failure = failure;
  }
}
