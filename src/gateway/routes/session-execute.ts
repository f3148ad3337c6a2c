/** /v1/sessions/{name}/…: executions in a session, their interruption, and the interpreters that they leave behind. */

import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { BridgeBroken, BridgeFailed } from '../../sandbox/bridge.ts';
import { type BridgeCommand, Variable } from '../../sandbox/bridge-protocol.ts';
import type { GatewayDeps } from '../deps.ts';
import { ContextName, ExecuteInSession, ExecutionView, executionEnd } from '../execution-view.ts';
import type { Holds } from '../plugins/holds.ts';
import { PROBLEMS } from '../plugins/openapi.ts';
import { callSession, withBridge } from '../session-calls.ts';
import { streamWork } from '../session-events.ts';
import { executeInSession } from '../session-execution.ts';
import { CONTEXT_FAILURES, failureProblem, SESSION_PROBLEMS, unknownState } from '../session-problem.ts';
import { queuedCall } from '../session-queue.ts';
import { findReadySession, type ReadySession } from '../session-store.ts';
import { wantsEvents } from '../sse.ts';
import { EVENTS, SessionPath } from './schemas.ts';

const VariableList = z
  .strictObject({ variables: z.array(Variable), truncated: z.boolean().describe('True where there are more.') })
  .meta({
    id: 'VariableList',
    description: 'The variables of a Python interpreter, each with the beginning of its repr.',
  });

const RestartRequest = z
  .strictObject({ context: ContextName.optional() })
  .meta({ id: 'RestartRequest', examples: [{ context: 'default' }] });

const DONE = z.null().describe('It is done.');

const contextOf = (given: { context?: string | undefined } | null | undefined) =>
  given?.context === undefined ? {} : { context: given.context };

export function sessionExecuteRoutes(root: FastifyInstance, deps: GatewayDeps, holds: Holds): void {
  const app = root.withTypeProvider<ZodTypeProvider>();

  app.post(
    '/v1/sessions/:name/execute',
    {
      schema: {
        operationId: 'executeInSession',
        summary: 'Run code in a session and wait for its end',
        description:
          'Executions of a session run one at a time, in the order of their coming. With "Accept: text/event-stream" ' +
          'the answer is a stream of the events queued, started, stdout, stderr, result, error, finished, or problem ' +
          'where it broke off. A client that leaves interrupts its execution unless it has set detach.',
        params: SessionPath,
        body: ExecuteInSession,
        response: {
          200: {
            description: 'The execution has ended, with success or without.',
            content: { 'application/json': { schema: ExecutionView }, ...EVENTS },
          },
          ...PROBLEMS,
        },
      },
      config: { problems: [...SESSION_PROBLEMS, 'SessionBusy'] },
    },
    async (request, reply) => {
      const { body, params, caller, headers } = request;
      const hold = holds.take(reply);
      const { signal } = hold;
      const ready = await findReadySession(deps, caller, params.name, signal);
      if (!wantsEvents(headers.accept)) return executeInSession(deps, ready, body, { signal });
      return streamWork(deps, {
        request,
        reply,
        hold,
        work: async (tell) => {
          const view = await executeInSession(deps, ready, body, { signal, tell });
          const failure = view.error ? [{ event: 'error', data: view.error }] : [];
          return [...failure, { event: 'finished', data: executionEnd(view) }];
        },
      });
    },
  );

  app.post(
    '/v1/sessions/:name/interrupt',
    {
      schema: {
        operationId: 'interruptSession',
        summary: 'Interrupt what runs in a session',
        description:
          'As Ctrl-C does: the program ends, what the interpreter holds stays. Nothing happens where nothing runs.',
        params: SessionPath,
        response: { 204: DONE, ...PROBLEMS },
      },
      config: { problems: SESSION_PROBLEMS },
    },
    async ({ params, caller }, reply) => {
      const { signal } = holds.take(reply);
      await answered(
        callSession(deps, await findReadySession(deps, caller, params.name, signal), { interrupt: {} }, signal),
      );
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/v1/sessions/:name/restart',
    {
      schema: {
        operationId: 'restartSession',
        summary: 'Restart the interpreters of a session',
        description: 'Ends one interpreter, or all of them, in its turn after what was asked before. Files stay.',
        params: SessionPath,
        body: RestartRequest.nullish(),
        response: { 204: DONE, ...PROBLEMS },
      },
      config: { problems: [...SESSION_PROBLEMS, 'SessionBusy', 'Interrupted', 'ContextNotFound'] },
    },
    async ({ body, params, caller }, reply) => {
      const { signal } = holds.take(reply);
      await inTurn(
        await findReadySession(deps, caller, params.name, signal),
        { restart: contextOf(body) },
        { signal, detach: true },
      );
      return reply.code(204).send(null);
    },
  );

  app.get(
    '/v1/sessions/:name/variables',
    {
      schema: {
        operationId: 'listVariables',
        summary: 'List the variables of an interpreter',
        description: 'In its turn after what was asked before.',
        params: SessionPath,
        querystring: z.strictObject({ context: ContextName.optional() }),
        response: { 200: VariableList, ...PROBLEMS },
      },
      config: { problems: [...SESSION_PROBLEMS, 'SessionBusy', 'Interrupted', 'ContextNotFound'] },
    },
    async ({ params, query, caller }, reply) => {
      const { signal } = holds.take(reply);
      const ready = await findReadySession(deps, caller, params.name, signal);
      const command = { variables: contextOf(query) };
      const { variables = [], truncated = false } = await inTurn(ready, command, { signal, detach: false });
      return { variables, truncated };
    },
  );

  /** A question to the interpreters, which are asked one thing at a time. */
  const inTurn = (ready: ReadySession, command: BridgeCommand, how: { signal: AbortSignal; detach: boolean }) =>
    answered(
      withBridge(deps, ready, how.signal, (bridge) =>
        queuedCall(deps, ready.session, bridge, command, { ...how, timeoutSeconds: 0, tell: () => undefined }),
      ),
    );
}

async function answered<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof BridgeFailed) throw failureProblem(error, CONTEXT_FAILURES);
    throw error instanceof BridgeBroken ? unknownState(error) : error;
  }
}
