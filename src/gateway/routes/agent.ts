/** POST /v1/agent: a task in words in, a program and what it printed out. */

import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { codeRunResultFields } from '../../api/coderun.ts';
import { ObjectName } from '../../api/schema.ts';
import { allowedClass } from '../auth/classes.ts';
import type { GatewayDeps } from '../deps.ts';
import { ExecuteResponse, executeResponse } from '../execute-result.ts';
import type { LanguageModel } from '../llm/model.ts';
import { type Step, solve } from '../llm/solve.ts';
import { toProblem } from '../plugins/errors.ts';
import type { Holds } from '../plugins/holds.ts';
import type { Caller } from '../plugins/identify.ts';
import { PROBLEMS } from '../plugins/openapi.ts';
import { fieldError, Problem } from '../problem.ts';
import { createRun } from '../run-store.ts';
import { isEnded, succeeded } from '../run-view.ts';
import { type ServerSentEvent, SSE_TYPE, sendEvents, wantsEvents } from '../sse.ts';
import { waitFor } from '../wait.ts';
import { giveUp } from './execute.ts';

/** Long enough to look at a run after the answer. */
const TTL_SECONDS = 3600;

export const AgentRequest = z
  .strictObject({
    task: z.string().min(1).max(16_384).describe('What is to be done, in words; up to 16384 characters.'),
    maxRounds: z
      .int()
      .min(1)
      .max(10)
      .default(1)
      .describe('How often the model may try: with more than 1, it is given the errors of its program to mend it.'),
    model: z.string().min(1).max(128).optional().describe('One of the models that the gateway offers.'),
    sessionName: ObjectName.optional().describe('Session to run in, whose variables and files the program finds.'),
    timeoutSeconds: z.int().min(1).max(3600).default(60).describe('How long each program may run, in seconds.'),
  })
  .meta({ id: 'AgentRequest', examples: [{ task: 'Print the 100th prime number.', maxRounds: 3 }] });
type AgentRequest = z.output<typeof AgentRequest>;

export const AgentExecution = z
  .strictObject({
    ...ExecuteResponse.shape,
    reason: z.string().describe('How the program ended: Completed, NonZeroExit, Timeout, …'),
    runName: z.string().describe('Name of its run, which holds the rest.'),
    results: codeRunResultFields.results,
  })
  .meta({ id: 'AgentExecution', description: 'What became of a program.' });
type AgentExecution = z.output<typeof AgentExecution>;

const AgentRound = z.strictObject({
  generated_code: z.string().nullable().describe('The program; null where the model wrote none.'),
  execution_result: AgentExecution.nullable().describe('What became of it; null where there was none.'),
});

export const AgentResponse = z
  .strictObject({
    task: z.string().describe('The task.'),
    ...AgentRound.shape,
    rounds: z.array(AgentRound).describe('Every try; the last is the one above.'),
  })
  .meta({ id: 'AgentResponse', description: 'The last program and what became of it, and the tries before.' });

const STEPS = z.custom<FastifyReply>().meta({
  type: 'object',
  required: ['event', 'data'],
  properties: {
    event: { type: 'string', enum: ['round', 'code', 'result', 'finished', 'problem'] },
    data: { type: 'string', contentMediaType: 'application/json' },
  },
  description:
    'round {"round"}, code {"round", "generated_code"}, result {"round", "execution_result"}, finished with the whole answer, problem. Comments keep a quiet stream alive.',
});

export function agentRoute(app: FastifyInstance, deps: GatewayDeps, holds: Holds): void {
  app.withTypeProvider<ZodTypeProvider>().post(
    '/v1/agent',
    {
      schema: {
        operationId: 'runAgent',
        summary: 'Have a language model write Python for a task, and run it',
        description:
          'With "Accept: text/event-stream", every step is told as it is taken: round, code, result, and finished with ' +
          'the whole answer, or problem. A client that leaves gives the task up.',
        body: AgentRequest,
        response: {
          200: {
            description: AgentResponse.meta()?.description ?? '',
            content: { 'application/json': { schema: AgentResponse }, [SSE_TYPE]: { schema: STEPS } },
          },
          ...PROBLEMS,
        },
      },
      config: { problems: ['AgentNotConfigured', 'ModelFailed', 'ModelBusy', 'ModelTimeout'], answersRuns: true },
    },
    async ({ body, caller, headers }, reply) => {
      const model = configured(deps);
      const task = { task: body.task, maxRounds: body.maxRounds, model: modelName(model, body.model) };
      const hold = holds.take(reply);
      const run = (code: string) => runProgram(deps, caller, body, { code, signal: hold.signal, reply });
      const steps = solve(task, { model, run, signal: hold.signal });
      if (wantsEvents(headers.accept)) return sendEvents(reply, told(steps, reply), hold, deps);
      return await lastOf(steps);
    },
  );
}

function configured({ languageModel }: GatewayDeps): LanguageModel {
  if (languageModel) return languageModel;
  throw new Problem(
    'AgentNotConfigured',
    'This gateway has no language model. Its administrator gives it one by CODERUN_LLM_BASE_URL, CODERUN_LLM_MODEL and CODERUN_LLM_API_KEY_FILE.',
  );
}

function modelName({ models }: LanguageModel, asked: string | undefined): string {
  if (asked === undefined) return models[0];
  if (models.includes(asked)) return asked;
  const errors = [fieldError('body', 'model', 'is not offered')];
  throw new Problem('InvalidRequest', `model: is not offered; there are ${models.join(', ')}.`, { errors });
}

async function lastOf(steps: AsyncIterable<Step<AgentExecution>>) {
  for await (const { event, data } of steps) if (event === 'finished') return data;
  throw new Error('the agent ended without an answer');
}

/** A stream has begun with status 200: what goes wrong is told in it. */
async function* told(
  steps: AsyncIterable<Step<AgentExecution>>,
  { request }: FastifyReply,
): AsyncGenerator<ServerSentEvent> {
  try {
    yield* steps;
  } catch (error) {
    yield { event: 'problem', data: toProblem(error, request).body(request.id) };
  }
}

interface ProgramOptions {
  code: string;
  signal: AbortSignal;
  reply: FastifyReply;
}

async function runProgram(
  deps: GatewayDeps,
  caller: Caller,
  { timeoutSeconds, sessionName }: AgentRequest,
  { code, signal, reply }: ProgramOptions,
): Promise<AgentExecution> {
  // A run within a session has the class of the session.
  const className = sessionName === undefined ? allowedClass(caller, undefined, 'className') : undefined;
  const spec = {
    code,
    language: 'python' as const,
    timeoutSeconds,
    ...(className !== undefined && { className }),
    ...(sessionName !== undefined && { sessionRef: { name: sessionName } }),
    ttlSecondsAfterFinished: TTL_SECONDS,
    cancelled: false,
  };
  const run = await createRun(deps, caller, spec, { prefix: 'agent' });
  const milliseconds = timeoutSeconds * 1000 + deps.config.limits.executeOverhead;
  const waited = await waitFor(deps, run, { wanted: isEnded, milliseconds, signal });
  const answer =
    waited.kind === 'met'
      ? executeResponse(waited.run)
      : await giveUp(waited, { hold: signal, canComeBack: false }, deps, reply);
  const { results } = waited.run.status ?? {};
  const reason = succeeded(waited.run)?.reason ?? 'Queued';
  return { ...answer, reason, runName: run.metadata.name, ...(results && { results }) };
}
