/** POST /execute: code in, output out, in one call and four fields. */

import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { type CodeRun, type CodeRunSpec, codeRunFields } from '../../api/coderun.ts';
import { allowedClass, classExists } from '../auth/classes.ts';
import type { GatewayDeps } from '../deps.ts';
import { ExecuteResponse, executeResponse } from '../execute-result.ts';
import { IdempotencyHeaders, isReplayable, namingOf } from '../idempotency.ts';
import type { Holds } from '../plugins/holds.ts';
import type { Caller } from '../plugins/identify.ts';
import { PROBLEMS } from '../plugins/openapi.ts';
import { fieldError, Problem } from '../problem.ts';
import { cancelRun, createRun } from '../run-store.ts';
import { isEnded } from '../run-view.ts';
import { type Waited, waitFor } from '../wait.ts';

/** Long enough to look at a run after its answer, short enough to leave nothing behind. */
const TTL_SECONDS = 300;

export const ExecuteRequest = z
  .strictObject({
    code: codeRunFields.code.unwrap().describe('The program, in Python, 1 byte to 512 KiB.'),
    timeout: z.int().min(1).max(3600).default(60).describe('How long the program may run, in seconds.'),
    allow_network: z.boolean().default(false).describe('True asks for a sandbox that reaches the internet.'),
    memory_mb: z.int().min(16).max(1_048_576).default(512).describe('Memory that the program may use, in MiB.'),
  })
  .meta({ id: 'ExecuteRequest', examples: [{ code: 'print(6 * 7)', timeout: 10 }] });
type ExecuteRequest = z.output<typeof ExecuteRequest>;

export function executeRoute(app: FastifyInstance, deps: GatewayDeps, holds: Holds): void {
  app.withTypeProvider<ZodTypeProvider>().post(
    '/execute',
    {
      schema: {
        operationId: 'execute',
        summary: 'Run Python code and wait for its output',
        description: 'Holds the answer until the program has ended. A client that leaves cancels the run.',
        headers: IdempotencyHeaders,
        body: ExecuteRequest,
        response: { 200: ExecuteResponse, ...PROBLEMS },
      },
      config: { problems: ['NetworkNotAllowed'], answersRuns: true },
    },
    async ({ body, caller, headers }, reply) => {
      const { signal } = holds.take(reply);
      const naming = namingOf({ caller, headers, body }, 'execute');
      const run = await createRun(deps, caller, await specOf(body, caller, deps), naming);
      const milliseconds = body.timeout * 1000 + deps.config.limits.executeOverhead;
      const waited = await waitFor(deps, run, { wanted: isEnded, milliseconds, signal });
      if (waited.kind === 'met') return executeResponse(waited.run);
      return giveUp(waited, { hold: signal, canComeBack: isReplayable(naming) }, deps, reply);
    },
  );
}

/** The class of sandboxes that reach the internet. Throws a `Problem` that names `field` where there is none. */
export async function networkClass({ kube, config }: GatewayDeps, caller: Caller, field: string): Promise<string> {
  const { internetClassName } = config;
  const mayUse = caller.classes?.includes(internetClassName) ?? true;
  if (mayUse && (await classExists(kube, internetClassName))) return internetClassName;
  const detail = mayUse
    ? 'This cluster has no sandboxes with network; send allow_network: false.'
    : 'Your API key may not use sandboxes with network; send allow_network: false.';
  throw new Problem('NetworkNotAllowed', detail, { errors: [fieldError('body', field, 'is not offered')] });
}

async function specOf(body: ExecuteRequest, caller: Caller, deps: GatewayDeps): Promise<CodeRunSpec> {
  const className = body.allow_network
    ? await networkClass(deps, caller, 'allow_network')
    : allowedClass(caller, undefined, 'className');
  return {
    code: body.code,
    language: 'python',
    ...(className !== undefined && { className }),
    timeoutSeconds: body.timeout,
    resources: { memory: `${body.memory_mb}Mi` },
    ttlSecondsAfterFinished: TTL_SECONDS,
    cancelled: false,
  };
}

interface Leaving {
  hold: AbortSignal;
  /** Whether the same request, sent again, is answered with this run. */
  canComeBack: boolean;
}

/** Nobody will come back for a result that can't be given now, so that the run is cancelled, but for one that will be there. */
export async function giveUp(
  { kind, run }: Waited,
  { hold, canComeBack }: Leaving,
  deps: GatewayDeps,
  reply: FastifyReply,
) {
  if (kind === 'deleted') throw new Problem('RunDeleted', 'The run was deleted before it ended.');
  if (kind === 'aborted' && hold.reason instanceof Problem && hold.reason.code === 'ShuttingDown') {
    const path = `/v1/runs/${run.metadata.name}`;
    const detail = `This gateway is shutting down; the run goes on, and GET ${path} answers its result.`;
    throw new Problem('ShuttingDown', detail, { retrySafe: canComeBack, retryAfterSeconds: 1 });
  }
  if (kind === 'aborted' && canComeBack) throw hold.reason;
  await cancel(run, deps, reply);
  return executeResponse(run);
}

async function cancel(run: CodeRun, { kube }: GatewayDeps, reply: FastifyReply): Promise<void> {
  try {
    await cancelRun(kube, run);
  } catch {
    reply.log.warn({ run: run.metadata.name }, 'a run could not be cancelled; its own timeout will end it');
  }
}
