/** The agent: asks the model for a program, has it run, and gives errors back until one runs well or the rounds are over. */

import { CODE_LIMIT_BYTES } from '../../api/coderun.ts';
import { utf8Bytes } from '../../api/schema.ts';
import type { ExecuteResponse } from '../execute-result.ts';
import { Problem } from '../problem.ts';
import { pythonOf } from './fences.ts';
import { type LanguageModel, type Message, ModelError, type ModelFailure } from './model.ts';
import { messagesFor } from './prompt.ts';

export interface Task {
  task: string;
  maxRounds: number;
  model: string;
}

interface Round<R extends ExecuteResponse> {
  /** Null where the answer of the model held no Python, or too much of it. */
  generated_code: string | null;
  execution_result: R | null;
}

export type Step<R extends ExecuteResponse> =
  | { event: 'round'; data: { round: number } }
  | { event: 'code'; data: { round: number; generated_code: string } }
  | { event: 'result'; data: { round: number; execution_result: R } }
  | { event: 'finished'; data: Round<R> & { task: string; rounds: Round<R>[] } };

export interface Hands<R extends ExecuteResponse> {
  model: LanguageModel;
  /** Runs a program to its end. Rejects with a `Problem` where that can't be. */
  run(code: string): Promise<R>;
  signal: AbortSignal;
}

/** The last step is `finished`. Throws a `Problem` where the model or the sandbox fails. */
export async function* solve<R extends ExecuteResponse>(
  { task, maxRounds, model: name }: Task,
  { model, run, signal }: Hands<R>,
): AsyncGenerator<Step<R>> {
  const rounds: Round<R>[] = [];
  let last: Round<R> | undefined;
  for (let round = 1; round <= maxRounds && !last?.execution_result?.success; round++) {
    yield { event: 'round', data: { round } };
    const messages = messagesFor(task, last && attemptOf(last));
    const code = usable(pythonOf(await ask(model, name, messages, { signal, acted: rounds.length > 0 })));
    last = { generated_code: code ?? null, execution_result: null };
    if (code !== undefined) {
      yield { event: 'code', data: { round, generated_code: code } };
      last.execution_result = await run(code);
      yield { event: 'result', data: { round, execution_result: last.execution_result } };
    }
    rounds.push(last);
  }
  const { generated_code = null, execution_result = null } = last ?? {};
  yield { event: 'finished', data: { task, generated_code, execution_result, rounds } };
}

const attemptOf = ({ generated_code, execution_result }: Round<ExecuteResponse>) => ({
  code: generated_code ?? undefined,
  result: execution_result ?? undefined,
});

const usable = (code: string | undefined): string | undefined =>
  code !== undefined && utf8Bytes(code) <= CODE_LIMIT_BYTES ? code : undefined;

/** `acted`: a program of the task has run already. */
async function ask(
  model: LanguageModel,
  name: string,
  messages: Message[],
  { signal, acted }: { signal: AbortSignal; acted: boolean },
): Promise<string> {
  try {
    return await model.complete(messages, { model: name, signal });
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    const { code, detail, retryAfterSeconds } = PROBLEMS[error.failure];
    throw new Problem(code, detail, { cause: error, retrySafe: !acted, retryAfterSeconds });
  }
}

type ModelProblem = 'ModelBusy' | 'ModelTimeout' | 'ModelFailed';

const PROBLEMS: Record<ModelFailure, { code: ModelProblem; detail: string; retryAfterSeconds?: number }> = {
  busy: {
    code: 'ModelBusy',
    detail: 'The language model takes no more requests for now; come back.',
    retryAfterSeconds: 10,
  },
  timeout: {
    code: 'ModelTimeout',
    detail: 'The language model did not answer in time; try again, or with a smaller task.',
  },
  refused: {
    code: 'ModelFailed',
    detail: "The language model does not take the gateway's key or the name of the model; tell the administrator.",
  },
  unreachable: { code: 'ModelFailed', detail: 'The language model can not be reached; tell the administrator.' },
  failed: { code: 'ModelFailed', detail: 'The language model failed; try again in a moment.' },
  malformed: { code: 'ModelFailed', detail: 'The language model answered what is no answer, or one too long.' },
};
